"""``$NAME`` in a Dockerfile, as BuildKit's own small shell expands it.

It is no real shell: it knows variables, quotes and the escape character, and nothing else. The forms:

    $x  ${x}            the value, or nothing when x is not set
    ${x:-w} ${x-w}      w when x is unset (with the colon: or empty)
    ${x:+w} ${x+w}      w when x is set (with the colon: and not empty), else nothing
    ${x:?e} ${x?e}      an error that says e when x is unset (with the colon: or empty)
    ${x#p} ${x##p}      without the shortest, the longest beginning that matches p; % and %% at the end
    ${x/p/r} ${x//p/r}  the first, every match of p replaced by r

Source: the Dockerfile reference, "Environment replacement".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from lib.dockerfile.shellpatterns import BadPattern, ShellPattern
from lib.visible import Visible

SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
SPECIAL = "@*#?-$!0"  # a shell's own variables; they are never set in a Dockerfile
DEEPEST = 50  # levels of ${a:-${b:-…}}
BETWEEN = re.compile(f"[{SPACE}]+")
LARGEST = 1 << 20  # characters that the variables of one instruction come to: ENV a=$a$a doubles with every line


class ExpansionError(Visible, ValueError):
    """A text that cannot be expanded. ``at`` is the index of the character where it went wrong."""

    def __init__(self, message: str, at: int):
        super().__init__(message)
        self.at = at


class Expansion(NamedTuple):
    """What became of a text: one ``word``, or split at spaces outside quotes (``words``).

    ``used``: the names it asked for, set or not; ``size``: how many characters of their values went into it, or were compared.
    """

    word: str
    words: tuple[str, ...]
    used: frozenset[str]
    size: int


def expand(text: str, env: Mapping[str, str], escape: str = "\\") -> str:
    """``text`` with its variables replaced from ``env`` and its quotes removed. Raises: ExpansionError."""
    return expansion(text, env, escape).word


def expand_words(text: str, env: Mapping[str, str], escape: str = "\\") -> list[str]:
    """The same, split at spaces *after* the replacement: ``EXPOSE $PORTS`` may be several ports. Raises: ExpansionError."""
    return list(expansion(text, env, escape).words)


def expansion(text: str, env: Mapping[str, str], escape: str = "\\") -> Expansion:
    """``expand``, ``expand_words`` and the names that a cache key needs, in one reading."""
    return Lexer(text, env, escape).read()


def expand_body(text: str, env: Mapping[str, str]) -> Expansion:
    """A heredoc's body: variables and the backslash count, quotes are ordinary characters. Raises: ExpansionError."""
    return Lexer(text, env, "\\", quotes=False).read()


