"""A tree, compared with the table. The first thing that does not fit is the error: its place, and what should be there instead."""

from __future__ import annotations

import json
import re
from functools import singledispatch
from typing import Any

from lib.compose.reading.nodes import ComposeError, Node, Path, dotted, plain
from lib.compose.reading.schema.kinds import ANYTHING, Between, Keys, Named, Pattern, Several, Words
from lib.compose.reading.schema.service import SERVICE

TYPES = {"text": (str,), "whole": (int,), "number": (int, float), "bool": (bool,), "null": (type(None),)}
CALLED = {"text": "a text", "whole": "a whole number", "number": "a number", "bool": "true or false", "null": "nothing"}


def check(node: Node, kind: Any, path: Path = ()) -> None:
    """Is the tree of this kind? Raises: ComposeError."""
    _check(kind, node, path)


@singledispatch
def _check(kind: Any, node: Node, path: Path) -> None:
    raise TypeError(kind)


@_check.register
def _(kind: str, node: Node, path: Path) -> None:
    if kind != ANYTHING and not _is(node.value, kind):
        raise _wrong(kind, node, path)


@_check.register
def _(kind: tuple, node: Node, path: Path) -> None:
    fitting = [one for one in kind if _fits(one, node.value)]
    if not fitting:
        raise _wrong(kind, node, path)
    _check(fitting[0], node, path)


@_check.register
def _(kind: Words, node: Node, path: Path) -> None:
    if node.value not in kind:
        known = ", ".join(kind[:-1]) + (" or " if kind[1:] else "") + kind[-1]
        raise ComposeError(f"{dotted(path)} must be {known}, not {_shown(node)}{near(str(node.value), kind, 0.6)}", node.place)


@_check.register
def _(kind: Pattern, node: Node, path: Path) -> None:
    if not isinstance(node.value, str) or not re.fullmatch(kind.form, node.value, re.DOTALL):
        raise ComposeError(f"{dotted(path)} must be {kind.wanted}, not {_shown(node)}", node.place)


@_check.register
def _(kind: Between, node: Node, path: Path) -> None:
    if not _is(node.value, "whole") or node.value < kind.least or (kind.most is not None and node.value > kind.most):
        bounds = f"from {kind.least} to {kind.most}" if kind.most is not None else f"of at least {kind.least}"
        raise ComposeError(f"{dotted(path)} must be a whole number {bounds}, not {_shown(node)}", node.place)


@_check.register
def _(kind: Several, node: Node, path: Path) -> None:
    if not isinstance(node.value, list):
        raise _wrong(kind, node, path)
    seen = set()
    for index, item in enumerate(node.value):
        _check(kind.of, item, (*path, index))
        if kind.unique:
            same = json.dumps(plain(item), sort_keys=True)
            if same in seen:
                raise ComposeError(f"{dotted((*path, index))}: {_shown(item)} is in the list already", item.place)
            seen.add(same)


@_check.register
def _(kind: Named, node: Node, path: Path) -> None:
    if not isinstance(node.value, dict):
        raise _wrong(kind, node, path)
    for name, child in node.value.items():
        if not re.fullmatch(kind.names, name, re.DOTALL):
            raise ComposeError(f"{dotted(path)}: '{name}' can't be a name here; letters, digits, - _ and . are allowed", child.place)
        _check(kind.of, child, (*path, name))


@_check.register
def _(kind: Keys, node: Node, path: Path) -> None:
    if not isinstance(node.value, dict):
        raise _wrong(kind, node, path)
    for name, child in node.value.items():
        if name in kind.keys:
            _check(kind.keys[name], child, (*path, name))
        elif not (kind.extensions and name.startswith("x-")):
            raise _unknown(kind, name, child, path)
    for name in kind.required:
        if name not in node.value:
            raise ComposeError(f"{dotted(path)} needs `{name}`", node.place)


def _is(value: Any, kind: str) -> bool:
    return any(isinstance(value, TYPES[one]) and (one == "bool" or not isinstance(value, bool)) for one in kind.split("|"))


def _fits(kind: Any, value: Any) -> bool:
    """Could it be of this kind, by its shape?"""
    if isinstance(kind, Keys | Named):
        return isinstance(value, dict)
    if isinstance(kind, Several):
        return isinstance(value, list)
    if isinstance(kind, Words | Pattern):
        return isinstance(value, str)
    return _is(value, "whole" if isinstance(kind, Between) else kind)


def _wrong(kind: Any, node: Node, path: Path) -> ComposeError:
    wanted = list(dict.fromkeys(_called(kind)))
    text = ", ".join(wanted[:-1]) + (" or " if wanted[1:] else "") + wanted[-1]
    quotes = "; put it in quotes" if "a text" in wanted and isinstance(node.value, bool | int | float) else ""
    return ComposeError(f"{dotted(path) or 'the file'} must be {text}, not {_shown(node)}{quotes}", node.place)


def _called(kind: Any) -> list[str]:
    if isinstance(kind, Words | Pattern):
        return ["a text"]
    if isinstance(kind, tuple):
        return [word for one in kind for word in _called(one)]
    if isinstance(kind, Keys | Named):
        return ["a mapping (`key: value`)"]
    if isinstance(kind, Several):
        return ["a list (`- …`)"]
    return ["a whole number"] if isinstance(kind, Between) else [CALLED[one] for one in kind.split("|") if one != "null"]


def _shown(node: Node) -> str:
    value = node.value
    if value is None:
        return "empty"
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    if isinstance(value, bool | int | float):
        return ("the number " if not isinstance(value, bool) else "") + json.dumps(value)[:40]
    return f"'{value[:40]}'"


def _unknown(kind: Keys, name: str, child: Node, path: Path) -> ComposeError:
    hint = near(name, kind.keys)
    if not hint and not path and isinstance(child.value, dict) and set(child.value) & {"image", "build"}:
        hint = "; a service belongs below `services:`"
    elif not hint and not path and name in SERVICE.keys:
        hint = "; it is a key of a service, below `services:`"
    elif not hint and len(kind.keys) <= 12:
        hint = f"; known are {', '.join(kind.keys)}"
    return ComposeError(f"{dotted(path) + ': ' if path else ''}`{name}` is not known{hint}", child.place)


def near(word: str, known, least: float = 0.7) -> str:
    """``; did you mean …?``, if one of the known words is like this one."""
    from difflib import get_close_matches  # only who has made a mistake waits for it

    words = (word.lower().replace("-", "_"), word.lower())
    found = [match for one in words for match in get_close_matches(one, known, 1, least)]
    return f"; did you mean `{found[0]}`?" if found else ""
