"""What a container prints, as its log has it: a source for a session. The log is whole, and in order, whoever of us is killed meanwhile."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from lib.cli.attached.sources import STREAMS
from lib.engine.daemons import endings
from lib.engine.daemons.calling import Manager
from lib.engine.log.reader import Follower
from lib.state import kept


class LogSource:
    """From now on, until the container has ended and the last of it was read. Made before the container is started; then ``started``.

    ``log`` is what is read, if that is not all that comes from now on.
    """

    def __init__(self, place: Path, streams: Collection[str] = STREAMS, log: Follower | None = None):
        self.place, self.streams = place, streams
        self.log = log or Follower(place, from_start=False)
        self.more = os.eventfd(1, os.EFD_NONBLOCK | os.EFD_CLOEXEC)  # can be read while there may be more, which nothing will tell of again
        self.ready, self.manager = select.epoll(), None
        for fd in (self.more, *([self.log.fileno()] if self.log.fileno() >= 0 else [])):
            self.ready.register(fd, select.EPOLLIN)

    def started(self, facts: dict) -> None:
        """It runs. Its next start is not ours."""
        self.state, self.this_time = facts["state"], facts["state"]["started"]
        self.call_manager()

    def fileno(self) -> int:
        """-1 where the kernel cannot tell us of new output (a user may have so many inotify descriptors and no more): look now and then."""
        return self.ready.fileno() if self.log.fileno() >= 0 else -1

    def read(self) -> list[tuple[str, bytes]] | None:
        """What is new; None at the end.

        A look at the log takes what has woken us. So whether it is over is asked after it: what comes later wakes us again.
        """
        if not (found := self.log.read()):
            if not self.over():
                self.rest()
                return []
            if not (found := self.log.read()):  # all that it has printed is on the log by now
                return None
        os.eventfd_write(self.more, 1)
        return [(stream, data) for stream, data in found if stream in self.streams]

    def over(self) -> bool:
        try:
            self.state = kept.load(self.place)["state"]
        except FileNotFoundError:
            return True
        return self.state["status"] not in kept.UP or "ended" in self.state or self.state["started"] != self.this_time

    def exit_code(self) -> int:
        """How this run of it ended, if that is known: it may have been removed, or started again, before we looked."""
        if (last := self.state.get("last")) and last["started"] == self.this_time:
            return last["exit_code"]
        known = self.state["started"] == self.this_time and (self.state["status"] not in kept.UP or "ended" in self.state)
        return self.state["exit_code"] if known else endings.UNKNOWN

    def rest(self) -> None:
        """Nothing is there. Should the manager have been killed, the next one writes on."""
        if self.manager is None or ended(self.manager):
            self.call_manager()
        with suppress(BlockingIOError):
            os.eventfd_read(self.more)

    def call_manager(self) -> None:
        if self.manager:
            self.ready.unregister(self.manager)
            self.manager.close()
        self.manager = Manager.stay(self.place)
        self.ready.register(self.manager, select.EPOLLIN)

    def close(self) -> None:
        self.log.close()
        os.close(self.more)
        self.ready.close()
        if self.manager:
            self.manager.close()


def ended(line: socket.socket) -> bool:
    """Has the other side gone? All that it ever says is that it has looked."""
    try:
        while line.recv(1):
            pass
        return True
    except BlockingIOError:
        return False
    except OSError:
        return True
