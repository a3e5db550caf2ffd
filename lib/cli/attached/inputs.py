"""What is typed, or comes through a pipe, on its way into a container: a stream, of which little is held here."""

from __future__ import annotations

import os
import select

from lib.cli.attached.detaching import DetachKeys

HELD = 1 << 16  # bytes that wait for the container at most: nothing is read meanwhile, and who writes to us waits too


class Input:
    """The command's standard input, and where it goes: a pipe, or the container's terminal. It owns that end, and closes it.

    ``keys`` are watched for at a terminal. Nothing here ever waits: the container may not read, and its output must go on.
    """

    def __init__(self, sink: int, keys: DetachKeys | None = None, source: int = 0):
        self.sink, self.keys, self.source = sink, keys, source
        self.waiting, self.reading, self.detached = b"", True, False
        os.set_blocking(sink, False)

    def wanted(self) -> dict[int, int]:
        """What poll is to look for."""
        wanted = {self.sink: select.POLLOUT} if self.waiting else {}
        return wanted | {self.source: select.POLLIN} if self.reading and len(self.waiting) < HELD else wanted

    def step(self, ready: dict[int, int]) -> None:
        if self.reading and self.source in ready:
            self.read()
        if self.waiting:
            self.write()
        if not self.reading and not self.waiting:
            self.close()

    def read(self) -> None:
        try:
            data = os.read(self.source, HELD)
        except BlockingIOError:  # somebody has made it non-blocking, and another reader was faster
            return
        except OSError:  # EIO: the terminal has hung up; EISDIR: a folder
            data = b""
        self.reading = bool(data)
        if self.keys:
            data, self.detached = self.keys.typed(data) if data else (self.keys.finish(), False)
        self.waiting += data

    def write(self) -> None:
        try:
            self.waiting = self.waiting[os.write(self.sink, self.waiting) :]
        except BlockingIOError:
            return
        except OSError:  # EPIPE, EIO: nobody reads it any more. What the container writes is another matter
            self.waiting, self.reading = b"", False

    def close(self) -> None:
        """The container's program reads its end of file, if nobody else holds the pipe."""
        if self.sink >= 0:
            os.close(self.sink)
        self.sink, self.waiting, self.reading = -1, b"", False
