"""Where a container's bytes come out: as they are at the command's own 1 and 2, as text in a notebook.

An output that is closed, or full, is said once; the container goes on, and what it writes there goes nowhere.
"""

from __future__ import annotations

import codecs
import os
import stat
import sys
from contextlib import suppress

import click

from lib.cli.errors import NAME
from lib.cli.standard import complaint, ours

CAUTIOUS = 4096  # bytes that a pipe takes without waiting once it is writable at all (PIPE_BUF, pipe(7))


def outputs() -> dict:
    """A place for each stream of a container's."""
    if ours():
        return {"stdout": Descriptor(1), "stderr": Descriptor(2)}
    return {"stdout": Text(sys.stdout), "stderr": Text(sys.stderr)}


class Descriptor:
    """One of the command's own. It is never set to non-blocking, as it is others' too: little is written at a time, when poll allows it."""

    def __init__(self, number: int):
        self.number, self.failed = number, False
        for stream in (sys.stdout, sys.stderr):
            stream.flush()  # what we have said already comes first
        self.most = 1 << 20 if stat.S_ISREG(os.fstat(number).st_mode) else CAUTIOUS

    def fileno(self) -> int:
        return self.number

    def write(self, data: bytes) -> bytes:
        """Write some of it; returns what is left to be written."""
        if self.failed:
            return b""
        try:
            return data[os.write(self.number, data[: self.most]) :]
        except BlockingIOError:  # somebody has made it non-blocking, and it is full
            return data
        except OSError as error:
            self.failed = True
            self.tell(error)
            return b""

    def tell(self, error: OSError) -> None:
        """Docker's words. There is nowhere to say that of the place where we would say it."""
        if self.number != 2:
            with suppress(OSError):
                click.echo(f"{NAME}: {complaint(error)}", err=True)


class Text:
    """A notebook's stream, which takes text: a character may come in two halves."""

    def __init__(self, stream):
        self.stream, self.decoder = stream, codecs.getincrementaldecoder("utf-8")(errors="replace")

    def fileno(self) -> int:
        """It can always be written to."""
        return -1

    def write(self, data: bytes) -> bytes:
        self.stream.write(self.decoder.decode(data))
        self.stream.flush()
        return b""
