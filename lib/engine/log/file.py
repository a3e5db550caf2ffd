"""One file of a log, read while it grows."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import NamedTuple

from lib.engine.log.frames import BLOCK, HEAD, heads, next_head, path


class Piece(NamedTuple):
    """What is new of a frame."""

    stream: str
    data: bytes
    time: str


class File:
    """How far it has been read; with ``hold`` no writer removes it as long as it is open. Raises ``FileNotFoundError``."""

    def __init__(self, place: Path, hold: bool):
        self.fd = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        if hold:
            fcntl.flock(self.fd, fcntl.LOCK_SH)
        self.at = self.given = 0  # where the next frame begins, and how much of it was given out already
        self.limit = sys.maxsize
        about = os.fstat(self.fd)
        self.number = about.st_dev, about.st_ino
        if about.st_nlink == 0:  # it was removed just before
            self.close()
            raise FileNotFoundError(place)

    def close(self) -> None:
        os.close(self.fd)

    def size(self) -> int:
        return min(os.fstat(self.fd).st_size, self.limit)

    def freeze(self) -> None:
        """What comes from now on is not read."""
        self.limit = self.size()

    def seek(self, at: int) -> None:
        """Read on from the beginning of a block."""
        self.at, self.given = at, 0

    def read(self) -> list[Piece]:
        """The next pieces, of one block at most; an empty list if there is nothing new.

        The size is asked for first. A frame may turn out shorter than its head has promised; but then it was not whole yet when we asked,
        and all that stood behind its head was its own.
        """
        size = self.size()
        if size < self.at + (HEAD + self.given if self.given else 0):  # somebody has emptied it
            self.seek(0)
        while (start := next_head(self.at)) < size:
            before = self.at, self.given
            pieces = self.block(start, size)
            if pieces or (self.at, self.given) == before:
                return pieces
        return []

    def block(self, start: int, size: int) -> list[Piece]:
        """The new pieces from the head at ``start`` to the end of its block."""
        end = start - start % BLOCK + BLOCK
        chunk = os.pread(self.fd, min(end, size) - start, start)
        pieces, growing = [], False
        for at, head in heads(chunk, end - start):
            data = chunk[at + HEAD : at + HEAD + head.length]
            if len(data) > self.given:
                pieces.append(Piece(head.stream, data[self.given :], head.time))
            growing = len(data) < head.length
            self.at, self.given = (start + at, len(data)) if growing else (start + at + HEAD + head.length, 0)
        if size > end and next_head(self.at) < end:  # a damaged block: nothing comes to it any more
            self.seek(end)
        return pieces

    def first_time(self, block: int) -> str:
        """When the first frame of a block was written. A damaged one has none, and counts as late: nothing before it is passed over."""
        return next((head.time for _, head in heads(os.pread(self.fd, HEAD, block * BLOCK))), "~")

    def last_time(self) -> str:
        """When the last frame was written; where there is none, early: nothing is older."""
        found = list(heads(os.pread(self.fd, BLOCK, max(0, self.size() - 1) // BLOCK * BLOCK)))
        return found[-1][1].time if found else ""


def files(place: Path, hold: bool) -> Iterator[File]:
    """The files of a log, the newest first: a rotation meanwhile shifts them our way, and we meet one twice, but miss none.

    One number may be missing, where a writer was killed in the midst of a rotation.
    """
    gaps, met = 0, set()
    for number in count():
        try:
            one = File(path(place, number), hold)
        except FileNotFoundError:
            gaps += 1
            if gaps == 2:
                return
            continue
        if one.number in met:
            one.close()
        else:
            met.add(one.number)
            yield one
