"""One running container as the manager holds it: its pipes, its terminal, its process, its log."""

from __future__ import annotations

import errno
import os
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from lib import linux
from lib.engine.daemons import standby
from lib.engine.daemons.calling import Keeper
from lib.engine.log.writer import Writer
from lib.engine.pipes import run_folder
from lib.engine.vitality import pidfd_of
from lib.state import kept

PATIENCE = 5  # seconds that the last words of one who has ended wait for a reader, who stands still, of the oldest file of its log
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM}  # until somebody makes some
AT_ONCE = 1 << 16  # bytes from a terminal


class Watched:
    """Raises ``BlockingIOError`` if another manager has it, ``FileNotFoundError`` if it has gone, ``OSError`` if there is no room."""

    def __init__(self, place: Path, terminal: int = -1):
        facts = kept.load(place)
        self.ident, self.place, self.pidfd, self.master, self.stdin = facts["id"], place, -1, -1, -1
        self.pipes: dict[int, str] = {}
        self.ways: list[tuple[str, int]] = []  # published ports: what each is held as, and a socket that the relay is to serve
        self.networked = bool(facts["state"].get("networks"))
        self.paused: set[int] = set()  # sources that the loop does not wait at for a while
        self.why_not = 0  # the errno of the last copy, if it failed; when it has ended, of what keeps it from being settled
        self.settler: threading.Thread | None = None
        log = facts["log"]
        self.writer = Writer(place, log["max_size"], log["max_file"])
        with ExitStack() as undo:
            undo.callback(self.close)
            self.open(facts, terminal)
            undo.pop_all()

    def open(self, facts: dict, terminal: int) -> None:
        """Its pipes, its terminal (from who has just made it, else from the keeper), its process."""
        for stream in ("stdout", "stderr"):
            if (fd := open_pipe(facts, stream)) >= 0:
                self.pipes[fd] = stream
        self.writer.resume({stream: fd for fd, stream in self.pipes.items()})
        config = facts["config"]
        if config["open_stdin"] and not config.get("stdin_once"):  # it stays open, whether the keeper lives or not
            self.stdin = open_pipe(facts, "stdin")
        if config["tty"]:
            self.master = Keeper.give(f"{self.ident}/terminal") if terminal < 0 else os.dup(terminal)
        if self.master >= 0:
            os.set_blocking(self.master, False)
        self.ways = [(name, fd) for name in facts["state"].get("held") or () if (fd := Keeper.give(f"{self.ident}/{name}")) >= 0]
        self.pidfd = pidfd_of(facts)
        self.give_back()
        if standby.no_room(max(self.sources, default=0)):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    def targets(self) -> list[tuple[str, int] | None]:
        """Where each of its ways leads now: it may have been taken off a network meanwhile, or put on another. Raises ``OSError``."""
        facts = kept.load(self.place) if self.ways else {}
        return [inside(facts, name) for name, _ in self.ways]

    @property
    def sources(self) -> list[int]:
        """What the loop waits at."""
        return [fd for fd in (*self.pipes, self.master, self.pidfd) if fd >= 0]

    def copy(self, fd: int) -> bool:
        """Take what has come; False if there is no room for it just now, or nothing more will come."""
        if fd == self.master:
            return self.type()
        try:
            self.writer.take(fd, self.pipes[fd])
        except OSError as error:
            self.why_not = error.errno
            return False
        self.why_not = 0
        return True

    def type(self) -> bool:
        """What a terminal shows goes into the pipe, within the kernel, and from there to the log: so nothing is lost if we are killed."""
        out = next(iter(self.pipes), None)
        try:
            return out is not None and os.splice(self.master, out, AT_ONCE, flags=os.SPLICE_F_NONBLOCK) > 0
        except BlockingIOError:  # the pipe is full
            return self.copy(out)
        except OSError:  # EIO: nobody has the terminal open any more
            return False

    def drain(self) -> bool:
        """Take the last words. Nobody writes any more, so there is an end to it; False if there is no room for them just now."""
        deadline = time.monotonic() + PATIENCE
        while self.more() and time.monotonic() < deadline:
            copied = [self.copy(fd) for fd in self.pipes]  # each of them, even if the first has no room
            if self.why_not in NO_ROOM:
                return not self.place.exists()  # removed meanwhile, it needs none
            if not all(copied):
                time.sleep(0.05)
        return True

    def more(self) -> bool:
        if self.master >= 0 and self.pipes:  # they may have gone: an earlier manager was killed while it settled this one
            with suppress(OSError):
                while os.splice(self.master, next(iter(self.pipes)), AT_ONCE, flags=os.SPLICE_F_NONBLOCK) > 0:
                    pass
        return any(linux.waiting_in(fd) for fd in self.pipes)

    def give_back(self) -> None:
        """Have the keeper hold what we hold: if we are killed, and the container ends, its last words go with the last who holds its pipes.

        A keeper that has come after one that was killed has no terminal either: who wants to attach asks us first.
        """
        held = {stream: fd for fd, stream in self.pipes.items()} | {"terminal": self.master}
        for name, fd in held.items() if self.pidfd >= 0 else ():
            if fd >= 0:
                Keeper.hold(f"{self.ident}/{name}", fd)

    def close(self) -> None:
        for fd in (*self.sources, self.stdin):
            if fd >= 0:
                os.close(fd)
        self.pipes, self.master, self.pidfd, self.stdin = {}, -1, -1, -1
        self.writer.close()


def inside(facts: dict, name: str) -> tuple[str, int] | None:
    """Where what comes to a held port is to go: over the container's way out, in IPv4 if it has that; nowhere if it has none."""
    protocol, number = name.split("-")[1:3]
    port = next(one["port"] for one in facts["state"]["ports"] if (one["protocol"], one["host"]) == (protocol, int(number)))
    there = facts["state"]["networks"].values()  # an older suitcase did not say which one leads
    return next(((one["ipv4"] or one["ipv6"], port) for one in there if one.get("leads", True)), None)


def open_pipe(facts: dict, stream: str) -> int:
    """-1 if there is none: the machine was started anew, or a terminal has no stderr."""
    try:
        return os.open(run_folder(facts["id"]) / stream, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return -1
