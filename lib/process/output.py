"""What a process reads and writes: pipes or one terminal, a file in memory to read from, and how much of it all is kept."""

from __future__ import annotations

import codecs
import os
import sys
import tempfile
import threading
from contextlib import contextmanager

from lib import linux

PIPE_AT_MOST = 1 << 20  # bytes that a pipe can hold (pipe(7), pipe-max-size)
KEEP = 16 << 20  # bytes of output that an Exit holds at most: the last ones
TYPED_AT_MOST = 4096  # bytes that a terminal keeps for a reader (termios(3), canonical mode)


class Log:
    """What a process in the background writes: a file without a name, read while it is written."""

    def __init__(self):
        self.file, self.lock = tempfile.TemporaryFile(prefix="suitcase-"), threading.Lock()

    def fileno(self) -> int:
        return self.file.fileno()

    def read(self) -> bytes:
        """The end of it. Raises ``RuntimeError`` when the process has been removed, by another thread meanwhile, say."""
        with self.lock:
            if self.file.closed:
                raise RuntimeError("the process has been removed, and what it wrote went with it")
            return os.pread(self.fileno(), KEEP, max(0, os.fstat(self.fileno()).st_size - KEEP))

    def close(self) -> None:
        with self.lock:
            self.file.close()


class Pipes:
    """The caller's ends of a foreground process's output: two pipes, or one terminal."""

    def __init__(self, tty: bool):
        self.readers, self.given, self.tty = [], [None, None], tty
        self.kept = [bytearray(), bytearray()]
        self.cut = 0  # bytes that were not kept
        self.decoders = [codecs.getincrementaldecoder("utf-8")(errors="replace") for _ in range(2)]
        for number in range(0 if tty else 2):
            try:
                reader, self.given[number] = os.pipe2(os.O_CLOEXEC)
            except OSError:  # too many open files
                self.close()
                raise
            os.set_blocking(reader, False)
            self.readers.append(reader)
        self.open = list(self.readers)

    def attach(self, master: int, typed: bytes) -> None:
        """After the start: close the process's ends of the pipes, or take over its terminal and type ``typed``."""
        for number in range(2):
            if self.given[number] is not None:
                os.close(self.given[number])
                self.given[number] = None
        if self.tty:
            self.readers = [os.dup(master)]
            self.open = list(self.readers)
            os.write(master, typed)
            os.set_blocking(master, False)

    def wait(self, pidfd: int, timeout: float | None) -> list[int]:
        return linux.readable([pidfd, *self.open], timeout)

    def copy(self, show: bool) -> bool:
        """Take what is in the pipes right now; False if there was nothing."""
        some = False
        for reader in linux.readable(self.open, 0):
            try:
                data = os.read(reader, 1 << 16)
            except BlockingIOError:  # the process has opened its end to read, and taken it away again
                continue
            except OSError:  # EIO: the last user of the terminal has gone
                data = b""
            if not data:
                self.open.remove(reader)
                continue
            some = True
            self.take(self.readers.index(reader), data, show)
        return some

    def take(self, number: int, data: bytes, show: bool, final: bool = False) -> None:
        kept = self.kept[number]
        kept += data
        surplus = max(0, len(kept) - KEEP)
        del kept[:surplus]
        self.cut += surplus
        if show and (text := self.decoders[number].decode(data, final)):
            if callable(show):
                show(text)
                return
            stream = (sys.stdout, sys.stderr)[number]
            stream.write(text)
            stream.flush()

    def finish(self, show: bool) -> None:
        """Empty the pipes, but do not wait for their end: a process left behind may hold them open, and write, for ever."""
        for _ in range(PIPE_AT_MOST >> 16):
            if not self.copy(show):
                break
        for number in range(len(self.readers)):
            self.take(number, b"", show, final=True)  # half a character may be left

    def content(self, number: int) -> bytes:
        return bytes(self.kept[number])

    def close(self) -> None:
        for fd in [*self.readers, *self.given]:
            if fd is not None:
                os.close(fd)
        self.readers, self.given, self.open = [], [], []


@contextmanager
def memory_file(content: bytes):
    """A file in memory that holds ``content``, ready to be read as somebody's standard input."""
    with open(os.memfd_create("stdin"), "r+b") as file:
        file.write(content)
        file.seek(0)
        yield file.fileno()
