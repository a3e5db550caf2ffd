"""A container's log in the making: its folder, its two pipes, a writer."""

from __future__ import annotations

import os
from pathlib import Path

from lib.engine.log import frames
from lib.engine.log.reader import frames as pieces_of
from lib.engine.log.writer import Writer


class Printing:
    """As the engine does it: named pipes that are open for reading and writing."""

    def __init__(self, place: Path):
        self.place, self.writer = place, None
        self.pipes = {}
        for stream in ("stdout", "stderr"):
            os.mkfifo(place / stream)
            self.pipes[stream] = os.open(place / stream, os.O_RDWR | os.O_NONBLOCK)

    def open(self, *limits) -> Writer:
        if self.writer:
            self.writer.close()
        self.writer = Writer(self.place, *limits)
        self.writer.resume(self.pipes)
        return self.writer

    def put(self, data: bytes, stream: str = "stdout") -> None:
        """Into the pipe."""
        assert os.write(self.pipes[stream], data) == len(data)

    def take(self, stream: str = "stdout") -> None:
        """All of it into the log."""
        while self.writer.take(self.pipes[stream], stream):
            pass

    def print(self, data: bytes, stream: str = "stdout") -> None:
        for at in range(0, len(data), 1 << 16):
            self.put(data[at : at + (1 << 16)], stream)
            self.take(stream)

    def bytes(self, stream: str = "stdout", **how) -> bytes:
        return b"".join(piece.data for piece in pieces_of(self.place, **how) if piece.stream == stream)

    def heads(self, number: int = 0) -> list[frames.Head]:
        """Of a log that fits into a block."""
        return [head for _, head in frames.heads(frames.path(self.place, number).read_bytes())]

    def close(self) -> None:
        for fd in self.pipes.values():
            os.close(fd)
        if self.writer:
            self.writer.close()
