"""The three standard streams of the command: that they are there, whether they are ours, and what is said of one that takes no more."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lib.cli.errors import Failed


def ours() -> bool:
    """Are 0, 1 and 2 for us to read and write? Not in a notebook: its output goes another way, through ``sys.stdout``."""
    return sys.stdout is sys.__stdout__


def fill_gaps() -> None:
    """Who starts us with 0, 1 or 2 closed gets /dev/null there, as in Docker.

    Else the next file opened would get that number: what is printed would be written into it.
    """
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
        replace(("stdin", "stdout", "stderr")[fd], open(fd, "w" if fd else "r", closefd=False))
    os.close(fd)


def replace(name: str, stream) -> None:
    setattr(sys, name, stream)
    setattr(sys, f"__{name}__", stream)


class Output(io.FileIO):
    """The standard output. What it cannot take ends the command with one message; the little that is printed after that goes nowhere."""

    failed = False

    def write(self, data) -> int | None:
        if self.failed:
            return len(data)
        try:
            return super().write(data)
        except OSError as error:
            self.failed = True
            if error.errno == errno.EPIPE:  # `| head` has seen enough: every program ends without a word then
                raise SystemExit(128 + signal.SIGPIPE) from None
            raise Failed(complaint(error)) from None


def complaint(error: OSError) -> str:
    """Docker's words."""
    return f"write /dev/stdout: {os.strerror(error.errno).lower()}"


@contextmanager
def written() -> Iterator[None]:
    """Within this block ``sys.stdout`` is such an ``Output``; at the end all of it is written, or that is told."""
    was = sys.stdout
    file = io.BufferedWriter(Output(1, "w", closefd=False))
    replace("stdout", io.TextIOWrapper(file, was.encoding, was.errors, line_buffering=was.line_buffering))
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except Failed as error:
        error.show()
        raise SystemExit(error.exit_code) from None
