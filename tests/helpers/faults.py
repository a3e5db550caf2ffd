"""Somebody is shot at a message: a command, the keeper, a manager. Or there is no descriptor, no process left for them."""

from __future__ import annotations

import os
import resource
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from helpers.lives import pid_of, shoot
from helpers.waiting import wait_for
from lib import linux
from lib import state as places
from lib.engine.daemons import calling, standby
from lib.engine.daemons.manager import Manager
from lib.ingredients.cgroups import PARENT, backend


class Fault:
    """At the ``at``-th message that this process sends: somebody is shot, before or after it is sent."""

    def __init__(self, at: int, late: bool, victim: str):
        self.left, self.late, self.victim = at, late, victim
        self.originals = {name: getattr(socket.socket, name) for name in ("send", "sendmsg")}

    def shot(self) -> None:
        self.left = -1
        if self.victim == "command":
            os.kill(os.getpid(), signal.SIGKILL)
        shoot(self.victim)

    def wrapped(self, original):
        def call(sock, *args):
            if self.left <= 0:
                return original(sock, *args)
            self.left -= 1
            if self.left:
                return original(sock, *args)
            if not self.late:
                self.shot()
            done = original(sock, *args)
            if self.late:
                self.shot()
            return done

        return call

    def __enter__(self):
        for name, original in self.originals.items():
            setattr(socket.socket, name, self.wrapped(original))
        return self

    def __exit__(self, *_):
        for name, original in self.originals.items():
            setattr(socket.socket, name, original)


def in_a_process(deed) -> bool:
    """Did it come to its end there? Else it was shot."""
    if (pid := os.fork()) == 0:
        try:
            deed()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


class ToldFault(Fault):
    """One that says so, to whoever reads ``told``."""

    def __init__(self, at: int, late: bool, victim: str, told: int):
        super().__init__(at, late, victim)
        self.told = told

    def shot(self) -> None:
        os.write(self.told, b"!")
        super().shot()


def doctored_manager(fault: ToldFault) -> int:
    """A manager, whose messages count; its pid. It is there when this returns: that is not looked for, as it may be shot in no time."""
    listens, telling = os.pipe()
    if pid := os.fork():
        os.close(telling)
        with open(listens, "rb") as told:
            assert told.read(1)
        return pid
    try:
        folder = str(places.our_runtime_dir())
        door = wait_for(lambda: standby.listen(folder, calling.door("manager")))  # the last one may be just about to end
        os.write(telling, b"!")
        with fault:
            Manager(door).run()
    finally:
        os._exit(0)


@contextmanager
def limited(daemon: str) -> Iterator[None]:
    """A keeper or a manager that may open no more files than it keeps free for its callers: whatever it is asked for, there is no room.

    Not as many as it has open now: a caller who has just left counts until it is seen that he has.
    """
    pid = pid_of(daemon)
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (standby.RESERVE, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


@contextmanager
def full_table(*pids: int) -> Iterator[None]:
    """A cgroup in which these processes are, and that holds no more than them."""
    top = backend().tops["pids"]
    place, home = f"{top}/{PARENT}/full-table", {pid: f"{top}{of_pids(pid)}" for pid in pids}
    os.makedirs(place)
    linux.write(f"{place}/pids.max", str(sum(len(os.listdir(f"/proc/{pid}/task")) for pid in pids)))
    try:
        for pid in pids:
            linux.write(f"{place}/cgroup.procs", str(pid))
        yield
    finally:
        for pid, back in home.items():
            with suppress(OSError):  # it has ended
                linux.write(f"{back}/cgroup.procs", str(pid))
        wait_for(lambda: not linux.read(f"{place}/cgroup.procs"))
        os.rmdir(place)


def of_pids(pid: int) -> str:
    return next(line.split(":")[2] for line in linux.read(f"/proc/{pid}/cgroup").splitlines() if line.split(":")[1] == "pids")
