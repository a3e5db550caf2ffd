"""Phase 3: variables. ``$V ${V} $$ ${V-d} ${V:-d} ${V?e} ${V:?e} ${V+r} ${V:+r}``, and any of them inside d, e and r."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from lib.compose.reading.nodes import ComposeError, Node, Path, Problem, dotted, moved

NAME = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*")
OPERATOR = re.compile(r":?[-?+]")
BRACE = re.compile(r"[{}]")
DEEPEST = 50  # braces within braces
LONGEST = 1 << 20  # characters of a value
MOST = 64 << 20  # characters of all of them together: a variable may be long, and used often


class BadTemplate(ValueError):
    """A text with a ``$`` that can't be understood, or a variable that must be set and is not."""


@dataclass(slots=True)
class Variables:
    """What names stand for, and where that is known from: ``the shell``, or ``.env:3``."""

    values: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    used: dict[str, str] = field(default_factory=dict)
    filled: list[int] = field(default_factory=lambda: [0])  # characters that were filled in up to now

    def extended(self, values: Mapping[str, str], sources: Mapping[str, str]) -> Variables:
        """These, and others where these have nothing."""
        return Variables({**values, **self.values}, {**sources, **self.sources}, self.used, self.filled)


Unset = Callable[[str], None]


def substituted(text: str, values: Mapping[str, str], unset: Unset = lambda name: None, depth: int = 0) -> str:
    """``text`` with its variables filled in; ``unset`` hears of those that are empty for want of a value. Raises: BadTemplate."""
    if depth > DEEPEST:
        raise BadTemplate(f"braces are nested more than {DEEPEST} deep")
    found, length = [], 0
    for piece in pieces(text):
        found.append(_filled(piece, values, unset, depth) if isinstance(piece, Reference) else piece)
        length += len(found[-1])
        if length > LONGEST:
            raise BadTemplate(f"with its variables filled in, the text is longer than {LONGEST >> 20} MiB")
    return "".join(found)


@dataclass(frozen=True, slots=True)
class Reference:
    """``${name<operator>word}``"""

    name: str
    operator: str = ""
    word: str = ""


def pieces(text: str) -> Iterator[str | Reference]:
    """A text's parts: those that stand for themselves, and references. Raises: BadTemplate."""
    start = 0
    while (dollar := text.find("$", start)) >= 0:
        yield text[start:dollar]
        follows = text[dollar + 1 : dollar + 2]
        if follows == "$":
            yield "$"
            start = dollar + 2
        elif follows == "{":
            reference, start = _braced(text, dollar)
            yield reference
        elif found := NAME.match(text, dollar + 1):
            yield Reference(found[0])
            start = found.end()
        else:
            yield "$"
            start = dollar + 1
    yield text[start:]


def _braced(text: str, dollar: int) -> tuple[Reference, int]:
    name = NAME.match(text, dollar + 2)
    end = _closing(text, dollar + 1)
    if not name or end < 0:
        raise BadTemplate(f"'{text[dollar : dollar + 40]}' is no variable; write ${{NAME}}, or $$ for a dollar sign")
    operator = OPERATOR.match(text, name.end())
    if not operator and name.end() != end:
        raise BadTemplate(f"'{text[dollar : end + 1]}' is no variable; write ${{NAME}}, ${{NAME:-default}}, or $$ for a dollar sign")
    word = text[operator.end() : end] if operator else ""
    return Reference(name[0], operator[0] if operator else "", word), end + 1


def _closing(text: str, opening: int) -> int:
    depth = 0
    for brace in BRACE.finditer(text, opening):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return brace.start()
    return -1


def _filled(reference: Reference, values: Mapping[str, str], unset: Unset, depth: int) -> str:
    name, value = reference.name, values.get(reference.name)
    there = bool(value) if reference.operator.startswith(":") else value is not None
    kind = reference.operator[-1:]
    if not kind and value is None:
        unset(name)
    if (kind == "-" and not there) or (kind == "+" and there):
        return substituted(reference.word, values, unset, depth + 1)
    if kind == "?" and not there:
        reason = substituted(reference.word, values, unset, depth + 1)
        raise BadTemplate(f"required variable {name} is missing a value" + (f": {reason}" if reason else ""))
    return value or ""


def names_in(text: str, depth: int = 0) -> Iterator[Reference]:
    """All references in a text, those inside others too."""
    for piece in pieces(text):
        if isinstance(piece, Reference):
            yield piece
            if depth < DEEPEST:
                yield from names_in(piece.word, depth + 1)


def interpolate(node: Node, variables: Variables, warnings: list[Problem], path: Path = ()) -> Node:
    """The tree with all variables in its texts filled in. Keys stay as they are. Raises: ComposeError."""
    if isinstance(node.value, dict):
        node.value = {key: interpolate(child, variables, warnings, (*path, key)) for key, child in node.value.items()}
    elif isinstance(node.value, list):
        node.value = [interpolate(child, variables, warnings, (*path, index)) for index, child in enumerate(node.value)]
    elif isinstance(node.value, str) and "$" in node.value:
        return _replaced(node, variables, warnings, path)
    return node


def _replaced(node: Node, variables: Variables, warnings: list[Problem], path: Path) -> Node:
    def unset(name: str) -> None:
        warnings.append(Problem(f"the variable {name} is not set; an empty text takes its place in {dotted(path)}", node.place))

    try:
        names = dict.fromkeys(reference.name for reference in names_in(node.value))
        text = substituted(node.value, variables.values, unset)
        variables.filled[0] += len(text)
        if variables.filled[0] > MOST:
            raise BadTemplate(f"with all variables filled in, the project is larger than {MOST >> 20} MiB")
    except BadTemplate as error:
        raise ComposeError(f"{dotted(path)}: {error}", node.place) from None
    known = {name: variables.sources.get(name, "not set") for name in names}
    variables.used.update({name: variables.values[name] for name in names if name in variables.values})
    return Node(text, moved(node, tuple(known.items())))
