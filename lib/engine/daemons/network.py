"""A network for who is not root: namespaces of his own, in which he may make bridges, and slirp4netns as their cable to the machine.

In the machine's network namespace only root may plug anything in. But whoever makes a user namespace may do in it, and in a network
namespace that belongs to it, all that root may do elsewhere. So the user's commands go in there before anything else
(``networks.rootless``), and build the same bridges as root does. Their way out is a program that answers a network card of the kernel's
(``tap0``) and opens ordinary sockets outside. See user_namespaces(7), slirp4netns(1).

This process is what holds the two namespaces, and hands them out. It ends some seconds after nobody else is in them, and slirp4netns with
it. Should one of the two be killed, the containers keep their namespaces, and the next holder finds them there.
"""

from __future__ import annotations

import os
import select
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

if __name__ == "__main__":  # started as a file, with no search path: the folder four above this one holds `lib`
    sys.path.insert(0, os.path.abspath(f"{__file__}/../../../.."))

from lib import linux
from lib.engine.daemons import standby
from lib.netfilter import slirp
from lib.network import alive
from lib.process.starter import forget_the_caller
from lib.state.places import common_dir, make_folder, runtime_dir

DAEMONS = ("suitcase:keeper", "suitcase:manage")  # 15 characters of a name: those who live in there as long as any container does


class Holder:
    """Hands out descriptors of both namespaces."""

    def __init__(self, door: socket.socket, cable: int):
        self.door, self.cable = door, cable  # the second is a pidfd
        self.poll = select.poll()
        self.poll.register(cable, select.POLLIN)
        self.callers = standby.Callers(door, self.poll)

    def run(self) -> None:
        """Until nobody is here but we, or the cable is cut."""
        while True:
            events = self.poll.poll(standby.LINGER * 1000)
            if not events and not self.callers and self.alone():
                return
            for fd, _ in events:
                if fd == self.cable:
                    return
                if fd == self.door.fileno():
                    self.callers.let_in()
                elif fd in self.callers:
                    self.hear(self.callers[fd])

    def hear(self, caller: socket.socket) -> None:
        """``enter`` asks for the namespaces, and whoever asks keeps the line until he is in them; ``rest`` asks us to end."""
        word = b""
        with suppress(OSError):
            word = caller.recv(16)
            if word == b"enter":
                with opened("self") as fds:
                    socket.send_fds(caller, [b"here"], fds)
                return
        if word == b"rest" and len(self.callers) == 1 and self.alone():
            raise SystemExit
        self.callers.part_with(caller)

    @staticmethod
    def alone() -> bool:
        """Is no other process in this network namespace, and no bridge, to which somebody is plugged in from elsewhere?"""
        if not {name for _, name in socket.if_nameindex()} <= {"lo", slirp.DEVICE}:
            return False
        return not any(is_with_us(pid, "net") for pid in fellows())


def fellows(names: tuple[str, ...] = ()) -> Iterator[int]:
    """The user's other processes; with ``names`` those that are called so."""
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        with suppress(OSError):
            is_his = pid != os.getpid() and os.stat(f"/proc/{pid}").st_uid == os.geteuid()
            if is_his and (not names or linux.read(f"/proc/{pid}/comm").strip() in names):
                yield pid


@contextmanager
def opened(pid: int | str) -> Iterator[list[int]]:
    """Descriptors of both namespaces of a process."""
    fds: list[int] = []
    try:
        for kind in standby.OWN:
            fds.append(os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC))
        yield fds
    finally:
        for fd in fds:
            os.close(fd)


def is_with_us(pid: int, kind: str) -> bool:
    """Is a process in the namespace of this kind that we are in? One that has just ended is nowhere."""
    with suppress(OSError):
        return os.path.samestat(os.stat(f"/proc/{pid}/ns/{kind}"), os.stat(f"/proc/self/ns/{kind}"))
    return False


def is_left_inside(pid: int) -> bool:
    """Does it belong to this engine, and live in a user namespace that is not ours?"""
    return f"SUITCASE_RUN={runtime_dir()}\0" in linux.read(f"/proc/{pid}/environ") and not is_with_us(pid, "user")


def move_in() -> None:
    """Into the namespaces that an earlier holder has left containers in; else into new ones."""
    for pid in fellows(DAEMONS):
        with suppress(OSError):  # it has just ended
            if is_left_inside(pid):
                with opened(pid) as fds:
                    for fd, kind in zip(fds, standby.OWN, strict=True):
                        linux.setns(fd, kind)
                return
    who = {"uid_map": os.geteuid(), "gid_map": os.getegid()}
    linux.unshare(*standby.OWN)
    linux.write("/proc/self/setgroups", "deny")  # else a dropped group could open what is forbidden to it (CVE-2014-8989)
    for name, number in who.items():  # nobody but the user himself is known in there, and by his own number
        linux.write(f"/proc/self/{name}", f"{number} {number} 1")
    linux.link_up("lo")


def connected() -> slirp.Cable:
    """Inside, with a cable to the outside. Raises ``OSError``."""
    with slirp.started() as cable:  # before we go in: from in there nobody gets out again
        move_in()
        make_folder(common_dir())
        try:
            cable.plug_in(alive.cable())
            alive.let_in_again()
        except BaseException:
            clear()
            raise
    return cable


def clear() -> None:
    with suppress(FileNotFoundError):
        os.unlink(alive.cable())
    with suppress(OSError):  # another of his engines is there still
        common_dir().rmdir()


def main(folder: str, name: str) -> None:
    """Hold the namespaces for whoever comes to the door ``name`` of the run folder."""
    door = standby.settled_down("network", folder, name)
    if door is None:
        return
    forget_the_caller()
    with standby.telling():
        cable = connected()
    standby.ready()
    try:
        Holder(door, cable.pidfd).run()
    finally:
        standby.close(folder, name)
        cable.cut()
        clear()


if __name__ == "__main__":
    main(*sys.argv[1:])
