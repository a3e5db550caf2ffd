"""Where something stands in a Dockerfile, and the error that shows it.

An instruction may go over several lines. Its text, with the lines joined, remembers from which line and column each piece
came, so that an error points into the file as its author sees it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from lib.visible import Visible, visible

WIDEST = 160  # characters of a line that an error shows


class DockerfileError(Visible, ValueError):
    """What is wrong, where (``file``, ``line``, ``column``, from 1; the line itself as ``shown``), and the way out (``hint``)."""

    def __init__(self, message: str, hint: str, file: str, line: int, column: int, shown: str, width: int = 1):
        self.message, self.hint = message, hint
        self.file, self.line, self.column, self.shown = file, line, column, shown
        start = max(0, column - WIDEST // 2) if len(shown) > WIDEST else 0
        window = shown[start : start + WIDEST].replace("\t", " ")
        before, at = visible(window[: column - 1 - start]), visible(window[column - 1 - start :][:width])
        super().__init__(f"{file}:{line}:{column}: {message}\n    {window}\n    {' ' * len(before)}{'^' * max(1, len(at))}\n{hint}")


class Source(NamedTuple):
    """A file's name and its lines."""

    file: str
    lines: tuple[str, ...]

    def error(self, line: int, message: str, hint: str, column: int = 1, width: int = 1) -> DockerfileError:
        shown = self.lines[line - 1].rstrip("\r\n") if line <= len(self.lines) else ""
        return DockerfileError(message, hint, self.file, line, column, shown, width)


class Piece(NamedTuple):
    """From ``offset`` on, the joined text is what stands in ``line`` from ``column`` on (both from 0)."""

    offset: int
    line: int
    column: int


class Place:
    """One instruction's place: ``file``, its first ``line`` and ``last`` line (from 1), its ``text`` with the lines joined."""

    __slots__ = ("last", "line", "pieces", "source", "text")

    def __init__(self, source: Source, line: int, last: int, text: str, pieces: tuple[Piece, ...]):
        self.source, self.line, self.last, self.text, self.pieces = source, line, last, text, pieces

    def __repr__(self) -> str:
        return f"{self.file}:{self.line}"

    @property
    def file(self) -> str:
        return self.source.file

    def error(self, message: str, hint: str, at: str | int = 0) -> DockerfileError:
        """An error that points at ``at``: an index in the text, or words of it (the beginning, if they are not in it)."""
        offset = at if isinstance(at, int) else self._find(at)
        piece = [piece for piece in self.pieces if piece.offset <= offset][-1]
        width = len(at) if isinstance(at, str) else 1
        return self.source.error(piece.line + 1, message, hint, piece.column + offset - piece.offset + 1, width)

    def _find(self, words: str) -> int:
        """Where the words stand: rather at the beginning of a word than within one."""
        found = re.search(rf"(?<![^\s=,]){re.escape(words)}", self.text)
        return found.start() if found else max(0, self.text.find(words))


def suggestion(word: str, known) -> str:
    """``; did you mean …?`` for a word that is nearly one of the known, else nothing."""
    from difflib import get_close_matches  # rare: only an error comes here

    near = get_close_matches(word[:40], known, 1)
    return f"; did you mean {near[0]}?" if near else ""
