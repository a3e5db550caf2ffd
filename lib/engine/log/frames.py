"""How a container's log is written down: in frames, each with a head of one line, in blocks of 1 MiB.

``2026-11-29T03:20:01.123456789Z stdout 0000000006`` is a head: six bytes follow its newline, just as the program wrote them.

No frame crosses the end of a block, so at each block's beginning a head begins, too. Whoever wants the last ten lines of a gigabyte starts
there, and need not search for what looks like a head: a program may print just that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

BLOCK = 1 << 20
HEAD = 49  # bytes
LENGTH_AT = 38  # where in a head the length stands
PATTERN = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z) (stdout|stderr) (\d{10})\n")


class Head(NamedTuple):
    time: str
    stream: str
    length: int

    def __bytes__(self) -> bytes:
        return b"%s %s %010d\n" % (self.time.encode(), self.stream.encode(), self.length)


def next_head(end: int) -> int:
    """Where the next head begins, if a frame ends here: at once, or in the next block if there is no room left for a single byte."""
    room = BLOCK - end % BLOCK
    return end + room if room <= HEAD else end


def heads(chunk: bytes, room: int = BLOCK) -> Iterator[tuple[int, Head]]:
    """The whole heads in a chunk of a block that begins with one, and where they are. ``room`` is what the block has from there."""
    at = 0
    while found := PATTERN.match(chunk, at):
        head = Head(found[1].decode(), found[2].decode(), int(found[3]))
        if at + HEAD + head.length > room:  # of no writer of ours
            return
        yield at, head
        at = at + HEAD + head.length


def path(place: Path, number: int) -> Path:
    """The log's newest file is number 0, the one before it number 1."""
    return place / (f"log.{number}" if number else "log")
