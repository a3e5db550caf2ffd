"""``--format``: what people use of Go's templates: ``{{.State.Pid}}``, ``{{json .Config}}``, ``{{.Label "shop"}}``, and tables of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from lib.cli import text

ACTION = re.compile(r"(?:\s*\{\{-\s|\{\{)\s*(.*?)\s*(?:(?<=\s)-\}\}\s*|\}\})", re.DOTALL)  # a dash trims the space on its side
WORD = re.compile(r'"(?:[^"\\]|\\.)*"|`[^`]*`|[^\s"`]+')
HALF = re.compile("[\ud800-\udfff]")  # of a character, or a byte that is not UTF-8: neither can be written


class BadTemplate(ValueError):
    """It cannot be read, whatever it is laid over."""

    exit_code = 64  # Docker's, but in lists


def as_json(value: object, indent: int | None = None) -> str:
    """As Go writes it: without spaces unless it is indented, and what is no character replaced."""
    separators = None if indent else (",", ":")
    return HALF.sub("\ufffd", json.dumps(value, indent=indent, separators=separators, ensure_ascii=False, default=dict))


class Action(NamedTuple):
    """What stands between braces: is it to be JSON, the names that lead to a field, and the words for that."""

    text: str
    in_json: bool
    names: list[str]
    words: list[str]


def rendered(template: str, document: Mapping, in_json: Callable[[object], str] = as_json) -> str:
    """The template with the document's fields. Raises ``BadTemplate``, and ``ValueError`` for a field that is not there."""
    return laid_over(read(template), document, in_json)


def read(template: str) -> list[str | Action]:
    """Text, action, text … Asked before anything is looked for: can it be read? Raises ``BadTemplate``."""
    pieces = ACTION.split(template)
    if any("{{" in one for one in pieces[::2]):
        raise BadTemplate(f"template parsing error: unclosed action in {template!r}: each {{{{ needs its }}}}")
    pieces[1::2] = map(action, pieces[1::2])
    return pieces


def action(text: str) -> Action:
    """Raises ``BadTemplate``."""
    words = WORD.findall(text)
    in_json = words[:1] == ["json"]
    path, *arguments = words[in_json:] or [""]
    if not path.startswith("."):
        can = 'what can stand between braces here is .Field, json .Field and .Label "name"'
        raise BadTemplate(f"template parsing error: {{{{{text}}}}}: {can}")
    return Action(text, in_json, [name for name in path.split(".") if name], arguments)


def laid_over(pieces: Sequence[str | Action], document: Mapping, in_json: Callable[[object], str] = as_json) -> str:
    """What was read of a template, with the document's fields. Raises ``ValueError`` for one that is not there."""
    return HALF.sub("\ufffd", "".join(one if isinstance(one, str) else told(one, document, in_json) for one in pieces))


def told(one: Action, document: Mapping, in_json: Callable[[object], str]) -> str:
    written, value = in_json if one.in_json else plain, field(document, one)
    if callable(value) != (len(one.words) == 1):
        raise ValueError(f"template parsing error: {{{{{one.text}}}}}: of the fields only .Label takes a word, and it needs one, in quotes")
    return written(value(unquoted(one.words[0])) if one.words else value)


def field(document: Mapping, one: Action) -> object:
    here: object = document
    for name in one.names:
        if not isinstance(here, Mapping) or name not in here:
            there = ", ".join(here) if isinstance(here, Mapping) else type(here).__name__
            raise ValueError(f"template parsing error: no field {name!r} in {{{{{one.text}}}}}; there is {there}")
        here = here[name]
    return here


def unquoted(word: str) -> str:
    return re.sub(r"\\(.)", r"\1", word[1:-1]) if word.startswith('"') else word.strip("`")


def plain(value: object) -> str:
    """As Go prints it."""
    if isinstance(value, list):
        return "[" + " ".join(map(plain, value)) + "]"
    if isinstance(value, Mapping) and type(value).__str__ is dict.__str__:
        return "map[" + " ".join(f"{key}:{plain(one)}" for key, one in sorted(value.items())) + "]"
    return "<nil>" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def listed(template: str, heads: Mapping, rows: Sequence[Mapping]) -> str:
    """The lines of a list. ``table …`` has a line of heads above them, and its columns stand below each other; ``json`` is all fields."""
    is_table = template.startswith("table")
    line = "{{json .}}" if template == "json" else template.removeprefix("table").strip(" ").replace("\\t", "\t").replace("\\n", "\n")
    try:
        pieces = read(line)
    except BadTemplate as error:
        raise ValueError(*error.args) from None
    head, *lines = [laid_over(pieces, heads, str), *(laid_over(pieces, row) for row in rows)]
    if is_table:
        return text.table(head.split("\t"), [one.split("\t") for one in lines]) + "\n"
    return "".join(f"{one}\n" for one in lines)
