"""Somebody is shot at a message: a command, the keeper, a manager."""

from __future__ import annotations

import os
import signal
import socket

from helpers.lives import pid_of, shoot
from helpers.waiting import wait_for
from lib import state as places
from lib.engine.daemons import calling, standby
from lib.engine.daemons.manager import Manager


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
    """A manager, whose messages count; its pid."""
    if pid := os.fork():
        wait_for(lambda: pid_of("manager") == pid)
        return pid
    try:
        folder = str(places.our_runtime_dir())
        door = wait_for(lambda: standby.listen(folder, calling.door("manager")))  # the last one may be just about to end
        with fault:
            Manager(door).run()
    finally:
        os._exit(0)
