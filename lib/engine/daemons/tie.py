"""The manager's line to the keeper, open as long as it looks after a container: so each hears at once that the other was killed.

The keeper then starts the next manager (``Keeper.guard``), and the manager, here, the next keeper, to which it gives back what it holds.
"""

from __future__ import annotations

import marshal
import os
import select
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress

from lib import state
from lib.engine.daemons import standby
from lib.engine.daemons.calling import FORMAT, door, knock
from lib.engine.plays.reviving import Reviving

LOOK = 0.1  # seconds between two looks at whether the next one is there
GUARD, PART = (marshal.dumps({"do": word, "fds": []}, FORMAT) for word in ("guard", "part"))


class Tie:
    """``events`` is where the manager waits; ``again`` is called when there is a keeper once more."""

    def __init__(self, events: select.epoll, again: Callable[[], object]):
        self.events, self.again, self.reviving = events, again, Reviving()
        self.children: set[int] = set()  # programs that were started and are to be waited for: each leaves a child of its own, and ends
        self.line: socket.socket | None = None

    def keep(self, wanted: bool) -> None:
        """Have the line, if there is a container; without one take leave."""
        self.reap()
        if not wanted:
            self.part()
        elif self.line is None and not self.connected():
            self.reviving.lost(time.monotonic())
            if self.patience() == 0:
                self.start()

    def patience(self) -> float | None:
        """Seconds until somebody is to be started, or looked for."""
        left = self.reviving.left(time.monotonic())
        if self.children or (left is not None and not self.line):
            return LOOK if left is None else min(left, LOOK)
        return left

    def connected(self) -> bool:
        with suppress(OSError), ExitStack() as undo:
            line = undo.enter_context(knock("keeper"))
            line.send(GUARD)
            line.setblocking(False)
            undo.pop_all()
            self.line = line
            self.events.register(self.line.fileno(), select.EPOLLIN)
            known = self.reviving.since > 0
            self.reviving.here(time.monotonic())
            if known:
                self.again()
            return True
        return False

    def start(self) -> None:
        """Nobody is there: start one, and look for it in a moment."""
        self.reviving.started(time.monotonic())
        with suppress(OSError):  # no process is left: later
            self.children.add(standby.started("daemons/keeper", str(state.runtime_dir()), door("keeper")))

    def reap(self) -> None:
        self.children -= {pid for pid in self.children if os.waitpid(pid, os.WNOHANG)[0]}

    def fileno(self) -> int:
        return self.line.fileno() if self.line else -1

    def lost(self) -> None:
        """It never says a word on this line, so this is its end."""
        self.close()
        self.reviving.lost(time.monotonic())

    def part(self) -> None:
        """Take leave: nobody need start us again."""
        self.reviving.forget()
        if self.line:
            with suppress(OSError):
                self.line.send(PART)
            self.close()

    def close(self) -> None:
        self.events.unregister(self.line.fileno())
        self.line.close()
        self.line = None
