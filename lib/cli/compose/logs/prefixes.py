"""The logs of several containers in one: whole lines, each with the name of who has written it before it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from pathlib import Path

from lib.engine.log.reader import LATEST, Follower

COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)  # cyan first, as Docker's. See "ECMA-48 Select Graphic Rendition" in console_codes(4)


class Prefix:
    """How a container's lines begin, and what of them has not ended yet."""

    def __init__(self, words: str, timestamps: bool = False):
        self.words, self.timestamps, self.halves = words.encode(), timestamps, {}

    def lines(self, stream: str, data: bytes, time: str) -> bytes:
        """The lines that have ended with this; the rest waits for more."""
        *whole, rest = (self.halves.pop(stream, (b"", ""))[0] + data).split(b"\n")
        if rest:
            self.halves[stream] = rest, time
        return b"".join(self.line(one, time) for one in whole)

    def line(self, text: bytes, time: str) -> bytes:
        return self.words + (f"{time} ".encode() if self.timestamps else b"") + text + b"\n"

    def rests(self) -> list[tuple[str, bytes]]:
        """Of each stream what has never ended, as a line of its own."""
        found = [(stream, self.line(*rest)) for stream, rest in self.halves.items()]
        self.halves.clear()
        return found


def prefixes(labels: Mapping, coloured: bool, shown: bool, timestamps: bool) -> dict:
    """One for each label, under the same key, all of one width."""
    width = max(map(len, labels.values()), default=0)
    return {
        key: Prefix(worded(label.ljust(width), colour if coloured else 0) if shown else "", timestamps)
        for (key, label), colour in zip(labels.items(), cycle(COLOURS), strict=False)
    }


def worded(name: str, colour: int) -> str:
    return f"\033[{colour}m{name}  | \033[0m" if colour else f"{name}  | "


class Lines(Follower):
    """A container's log from ``since`` up to ``until``, or the last lines of that, and what comes: with its prefix."""

    def __init__(self, place: Path, prefix: Prefix, since: str = "", until: str = LATEST, tail: int | None = None):
        super().__init__(place, hold=False)
        self.prefix, self.since, self.until = prefix, since, until
        if tail is None:
            self.skip_before(since)
        else:
            self.keep_last(tail)

    def read(self) -> list[tuple[str, bytes]]:
        while pieces := self.pieces():
            wanted = [one for one in pieces if self.since <= one.time <= self.until]
            told = [(one.stream, self.prefix.lines(one.stream, one.data, one.time)) for one in wanted]
            if told := [(stream, data) for stream, data in told if data]:
                return told
        return []
