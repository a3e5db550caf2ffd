"""Who types into a container: the ends of its standard input and of its terminal, and who holds which."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from lib import linux
from lib.engine.daemons.calling import Keeper
from lib.engine.pipes import run_folder


class Caller:
    """Who starts a container and stays with it: whether something ``types`` into it, and the ``size`` (rows, columns) of its terminal.

    ``sink`` is where that goes, once it has started, and ``master`` our end of its terminal: both the caller's to close, -1 without one.
    """

    def __init__(self, types: bool = False, size: tuple[int, int] | None = None, sink: int = -1, master: int = -1):
        self.types, self.size, self.sink, self.master = types, size, sink, master

    def close(self) -> None:
        for fd in (self.sink, self.master):
            if fd >= 0:
                os.close(fd)
        self.sink = self.master = -1


@contextmanager
def typed_by(caller: Caller, facts: dict) -> Iterator[int]:
    """A new container's standard input, if its end is to be that of what this caller types: a pipe without a name.

    One with a name cannot be opened any more (``/dev/stdin``) when nobody writes to it: that waits for somebody who does. See fifo(7).
    """
    if facts["config"]["tty"] or not (caller.types and facts["config"]["stdin_once"]):
        yield subprocess.DEVNULL
        return
    reader, caller.sink = os.pipe2(os.O_CLOEXEC)
    try:
        yield reader
        Keeper.hold(f"{facts['id']}/stdin", reader)  # for who attaches, and types too
    finally:
        os.close(reader)


def hand_over(facts: dict, process, caller: Caller) -> None:
    """What somebody must hold for it: the other end of its terminal, and of its standard input if no caller types there; its resolver's."""
    for name, fd in process.line.given.items():
        Keeper.hold(f"{facts['id']}/{name}", fd)
    if process.master >= 0:
        if caller.size:
            linux.resize(process.master, *caller.size)
        Keeper.hold(f"{facts['id']}/terminal", process.master)
        caller.master = os.dup(process.master)
        caller.sink = os.dup(process.master) if caller.types else -1
    elif facts["config"]["open_stdin"] and caller.sink < 0:
        caller.sink = typing_into(facts)
        Keeper.hold(f"{facts['id']}/stdin", caller.sink)
        if not caller.types:
            caller.close()


def typing_into(facts: dict) -> int:
    """A descriptor to write to a container's standard input, which is no terminal. See fifo(7).

    With ``stdin_once`` its end, when we close it, is the container's: nobody else holds it open from now on.
    """
    with suppress(FileNotFoundError):
        fd = os.open(run_folder(facts["id"]) / "stdin", os.O_RDWR | os.O_CLOEXEC)  # also for writing only, that would wait for a reader
        if facts["config"]["stdin_once"]:
            Keeper.drop(f"{facts['id']}/stdin")
        return fd
    if (reader := Keeper.give(f"{facts['id']}/stdin")) < 0:
        raise ConnectionError(f"the standard input of container {facts['name']} is lost: its keeper was killed")
    try:
        return os.open(f"/proc/self/fd/{reader}", os.O_WRONLY | os.O_CLOEXEC)
    finally:
        os.close(reader)
