"""A place is a network namespace of its own: a laptop, a server, the Internet, without a second machine and without touching this one's.

A thread that has left for the namespace keeps it alive; when it ends, all that was in there is gone. There are two ways in:

    host(subprocess.run, ["ip", "addr"])     # the thread does it
    with host:                               # whoever enters does it himself: whatever he opens or starts belongs there
        suitcase("network create front")

See network_namespaces(7).
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from glob import glob
from queue import SimpleQueue

from lib import linux
from lib.process import Starter
from lib.shield import Shield

THERE = ("File exists", "Address already assigned.")  # how ip says it


class Place:
    """A network namespace, and the thread in it."""

    def __init__(self, name: str):
        self.name, self.way_home, self.closed, self.door = name, [], False, -1
        self.calls: SimpleQueue = SimpleQueue()  # made in C: an interrupt cannot leave it locked, as it can a pool of threads
        self.thread = threading.Thread(target=self.live, name=name, daemon=True)
        with Shield():
            self.thread.start()
            try:
                self(linux.unshare, "net")
                self.tid = self(threading.get_native_id)
                self.ip("link set lo up")
            except BaseException:
                self.close()
                raise

    def live(self) -> None:
        """In the thread: whatever it is asked to do, until it is asked no more."""
        while asked := self.calls.get():
            call, answer = asked
            try:
                answer.put((call(), None))
            except BaseException as error:
                answer.put((None, error))
            del asked, call, answer  # and what they hold

    def __call__(self, call: Callable, *args, **more):
        """Call something in there. Raises ``ValueError`` when it is no more."""
        if self.closed:
            raise ValueError(f"{self.name} has been tidied away: run the cell again that made it")
        answer: SimpleQueue = SimpleQueue()
        self.calls.put((partial(call, *args, **more), answer))
        found, error = answer.get()
        if error:
            raise error
        return found

    def __enter__(self) -> Place:
        """Go there; what is opened and started until the block ends belongs there."""
        depth = len(self.way_home)
        try:
            with Shield():
                self.enter()
        except BaseException:  # an interrupt that came meanwhile: then nobody calls __exit__
            if len(self.way_home) > depth:
                self.__exit__()
            raise
        return self

    def enter(self) -> None:
        Starter.prepare()  # it stays where it is made, and is asked long after we have come home
        if self.door < 0:  # held from now on: at the end of a Python its threads end before anything else
            self.door = self(os.open, "/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            linux.setns(self.door, "net")
        except BaseException:
            os.close(home)
            raise
        self.way_home.append(home)

    def __exit__(self, *error) -> None:
        with Shield():
            home = self.way_home.pop()
            linux.setns(home, "net")
            os.close(home)

    def __str__(self) -> str:
        """As ip(8) wants a namespace: the number of somebody who is in it."""
        return str(self.tid)

    def run(self, *argv: str, text: str = "") -> str:
        """Run a program in there: what it printed."""
        done = self(subprocess.run, argv, input=text, capture_output=True, text=True)
        if done.returncode:
            raise ValueError(f"{self.name}: {' '.join(argv)}: {done.stderr}\n{text}".strip())
        return done.stdout

    def ip(self, *lines: str) -> None:
        """Commands for ip(8), one after the other. What is there already stays, so that a cell can be run again."""
        done = self(subprocess.run, ["ip", "-force", "-batch", "-"], input="\n".join(lines), capture_output=True, text=True)
        refused = [line for line in done.stderr.splitlines() if not line.startswith("Command failed")]
        if done.returncode and (wrong := [line for line in refused if not line.endswith(THERE)]):
            raise ValueError(f"{self.name}: {'; '.join(wrong)} ({'; '.join(lines)})")
        self(ask_again_soon)

    def sysctl(self, name: str, value: str) -> None:
        self(linux.write, f"/proc/sys/net/{name}", value)

    def close(self) -> None:
        with Shield():
            self.closed = True
            self.calls.put(None)
            self.thread.join()
            if self.door >= 0:
                os.close(self.door)
                self.door = -1


def ask_again_soon() -> None:
    """A cable that was just plugged in may lose the first question; and ARP would ask again only after a second. See arp(7)."""
    for path in glob("/proc/sys/net/ipv4/neigh/*/retrans_time_ms"):
        with suppress(FileNotFoundError):
            linux.write(path, "100")


def cable(here: Place, name: str, there: Place, inside: str, addresses: Iterable[str], *routes: str) -> None:
    """A cable between two places; the far end gets addresses and routes (``default via 10.0.0.1``)."""
    here.ip(f"link add {name} type veth peer name {inside} netns {there}", f"link set {name} up")
    own = (f"addr add {one} dev {inside}{' nodad' * (':' in one)}" for one in addresses)
    there.ip(f"link set {inside} up", *own, *(f"route add {one}" for one in routes))
