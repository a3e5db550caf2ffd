"""Files of variables: ``.env``, ``env_file`` and ``label_file``; and ``format: raw``, where nothing but the first ``=`` has a meaning.

``NAME=value``, ``export NAME=value``, ``NAME: value``; a name alone takes its value from outside. Double quotes know ``\\n`` and variables,
single quotes nothing; without quotes a value ends at `` #``. Values may use variables, those above among them.
"""

from __future__ import annotations

import os
import re
from collections import ChainMap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import TextIOWrapper

from lib.compose.reading.interpolation import BadTemplate, substituted
from lib.compose.reading.nodes import ComposeError, Place
from lib.regularfile import open_regular

LARGEST = 4 << 20  # bytes
MOST = 16 << 20  # characters of all values of a file, when those that they use are filled in
SPACES = "\t\v\f\r \x85\xa0"
ESCAPE = re.compile(r"\\([abcfnrtv$\"\\]|0[0-7]{0,3})")
ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"', "$": "$$"}

Lookup = Callable[[str], str | None]


@dataclass(slots=True)
class Pairs:
    """The values of a file, and the line of each."""

    values: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)

    def put(self, name: str, value: str, line: int) -> None:
        self.values[name], self.lines[name] = value, line


def read(path: str, lookup: Lookup, known: Mapping[str, str] | None = None, raw: bool = False) -> Pairs:
    """The variables of a file.

    Args:
        path: The file.
        lookup: What is known from outside; it has precedence within values.
        known: Variables of files before this one.
        raw: Values are taken as they are.

    Raises: ComposeError, with the place; OSError.
    """
    text = _text(path)
    if len(text) > LARGEST:
        raise ComposeError(f"the file is larger than {LARGEST >> 20} MiB", Place(path))
    if (at := text.find("\0")) >= 0:
        raise ComposeError("a variable can't have the character '\\x00' in it", Place(path, text.count("\n", 0, at) + 1))
    return _Raw(path, lookup).read(text) if raw else _Reader(path, text, lookup, dict(known or {})).read()


def _text(path: str) -> str:
    """A file's text, or the beginning of one that is too large. Nobody waits at a pipe, or opens a device."""
    if path == os.devnull:
        return ""
    with open_regular(path) as file, TextIOWrapper(file, "utf-8-sig", "surrogateescape", newline="") as text:
        return text.read(LARGEST + 1)


class _Raw:
    def __init__(self, path: str, lookup: Lookup):
        self.path, self.lookup = path, lookup

    def read(self, text: str) -> Pairs:
        found = Pairs()
        for number, line in enumerate(text.splitlines(), 1):
            name, equals, value = line.lstrip().partition("=")
            if not name.strip() or name.startswith("#"):
                continue
            if " " in name or "\t" in name:
                raise ComposeError(f"the name '{name[:40]}' can't have a space in it", Place(self.path, number))
            given = value if equals else self.lookup(name)
            if given is not None:
                found.put(name, given, number)
        return found


class _Reader:
    def __init__(self, path: str, text: str, lookup: Lookup, known: dict[str, str]):
        self.path, self.text, self.at, self.lookup, self.known = path, text, 0, lookup, known
        self.found, self.length = Pairs(), 0
        self.line, self.counted = 1, 0  # the line of a place up to which lines have been counted

    def read(self) -> Pairs:
        while self._to_statement():
            start = self.at
            name, alone = self._name()
            value = (self.lookup(name) if name else None) if alone else self._value()
            if value is not None:
                self._put(name, value, start)
        return self.found

    def _put(self, name: str, value: str, start: int) -> None:
        self.line, self.counted = self.line + self.text.count("\n", self.counted, start), start
        self.length += len(value)
        if self.length > MOST:
            raise ComposeError(
                f"with the variables that they use, the values are larger than {MOST >> 20} MiB", Place(self.path, self.line)
            )
        self.found.put(name, value, self.line)
        self.known[name] = value

    def _to_statement(self) -> bool:
        while self.at < len(self.text):
            if self.text[self.at] == "#":
                self._to_end_of_line()
            elif self.text[self.at].isspace():
                self.at += 1
            else:
                return True
        return False

    def _to_end_of_line(self) -> str:
        end = self.text.find("\n", self.at)
        end = len(self.text) if end < 0 else end
        line, self.at = self.text[self.at : end], end + 1
        return line

    def _name(self) -> tuple[str, bool]:
        if re.match(r"export\s", self.text[self.at : self.at + 7]):
            self.at += len("export")
            self._skip_spaces()
        start = self.at
        while self.at < len(self.text) and self.text[self.at] not in "=:\n":
            char = self.text[self.at]
            if not (char in SPACES or char in "_.-[]" or char.isalnum()):
                raise self._error(f"'{char}' can't be in the name of a variable", start)
            self.at += 1
        if self.at == len(self.text):
            raise (
                self._error("a name stands alone on the last line; write NAME=value", start) if start < self.at else self._error("", start)
            )
        name, end = self.text[start : self.at].rstrip(), self.text[self.at]
        self.at += 1
        if " " in name:
            raise self._error(f"the name '{name[:40]}' can't have a space in it", start)
        if end != "\n":
            self._skip_spaces()
        return name, end == "\n"

    def _skip_spaces(self) -> None:
        while self.text[self.at : self.at + 1] in SPACES and self.at < len(self.text):
            self.at += 1

    def _value(self) -> str:
        start, quote = self.at, self.text[self.at : self.at + 1]
        if quote not in ("'", '"') or not quote:
            return self._filled(self._to_end_of_line().split(" #", 1)[0].rstrip(), start)
        text = self._quoted(quote)
        return self._filled(ESCAPE.sub(_unescaped, text), start) if quote == '"' else text

    def _quoted(self, quote: str) -> str:
        start, chars = self.at, []
        self.at += 1
        while (char := self.text[self.at : self.at + 1]) and char != quote:
            self.at += 1
            if char == "\\" and (after := self.text[self.at : self.at + 1]):
                self.at += 1
                chars.append(after if after == quote else char + after)
            else:
                chars.append(char)
        if not char:
            raise self._error(f"a {quote} is not closed", start)
        self.at += 1
        return "".join(chars)

    def _filled(self, text: str, start: int) -> str:
        names = {name: value for name in _names(text) if (value := self.lookup(name)) is not None}
        try:
            return substituted(text, ChainMap(names, self.known))
        except BadTemplate as error:
            raise self._error(str(error), start) from None

    def _error(self, message: str, start: int) -> ComposeError:
        line = self.text.count("\n", 0, start) + 1
        return ComposeError(message, Place(self.path, line, start - (self.text.rfind("\n", 0, start) + 1) + 1))


def _names(text: str) -> set[str]:
    return set(re.findall(r"[_a-zA-Z][_a-zA-Z0-9]*", text)) if "$" in text else set()


def _unescaped(found: re.Match) -> str:
    letter = found[1]
    if letter[0] == "0":
        return chr(int(letter[1:], 8)) if len(letter) == 4 and 0 < int(letter[1:], 8) < 256 else found[0]
    return ESCAPES.get(letter, found[0])
