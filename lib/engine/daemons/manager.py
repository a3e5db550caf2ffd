"""The manager: reads what containers print and appends it to their logs; when one has ended and its pipes are empty, it settles it. And it
has their questions after names answered.

Whatever it knows it can learn again: from the containers' folders, from their pipes, which have names, and from the keeper, which holds
terminals. So it may be killed at any time; output waits in the pipes, and the keeper starts the next manager, or the next command does.

One loop copies, and never waits for anything else; what may take its time (undoing, removing) is done in threads. Started as a file, by
``daemons``; ends some seconds after there is nothing to look after.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from functools import cached_property
from pathlib import Path

if __name__ == "__main__":  # started as a file, with no search path: the folder four above this one holds `lib`
    sys.path.insert(0, os.path.abspath(f"{__file__}/../../../.."))

from lib import linux
from lib.engine.daemons import standby
from lib.engine.daemons.again import Again
from lib.engine.daemons.calling import QUERIES
from lib.engine.daemons.checking import Checks
from lib.engine.daemons.guarding import Guard
from lib.engine.daemons.nameserving import Names
from lib.engine.daemons.settling import settle
from lib.engine.daemons.tie import Tie
from lib.engine.daemons.watched import Watched
from lib.engine.vitality import alive
from lib.process.messages import with_descriptors
from lib.state import kept

ITS_END = 1  # second that a thread may take from the last thing that it writes down to its end
TURNS = 3  # threads for each processor that may undo something at a time: a hundred would stand in each other's way
LATER = 0.2  # seconds until what cannot be done now (a full disk, another manager) is tried again


class Manager:
    """One loop over the pipes of all containers."""

    def __init__(self, door: socket.socket):
        self.door, self.events = door, select.epoll()
        self.callers = standby.Callers(door, self.events)
        self.watched: dict[Path, Watched] = {}
        self.sources: dict[int, Watched] = {}
        self.later: dict[Path, float] = {}  # folders to look at again, and when
        self.settling: dict[Path, Watched] = {}
        self.settled: deque[Path] = deque()  # told by their threads, which wake us
        self.names, self.guard, self.again = Names(), Guard(), Again(self.events)
        self.tie = Tie(self.events, self.give_back)
        self.checks = Checks(self.events, lambda: self.tie.line)
        self.turns = threading.BoundedSemaphore(TURNS * len(os.sched_getaffinity(0)))
        self.woken = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.events.register(self.woken, select.EPOLLIN)

    @cached_property
    def relay(self):
        """Few containers publish a port: until then there is no thread."""
        from lib.engine.daemons.relay import Relay

        return Relay()

    @property
    def idle(self) -> bool:
        return not (self.watched or self.settling or self.callers or self.later or self.again)

    def run(self) -> None:
        """Until nobody has knocked for ``LINGER`` seconds, and there is no container."""
        self.tie.keep(True)  # whoever started us hears that we are there, though there be nothing to do
        for facts in kept.every():
            self.look(kept.place(facts))
        until = time.monotonic() + standby.LINGER
        while time.monotonic() < until or not self.idle:
            ready = self.events.poll(self.patience(until), 256)
            for fd, _ in ready:
                self.serve(fd)
            self.try_again()
            self.again.start()
            self.checks.go_on()
            self.tie.keep(bool(self.watched or self.settling or self.again))
            if ready:
                until = time.monotonic() + standby.LINGER

    def patience(self, until: float) -> float | None:
        """How long to wait for something to happen: for ever, while there are containers and nothing is to be tried again."""
        waits = [LATER] if self.later else [max(0, until - time.monotonic())] if self.idle else []
        waits += filter(lambda one: one is not None, (part.patience() for part in (self.again, self.tie, self.checks)))
        return min(waits, default=None)

    def serve(self, fd: int) -> None:
        if fd == self.door.fileno():
            self.callers.let_in()
        elif fd == self.woken:
            os.eventfd_read(fd)
            self.look_at_settled()
        elif fd in self.callers:
            self.hear(self.callers[fd])
        elif fd == self.tie.fileno():
            self.tie.lost()
        elif fd in self.checks.sources:
            self.checks.serve(fd)
        elif fd in self.again.starting:
            for place in self.again.ended(fd):
                self.look(place)
        elif one := self.sources.get(fd):
            self.copy(one, fd)

    def hear(self, caller: socket.socket) -> None:
        """One message is the folder of a container; ``rest`` asks us to end, if there is nothing to do."""
        with suppress(OSError):
            word, fds, _ = with_descriptors(caller, 1)
            if word == b"rest":
                self.rest()
            elif word.startswith(QUERIES):
                return caller.send(self.names.told(word[len(QUERIES) :].decode()), socket.MSG_DONTWAIT)
            elif word:
                try:
                    self.look(Path(os.fsdecode(word)), *fds)
                finally:
                    for fd in fds:
                        os.close(fd)
                caller.send(b"%d" % self.obstacle(Path(os.fsdecode(word))))
                return
        self.callers.part_with(caller)

    def rest(self) -> None:
        self.again.forget_who_has_gone()
        if not (self.watched or self.settling or self.later or self.again or len(self.callers) > 1):
            self.tie.part()
            raise SystemExit

    def give_back(self) -> None:
        """To a keeper that has come after one that was killed."""
        for one in self.watched.values():
            self.names.give_back(one.ident)
            one.give_back()

    def look(self, place: Path, terminal: int = -1) -> None:
        """Watch the container in this folder, if it runs or has to be settled; if that cannot be now (another manager does), see later."""
        if one := self.watched.get(place):
            self.serve_names(one)
            self.names.give_back(one.ident)
            self.ask_health(one)
            self.lead(one)
            return one.give_back()
        self.later.pop(place, None)
        try:
            if not self.has_to_be_watched(place):
                return
            one = Watched(place, terminal)
        except (FileNotFoundError, NotADirectoryError, ValueError, LookupError, TypeError):  # it has gone, or is none of ours
            return
        except OSError:
            self.later[place] = time.monotonic() + LATER
            return
        self.watched[place] = one
        self.tie.keep(True)  # before anybody is told that we look after it
        if one.networked:
            self.guard.begin()
        for _, fd in one.ways:
            self.relay.open(one.ident, fd)
        self.lead(one)
        for fd in one.sources:
            self.sources[fd] = one
            self.events.register(fd, select.EPOLLIN)
        if one.pidfd < 0:
            self.end(one)
        else:
            self.serve_names(one)
            self.ask_health(one)

    def ask_health(self, one: Watched) -> None:
        """From now on; or it was paused, or goes on."""
        with suppress(OSError, ValueError):  # it is being removed
            self.checks.look(kept.load(one.place))

    def lead(self, one: Watched) -> None:
        """What comes to its published ports goes to where it is now."""
        with suppress(OSError, ValueError):  # it is being removed
            if targets := one.targets():
                self.relay.lead(one.ident, targets)

    def serve_names(self, one: Watched) -> None:
        if not self.names.serve(one.ident, linux.pid_of(one.pidfd)):
            self.later[one.place] = time.monotonic() + LATER

    def has_to_be_watched(self, place: Path) -> bool:
        """Not while it is settled already; but it may have been started again, and then that thread is at its end."""
        facts = kept.load(place)
        if one := self.settling.get(place):
            if not alive(facts):
                return False
            one.settler.join(ITS_END)
        status = facts["state"]["status"]  # whoever removes it holds its lock; if nobody does, he was killed, and we go on
        if status == "restarting":
            self.again.expect(place, facts)
        return status in kept.UP or (status == "removing" and not kept.busy(place))

    def obstacle(self, place: Path) -> int:
        """The errno that keeps a container from being settled, 0 if nothing does."""
        return self.settling[place].why_not if place in self.settling else 0

    def copy(self, one: Watched, fd: int) -> None:
        """Take what there is. Who cannot be served now (the disk is full) waits, and nobody else."""
        if fd == one.pidfd:
            self.end(one)
        elif not one.copy(fd):
            self.events.unregister(fd)  # it would be told again and again that there is something
            one.paused.add(fd)
            self.later[one.place] = time.monotonic() + LATER

    def try_again(self) -> None:
        for place in [place for place, moment in self.later.items() if moment <= time.monotonic()]:
            if one := self.watched.get(place):
                del self.later[place]
                while one.paused:
                    self.events.register(one.paused.pop(), select.EPOLLIN)
                self.serve_names(one)
            else:
                self.look(place)

    def end(self, one: Watched) -> None:
        """It has ended: from now on it is looked after in a thread of its own."""
        for fd in one.sources:
            if fd not in one.paused:
                self.events.unregister(fd)
            del self.sources[fd]
        del self.watched[one.place]
        if one.ways:
            self.relay.close(one.ident)
        self.names.forget(one.ident)
        self.checks.end(one.ident)
        self.later.pop(one.place, None)
        try:
            one.settler = threading.Thread(target=self.finish, args=(one,))
            one.settler.start()
            self.settling[one.place] = one
        except RuntimeError:  # no more processes: a pids limit is reached
            one.close()
            self.later[one.place] = time.monotonic() + LATER

    def finish(self, one: Watched) -> None:
        """In a thread: the last words, the settling, and what we held of it. On a full disk that takes until there is room."""
        try:
            while not settled(one, self.turns):
                time.sleep(LATER)
        finally:
            one.close()
            self.settled.append(one.place)
            os.eventfd_write(self.woken, 1)

    def look_at_settled(self) -> None:
        """It may have been started again meanwhile."""
        while self.settled:
            place = self.settled.popleft()
            self.settling.pop(place, None)
            self.look(place)


def settled(one: Watched, turns: threading.BoundedSemaphore) -> bool:
    """Whether that could be done; else it is tried again: the disk is full, a cgroup is busy, or what nobody has thought of."""
    try:
        if not one.drain():
            return False
        settle(one.place, one.pidfd, turns)
    except Exception as error:
        one.why_not = getattr(error, "errno", None) or errno.EBUSY
        return False
    return True


def main(folder: str, name: str) -> None:
    """Look after the containers of the store, and of whoever comes to the door ``name`` of the run folder."""
    door = standby.settled_down("manager", folder, name)
    if door is None:
        return
    standby.ready()
    try:
        Manager(door).run()
    finally:
        standby.close(folder, name)


if __name__ == "__main__":
    main(*sys.argv[1:])
