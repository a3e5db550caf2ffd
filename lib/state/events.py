"""What has happened on this machine, one line for each event: a container started, an image was pulled, a network went.

There is nobody in the middle who could be asked, so whoever does something writes it down, and whoever wants to know reads that, and is
woken by inotify(7) when there is more. A line is written by one write(2) at the end of the file, so those of several writers do not mix.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from lib import linux
from lib.state.places import folder, store

AT_MOST = 1 << 20  # bytes of one file; the one before it is kept, too
LONGEST = 1 << 16  # bytes of one line: labels are strangers' words, and who has more of them is told without any
SHORT = 256  # characters of an id, then
NOW, BEFORE = "events", "events.1"
GLANCE = 0.2  # seconds between two looks where the kernel cannot wake us


def place() -> Path:
    return store() / "events"


def tell(kind: str, action: str, ident: str, attributes: dict[str, str] | None = None) -> None:
    """Write down that ``action`` (``start``) was done to the ``kind`` (``container``) with this id.

    It must not keep anybody from what he is about: on a full disk an event is not told.
    """
    moment = time.time_ns()
    event = {"Type": kind, "Action": action, "Actor": {"ID": ident, "Attributes": attributes or {}}, "scope": "local",
             "time": moment // 10**9, "timeNano": moment}  # fmt: skip
    line = json.dumps(event, separators=(",", ":")).encode() + b"\n"
    if len(line) > LONGEST:
        line = json.dumps({**event, "Actor": {"ID": ident[:SHORT], "Attributes": {}}}, separators=(",", ":")).encode() + b"\n"
    with suppress(OSError):
        append(folder("events"), line)


def append(where: Path, line: bytes) -> None:
    file = os.open(where / NOW, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(file, line)
        if os.fstat(file).st_size > AT_MOST and os.path.samestat(os.fstat(file), os.stat(where / NOW)):
            os.replace(where / NOW, where / BEFORE)
    finally:
        os.close(file)


def of_container(action: str, facts: dict, **more: object) -> None:
    """``Attributes`` are its labels, its image and its name, as in Docker, and what this action has besides."""
    about = {"image": facts["image_name"], "name": facts["name"], **{name: str(value) for name, value in more.items()}}
    tell("container", action, facts["id"], {**facts["config"]["labels"], **about})


def of_prune(kind: str, size: int) -> None:
    """All of a kind that nobody used has gone, and so many bytes with it."""
    tell(kind, "prune", "", {"reclaimed": str(size)})


class Reader:
    """What has been written, and with ``wait`` what comes."""

    def __init__(self):
        self.file, self.rest = -1, b""
        with suppress(OSError):
            self.file = os.open(place() / BEFORE, os.O_RDONLY | os.O_CLOEXEC)
        self.watch = -1
        with suppress(OSError):
            self.watch = linux.inotify(str(folder("events")), linux.IN_MODIFY | linux.IN_MOVED_TO | linux.IN_CREATE)

    def read(self) -> Iterator[dict]:
        """All that is there and was not read yet. A line that makes no sense is passed over."""
        while True:
            newest = self.newest()  # looked for first: what is written to the file before it until then is not missed
            try:
                yield from self.rest_of_file()
            except BaseException:  # whoever reads has heard enough
                if newest >= 0:
                    os.close(newest)
                raise
            if newest < 0:
                return
            self.close_file()
            self.file, self.rest = newest, b""

    def rest_of_file(self) -> Iterator[dict]:
        while self.file >= 0 and (data := os.read(self.file, LONGEST)):
            *lines, self.rest = (self.rest + data).split(b"\n")
            for line in lines:
                with suppress(ValueError):
                    yield json.loads(line)

    def newest(self) -> int:
        """The file that is written now, opened; -1 if we are in it, or there is none."""
        try:
            found = os.open(place() / NOW, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return -1
        if self.file >= 0 and os.path.samestat(os.fstat(self.file), os.fstat(found)):
            os.close(found)
            return -1
        return found

    def wait(self, seconds: float | None) -> None:
        """Until there may be more, at most so long."""
        if self.watch < 0:
            time.sleep(min(GLANCE, GLANCE if seconds is None else seconds))
        elif linux.readable([self.watch], seconds):
            with suppress(BlockingIOError):
                os.read(self.watch, 1 << 16)

    def close_file(self) -> None:
        if self.file >= 0:
            os.close(self.file)
        self.file = -1

    def close(self) -> None:
        self.close_file()
        if self.watch >= 0:
            linux.close_inotify(self.watch)
        self.watch = -1
