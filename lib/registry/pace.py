"""How long an answer may take: whoever sends a byte a second, or what has no end, keeps nobody for ever. And how waiting is given up.

urllib3's limit is for each recv(2) alone. So every connection has an hour at which its time is over, which each step of an answer
sets anew: its head, a whole document, the next part of a blob.
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable

SILENCE = 60  # seconds: for the head of an answer, and for each SLICE of a blob
SLICE = 64 << 10  # bytes
DOCUMENT = 120  # seconds for a whole one


def timed(kind: type) -> type:
    """The same kind of connection (of urllib3's), whose answers have their time."""
    from http.client import HTTPResponse

    class Timed(kind):
        def connect(self):
            self.until = time.monotonic() + SILENCE
            super().connect()

        def getresponse(self):
            self.until = time.monotonic() + SILENCE
            return super().getresponse()

        def response_class(self, sock, *words, **how):
            return HTTPResponse(Line(sock, self), *words, **how)

    return Timed


class Line:
    """A socket as http.client reads an answer from it: until its connection's time is over."""

    def __init__(self, sock, connection):
        self.sock, self.connection = sock, connection

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(Bytes(self.sock.makefile(mode, buffering=0), self.connection))


class Bytes(io.RawIOBase):
    """What comes by a line. ``100 Continue`` or trailers without end are read in one call: only here somebody can see that."""

    def __init__(self, raw: io.RawIOBase, connection):
        self.raw, self.connection = raw, connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int | None:
        if time.monotonic() > self.connection.until:
            raise TimeoutError("it comes too slowly, or has no end")
        return self.raw.readinto(buffer)

    def close(self) -> None:
        self.raw.close()
        super().close()


def due(response, seconds: float) -> None:
    """What is read of the answer from now on must be there in time."""
    if response.connection is not None:  # else it is whole already
        response.connection.until = time.monotonic() + seconds


class Flow:
    """The body of an answer that must keep coming, one ``SLICE`` after the other."""

    def __init__(self, response):
        self.response = response

    def read(self, size: int) -> bytes:
        due(self.response, SILENCE)
        return self.response.read(min(size, SLICE))


class Stopping(threading.Event):
    """Set when something is not wanted any more. Who waits for a stranger's bytes looks at no event: ``calls`` says how to wake him."""

    def __init__(self):
        super().__init__()
        self.wakes: list[Callable[[], object]] = []

    def calls(self, wake: Callable[[], object]) -> None:
        self.wakes.append(wake)
        if self.is_set():
            wake()

    def set(self) -> None:
        """Again and again, until all have ended: somebody may be just about to wait."""
        super().set()
        for wake in tuple(self.wakes):
            wake()
