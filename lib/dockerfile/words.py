"""An instruction's line, taken apart: keyword, flags, words. Each keyword has its own way with words, see ``WAYS``.

The ways are BuildKit's, with their oddities: a list that is not valid JSON is taken for an ordinary text, silently.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from lib.dockerfile.expansion import SPACE
from lib.visible import Visible

BLANKS = re.compile(r"[\t\v\f\r ]+")


class BadWords(Visible, ValueError):
    """Words that this keyword cannot take. ``at``: the words in question; ``hint``: what to write."""

    def __init__(self, message: str, hint: str, at: str = ""):
        super().__init__(message)
        self.hint, self.at = hint, at


def split(line: str, escape: str) -> tuple[str, tuple[str, ...], str]:
    """Keyword, flags and the rest of a joined line."""
    keyword, *rest = BLANKS.split(line.strip(SPACE), maxsplit=1)
    if not rest:
        return keyword, (), ""
    flags, end = _flags(rest[0], escape)
    return keyword, flags, rest[0][end:].strip(SPACE)


def _flags(text: str, escape: str) -> tuple[tuple[str, ...], int]:
    """The words at the beginning that start with ``--``, and where they end; ``--`` alone ends them."""
    flags, at = [], 0
    while True:
        while at < len(text) and text[at] in SPACE:
            at += 1
        if not text.startswith("--", at):
            return tuple(flags), at
        flag, at = _flag(text, at, escape)
        if flag == "--":
            return tuple(flags), at
        flags.append(flag)


def _flag(text: str, at: int, escape: str) -> tuple[str, int]:
    """One word, without its quotes and escapes, and where it ends."""
    chars, quote = [], ""
    while at < len(text) and (quote or text[at] not in SPACE):
        char = text[at]
        at += 1
        if char == escape:
            chars.append(text[at : at + 1])
            at += 1
        elif char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        else:
            chars.append(char)
    return "".join(chars), at


def quoted_words(text: str, escape: str) -> list[str]:
    """Words at spaces; quotes hold them together and stay in the word, for the expansion later."""
    word = re.compile(rf"""(?:{re.escape(escape)}.|"(?:{re.escape(escape)}.|[^"])*(?:"|\Z)|'[^']*(?:'|\Z)|[^{SPACE}])+""", re.DOTALL)
    words = [found[0] for found in word.finditer(text)]
    if words and _ends_open(words[-1], escape):
        words[-1] = words[-1][:-1]
    return [word for word in words if word]


def _ends_open(word: str, escape: str) -> bool:
    """Does the last word end in an escape character with nothing to escape? That one is dropped."""
    quote, escaped = "", False
    for char in word:
        if escaped:
            escaped = False
        elif char == escape and quote != "'":
            escaped = True
        elif char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
    return escaped


# -- the ways ----------------------------------------------------------------------------------
# Each takes the rest of the line and the escape character, and gives the words and whether they came as a JSON list.

Taken = tuple[tuple[str, ...], bool]


def whole(rest: str, escape: str) -> Taken:
    """All that follows is one word."""
    return ((rest,) if rest else ()), False


def at_blanks(rest: str, escape: str) -> Taken:
    return (tuple(BLANKS.split(rest)) if rest else ()), False


def list_or_whole(rest: str, escape: str) -> Taken:
    words = _json(rest)
    return whole(rest, escape) if words is None else (words, True)


def list_or_at_blanks(rest: str, escape: str) -> Taken:
    words = _json(rest)
    return at_blanks(rest, escape) if words is None else (words, True)


def names(rest: str, escape: str) -> Taken:
    """``name`` and ``name=value`` in any order."""
    return tuple(quoted_words(rest, escape)), False


def pairs(rest: str, escape: str) -> Taken:
    """``name=value …``, or the old ``name value`` where everything behind the name is the value: name, value, name, value."""
    words = quoted_words(rest, escape)
    if words and "=" not in words[0]:
        old = BLANKS.split(rest, maxsplit=1)
        if len(old) < 2:
            raise BadWords(f"'{_short(rest)}' has no value", f"write {_short(rest)}=value", rest)
        return tuple(old), False
    for word in words:
        if "=" not in word:
            raise BadWords(f"'{_short(word)}' has no '='", "write name=value for each, and quotes around a value with spaces", word)
    return tuple(part for word in words for part in word.split("=", 1)), False


def health(rest: str, escape: str) -> Taken:
    """A type, CMD or NONE, and then a command."""
    kind, *command = BLANKS.split(rest, maxsplit=1)
    words, is_list = list_or_whole(command[0] if command else "", escape)
    return ((kind, *words) if kind else ()), is_list


WAYS: dict[str, Callable[[str, str], Taken]] = {
    "ADD": list_or_at_blanks,
    "ARG": names,
    "CMD": list_or_whole,
    "COPY": list_or_at_blanks,
    "ENTRYPOINT": list_or_whole,
    "ENV": pairs,
    "EXPOSE": at_blanks,
    "FROM": at_blanks,
    "HEALTHCHECK": health,
    "LABEL": pairs,
    "MAINTAINER": whole,
    "ONBUILD": whole,  # the nested instruction, which the next floor reads
    "RUN": list_or_whole,
    "SHELL": list_or_whole,
    "STOPSIGNAL": whole,
    "USER": whole,
    "VOLUME": list_or_at_blanks,
    "WORKDIR": whole,
}


def _json(rest: str) -> tuple[str, ...] | None:
    """The strings of a JSON list, or None if it is none. Raises: BadWords for a list with something else in it."""
    if not rest.startswith("["):
        return None
    try:
        found = json.loads(rest, parse_constant=_not_json)
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(word, str) for word in found):
        hint = 'put each element in double quotes: ["nice", "-n", "5", "make"]'
        raise BadWords("the list holds something that is not a string", hint, rest)
    return tuple(word.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for word in found)


def _not_json(constant: str):
    raise ValueError(constant)


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:60] + "…"