class Lexer:
    """Reads one text from left to right. The ``keep_*`` options leave quotes, escapes and unset variables as they stand."""

    def __init__(self, text, env, escape="\\", *, quotes=True, keep_quotes=False, keep_escapes=False, keep_unset=False):
        self.text, self.env, self.escape = text, env, escape
        self.quotes = "'\"" if quotes else ""
        self.keep_quotes, self.keep_escapes, self.keep_unset = keep_quotes, keep_escapes, keep_unset
        self.at = 0
        self.depth = 0
        self.size = 0
        self.used: set[str] = set()

    def read(self) -> Expansion:
        """Raises: ExpansionError."""
        word, words = self._until("", self.keep_escapes)
        return Expansion(word, tuple(words), frozenset(self.used), self.size)

    # -- one character at a time ---------------------------------------------------------------

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def _next(self) -> str:
        char = self.text[self.at : self.at + 1]
        self.at += 1
        return char

    def _wrong(self, message: str) -> ExpansionError:
        return ExpansionError(message, min(self.at, len(self.text)))

    def _limit(self, text: str) -> str:
        self.size += len(text)
        if self.size > LARGEST:
            raise self._wrong(f"the text grows beyond {LARGEST} characters; does a variable hold itself twice?")
        return text

    # -- the parts of a text -------------------------------------------------------------------

    def _until(self, stop: str, keep_escapes: bool) -> tuple[str, list[str]]:
        """Read up to the character ``stop``, or to the end: the word, and the words it splits into."""
        words, parts = Words(), []
        while char := self._peek():
            if char == stop:
                self.at += 1
                return "".join(parts), words.done()
            part, splits = self._part(char, keep_escapes)
            parts.append(part)
            if splits:
                words.add(part)
            else:
                words.add_whole(part)
        if stop:
            raise self._wrong(f"'{stop}' is missing at the end")
        return "".join(parts), words.done()

    def _part(self, char: str, keep_escapes: bool) -> tuple[str, bool]:
        """The next part of the text, and whether a space in it separates words."""
        if char == "$":
            return self._limit(self._dollar(keep_escapes)), True
        if char in self.quotes:
            return (self._single() if char == "'" else self._double(keep_escapes)), False
        if char == "<":
            return self._heredoc_mark(), False
        self.at += 1
        if char != self.escape:
            return char, True
        escaped = self._next()
        return (char + escaped if keep_escapes else escaped), False

    def _single(self) -> str:
        """'…': everything is itself, even the escape character."""
        end = self.text.find("'", self.at + 1)
        if end < 0:
            raise self._wrong("the closing ' is missing; write \\' for a quote that is only a character")
        inside, self.at = self.text[self.at + 1 : end], end + 1
        return f"'{inside}'" if self.keep_quotes else inside

    def _double(self, keep_escapes: bool) -> str:
        """\"…\": variables are replaced; the escape character works before \", $ and itself only."""
        begin, parts = self.at, ['"'] if self.keep_quotes else []
        self.at += 1
        while (char := self._peek()) != '"':
            if not char:
                self.at = begin
                raise self._wrong('the closing " is missing; write \\" for a quote that is only a character')
            if char == "$":
                parts.append(self._limit(self._dollar(keep_escapes)))
                continue
            self.at += 1
            if char == self.escape and self._peek() in ('"', "$", self.escape):
                char = (char if keep_escapes else "") + self._next()
            parts.append(char)
        self.at += 1
        return "".join(parts) + ('"' if self.keep_quotes else "")

    def _heredoc_mark(self) -> str:
        """``<<``: spaces that follow belong to the word, as in ``RUN << EOF``."""
        begin = self.at
        self.at += 1
        if self._peek() == "<":
            self.at += 1
            while self._peek() and self._peek() in "\t\r ":
                self.at += 1
        return self.text[begin : self.at]

    # -- variables -----------------------------------------------------------------------------

    def _dollar(self, keep_escapes: bool) -> str:
        begin = self.at
        self.at += 1
        if self._peek() != "{":
            name = self._name()
            return self._value(name, f"${name}") if name else "$"
        self.at += 1
        if self.depth >= DEEPEST:
            raise self._wrong(f"more than {DEEPEST} variables inside each other")
        self.depth += 1
        value = self._braces(begin)
        self.depth -= 1
        return value

    def _braces(self, begin: int) -> str:
        """What follows ``${``."""
        if not (char := self._peek()) or char in "{}:":
            raise self._wrong("a variable's name is missing after '${'" if char else "'}' is missing at the end")
        name, kind = self._name(), self._next()
        if kind == "}":
            return self._value(name, f"${{{name}}}")
        if kind == "/":
            return self._replaced(name)
        colon = ":" if kind == ":" else ""
        if colon:
            kind = self._next()
        if not kind or kind not in ("+-?" if colon else "+-?#%"):
            self.at = begin
            raise self._wrong(f"'{colon}{kind}' after ${{{name} is not known here; the forms are :- - :+ + :? ? # ## % %% / and //")
        word, _ = self._until("}", kind in "#%")
        if self.keep_unset and name not in self.env:
            return f"${{{name}{colon}{kind}{word}}}"
        return self._chosen(name, colon, kind, word)

    def _chosen(self, name: str, colon: str, kind: str, word: str) -> str:
        """The value that ``${name:-word}`` and its relatives mean."""
        value = self._value(name, "")
        missing = name not in self.env or (colon and not value)
        if kind == "-":
            return word if missing else value
        if kind == "+":
            return "" if missing else word
        if kind == "?":
            if missing:
                raise self._wrong(f"{name}: {word or ('is set to nothing' if name in self.env else 'is not set')}")
            return value
        longest = word.startswith(kind)
        pattern = self._pattern(word[1:] if longest else word)
        self._limit(value)  # comparing takes time, even where nothing is left of it
        return pattern.without_beginning(value, longest) if kind == "#" else pattern.without_end(value, longest)

    def _replaced(self, name: str) -> str:
        """``${name/pattern/replacement}``, or with two slashes every match."""
        every = self._peek() == "/"
        self.at += every
        pattern, _ = self._until("/", True)
        replacement, _ = self._until("}", True)
        if self.keep_unset and name not in self.env:
            return f"${{{name}/{pattern}/{replacement}}}"
        return self._pattern(pattern).replaced(self._limit(self._value(name, "")), replacement, every, LARGEST)

    def _pattern(self, text: str) -> ShellPattern:
        try:
            return ShellPattern(text)
        except BadPattern as error:
            raise self._wrong(str(error)) from None

    def _value(self, name: str, as_written: str) -> str:
        self.used.add(name)
        if self.keep_unset and name not in self.env:
            return as_written
        return self.env.get(name, "")

    def _name(self) -> str:
        """A name, a number ($1), one of the special characters, or nothing. It may be empty."""
        begin, char = self.at, self._peek()
        if char.isdecimal():
            while self._peek().isdecimal():
                self.at += 1
        elif char and char in SPECIAL:
            self.at += 1
        else:
            while (char := self._peek()) and (char.isalpha() or char.isdecimal() or char == "_"):
                self.at += 1
        return self.text[begin : self.at]


class Words:
    """Collects parts and splits them at spaces; what stood in quotes is added whole. An empty word is none."""

    def __init__(self):
        self._words: list[str] = []
        self._current: list[str] = []

    def add(self, text: str) -> None:
        first, *others = BETWEEN.split(text)
        self.add_whole(first)
        for word in others:
            self._finish()
            self.add_whole(word)

    def add_whole(self, text: str) -> None:
        if text:
            self._current.append(text)

    def _finish(self) -> None:
        if self._current:
            self._words.append("".join(self._current))
            self._current = []

    def done(self) -> list[str]:
        self._finish()
        return self._words
