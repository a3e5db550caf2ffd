"""Containers that are started again by their policy: when, the manager's loop learns here; how, is for a program of its own (``starting``).

Starting needs images, ingredients and networks. In the manager all that would stay in memory for good, and a start, some hundredths of a
second of Python, would hold up who copies. A program goes away with what it has loaded, and what it has begun it ends, though the manager
be killed meanwhile. One takes along all that are due.
"""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress
from pathlib import Path

from lib.engine import moments
from lib.engine.daemons import standby
from lib.engine.plays import restarting
from lib.state import kept

AT_ONCE = 2  # programs, so that one start that hangs does not hold up all others


class Again:
    """Who waits for the next try, and who is being started just now. ``events`` is where the manager waits."""

    def __init__(self, events: select.epoll):
        self.events = events
        self.due: dict[Path, float] = {}
        self.starting: dict[int, dict[Path, int]] = {}  # by the program's pidfd: those whom it starts, and for the how many'th time
        self.failed: dict[Path, float] = {}  # seconds that the last try waited which did not even come to a start

    def __len__(self) -> int:
        return len(self.due) + len(self.starting)

    def expect(self, place: Path, facts: dict) -> None:
        """This one waits for its next try."""
        tries = restarting.tries_of(facts)
        if not any(some.get(place) == tries.count for some in self.starting.values()):
            since = time.time() - moments.seconds(facts["state"]["finished"])
            self.due[place] = time.monotonic() + max(restarting.left(tries, since), self.failed.get(place, 0))

    def patience(self) -> float | None:
        """Seconds until somebody is due; None if nobody is, or no more can be started at a time."""
        if not self.due or len(self.starting) >= AT_ONCE:
            return None
        return max(0.0, min(self.due.values()) - time.monotonic())

    def start(self) -> None:
        """Start all that are due."""
        due = [place for place, moment in self.due.items() if moment <= time.monotonic()]
        if due and len(self.starting) < AT_ONCE:
            for place in due:
                del self.due[place]
            if counts := {place: count for place in due if (count := waiting(place))}:
                self.begin(counts)

    def begin(self, counts: dict[Path, int]) -> None:
        try:
            pidfd = begun(*map(str, counts))
        except OSError:  # no process is left, or no descriptor
            return self.put_off(counts)
        self.starting[pidfd] = counts
        self.events.register(pidfd, select.EPOLLIN)

    def ended(self, pidfd: int) -> list[Path]:
        """A program has: those whom it was to start. Who waits as before was not even tried (it was killed, say): that is put off."""
        counts = self.starting.pop(pidfd)
        self.events.unregister(pidfd)
        with suppress(ChildProcessError):
            os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
        os.close(pidfd)
        as_before = {place: count for place, count in counts.items() if waiting(place) == count}
        for place in counts.keys() - as_before:
            self.failed.pop(place, None)
        self.put_off(as_before)
        return list(counts)

    def put_off(self, counts: dict[Path, int]) -> None:
        for place in counts:
            self.failed[place] = restarting.backoff(self.failed.get(place, 0), 0)
            self.due[place] = time.monotonic() + self.failed[place]

    def forget_who_has_gone(self) -> None:
        """Who was stopped or removed meanwhile is not waited for."""
        for place in list(self.due):
            if not waiting(place):
                del self.due[place]
                self.failed.pop(place, None)


def begun(*places: str) -> int:
    """A program that starts those in these folders; its pidfd. Raises ``OSError``, and then there is none: nobody would hear of its end."""
    pid = standby.started("starting", *places)
    try:
        return os.pidfd_open(pid)
    except OSError:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise


def waiting(place: Path) -> int:
    """The how many'th try it waits for; 0 if it waits for none (any more)."""
    with suppress(FileNotFoundError, NotADirectoryError, kept.Unreadable):
        facts = kept.load(place)
        return restarting.tries_of(facts).count if facts["state"]["status"] == "restarting" else 0
    return 0
