"""Reading a container's log: from its beginning or its last lines on, to its end or as long as it grows, over all of its files.

Readers only look at the files, and the writer knows nothing of them, but that it finds the file locked that one of them still needs.
"""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

from lib import linux
from lib.engine import moments
from lib.engine.log.file import File, Piece, files
from lib.engine.log.frames import BLOCK, path
from lib.engine.log.tail import Tail

LOOK = 0.05  # seconds between two looks where the kernel cannot wake us
NAP = 1  # second after which we look anyhow
LATEST = "~"  # later than any time


class Follower:
    """What a container has printed and prints, as it comes.

    With ``hold`` all of it: the writer, and so the container, waits where a rotation would take away what we have not read yet. Without,
    nobody waits for us, and whoever reads too slowly misses what was rotated away meanwhile.
    """

    def __init__(self, place: Path, from_start: bool = True, hold: bool = True):
        self.place, self.hold, self.skip, self.frozen = place, hold, Counter(), False
        self.watch = watch(place)  # before the first look: nothing comes in between unseen
        self.files = list(files(place, hold))[::-1]  # the oldest first
        if not from_start:
            self.keep_last(0)

    def fileno(self) -> int:
        """Can be read when it is time to read on, also since the state in ``container.json`` may be another; -1 where one has to look."""
        return self.watch

    def close(self) -> None:
        for one in self.files:
            one.close()
        if self.watch >= 0:
            linux.close_inotify(self.watch)
        self.files, self.watch = [], -1

    def read(self) -> list[tuple[str, bytes]]:
        """What is new: stream and bytes; an empty list if there is nothing now. Does not wait."""
        return [(piece.stream, piece.data) for piece in self.pieces()]

    def pieces(self) -> list[Piece]:
        """The same with the times; a block of them at most."""
        self.drain()
        while True:
            self.look_for_newer()  # first: when there is a newer file, nothing more comes to the older one
            if not self.files:
                return []
            if found := self.files[0].read():
                if wanted := self.after_the_skipped(found):
                    return wanted
            elif len(self.files) == 1:
                return []
            else:
                self.files.pop(0).close()

    def wait(self) -> None:
        """Until it may be time to read on."""
        if self.watch >= 0:
            linux.readable([self.watch], NAP)
        else:
            time.sleep(LOOK)

    def drain(self) -> None:
        """Forget what has woken us."""
        with suppress(BlockingIOError):
            while self.watch >= 0 and os.read(self.watch, 1 << 16):
                pass

    def look_for_newer(self) -> None:
        if self.frozen or len(self.files) > 1:
            return
        try:
            about = os.stat(path(self.place, 0))
        except FileNotFoundError:
            return
        if not self.files or (about.st_dev, about.st_ino) != self.files[0].number:
            self.files += newer(self.place, self.files[0] if self.files else None, self.hold)

    def after_the_skipped(self, found: list[Piece]) -> list[Piece]:
        if not self.skip:
            return found
        wanted = []
        for piece in found:
            passed = min(self.skip[piece.stream], len(piece.data))
            self.skip[piece.stream] -= passed
            if passed < len(piece.data):
                wanted.append(piece._replace(data=piece.data[passed:]))
        self.skip = +self.skip
        return wanted

    def freeze(self) -> None:
        """What comes from now on is not read."""
        self.frozen = True
        for one in self.files:
            one.freeze()

    def keep_last(self, lines: int) -> None:
        """Pass over everything but the last lines."""
        tail, after = Tail(lines), []
        while self.files:
            one = self.files.pop()
            blocks = range(0, one.size(), BLOCK)
            at = go_back(one, blocks, tail)
            one.seek(at)
            after.insert(0, one)
            if blocks and tail.complete:
                break
        for one in self.files:
            one.close()
        self.files, self.skip = after, +tail.skip

    def skip_before(self, moment: str) -> None:
        """Pass over the blocks that were full before this time."""
        for one in self.files:
            blocks = range((one.size() + BLOCK - 1) // BLOCK)
            one.seek(max(0, bisect_left(blocks, moment, key=one.first_time) - 1) * BLOCK)


def watch(place: Path) -> int:
    """See inotify(7). -1 where a user has as many of these as allowed."""
    try:
        return linux.inotify(str(place), linux.IN_MODIFY | linux.IN_MOVED_TO | linux.IN_CREATE)
    except OSError:
        return -1


def newer(place: Path, known: File | None, hold: bool) -> list[File]:
    """The files newer than the one that is known, the oldest first. If that one has gone, their times tell which are."""
    found = []
    for one in files(place, hold):
        if known and one.number == known.number:
            one.close()
            return found[::-1]
        found.append(one)
    for one in [one for one in found if known and one.first_time(0) < known.last_time()]:
        one.close()
        found.remove(one)
    return found[::-1]


def go_back(one: File, blocks: range, tail: Tail) -> int:
    """From the end of a file to where the wanted lines begin: the block that is to be read first."""
    for at in reversed(blocks):
        one.seek(at)
        for piece in reversed(one.block(at, one.size())):
            tail.back(piece.stream, piece.data)
        if tail.complete:
            return at
    return 0


def frames(
    place: Path, since: str = "", until: str = LATEST, tail: int | None = None, running: Callable[[], bool] | None = None
) -> Iterator[Piece]:
    """The pieces of a log, the oldest first: those of the last lines, of them those from ``since`` up to ``until``.

    With ``running`` what comes is followed as long as that says so, and then to the end. Nobody waits for who reads them.
    """
    with closing(Follower(place, hold=False)) as log:
        if running is None:
            log.freeze()
        if tail is None:
            log.skip_before(since)
        else:
            log.keep_last(tail)
        for piece in flowing(log, lambda: running is not None and running() and moments.of(time.time_ns()) <= until):
            if piece.time > until:
                return
            if piece.time >= since:
                yield piece


def flowing(log: Follower, more: Callable[[], bool]) -> Iterator[Piece]:
    """All pieces, until there are none and there was nothing ``more`` to come: then nothing can have come in between."""
    over = False
    while (found := log.pieces()) or not over:
        yield from found
        if not found and not (over := not more()):
            log.wait()
