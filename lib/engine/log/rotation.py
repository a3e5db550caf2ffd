"""When a log begins a new file, and what becomes of the old ones: a state machine that does nothing itself.

The rules are those of Docker's json-file: without ``max-size`` never; ``log`` becomes ``log.1``, that one ``log.2``; ``max-file`` counts
all. But a file that somebody still reads is not removed: one who follows slowly loses nothing, the writer waits.
"""

from __future__ import annotations

from collections.abc import Generator
from itertools import count
from typing import NamedTuple

from lib.engine.log.frames import HEAD

LEAST = 1024  # bytes that a file takes, however little is allowed: else each letter might have a file of its own


class Remove(NamedTuple):
    """To be answered with whether it could be done: not if somebody reads this file."""

    number: int


class Rename(NamedTuple):
    number: int
    to: int


class Wait(NamedTuple):
    """Until the reader may have gone on."""


def full(size: int, max_size: int | None) -> bool:
    """Whether a file of this size takes no frame any more."""
    return max_size is not None and size > 0 and size + HEAD >= max_size


def room(size: int, max_size: int | None, wanted: int) -> int:
    """How many of the bytes ``wanted`` a file of this size still takes."""
    return wanted if max_size is None else min(wanted, max(max_size - HEAD - size, 0 if size else LEAST))


def rotation(numbers: set[int], max_file: int) -> Generator[Remove | Rename | Wait, bool, None]:
    """What is to be done, one thing after the other, so that number 0 is free. ``numbers`` are the files that are there.

    It can be broken off anywhere, and begun anew: a gap that was left is closed first. With a ``max_file`` of 1 the old file stays only
    as long as it is read, else its reader could never let go of it without losing what comes next.
    """
    free, oldest = next(number for number in count(1) if number not in numbers), max(max_file - 1, 1)
    if free > oldest:
        while not (yield Remove(oldest)):
            yield Wait()
        free = oldest
    for number in reversed(range(free)):
        yield Rename(number, number + 1)
    if max_file == 1:
        yield Remove(1)
