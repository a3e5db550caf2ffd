"""Before a user's command does anything: into the network namespace of his own, where he may make bridges. See ``daemons.network``."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time

from lib import linux
from lib.engine.daemons.calling import answered, knock
from lib.engine.daemons.standby import OWN
from lib.netfilter import programs, slirp
from lib.network import possible
from lib.process.messages import with_descriptors

ENDING = 5  # seconds that a thread may need to be put away; on a machine with nothing else to do it takes no time


def enter(begin: bool) -> None:
    """Go in, if there is one; with ``begin`` make it if need be. From then on we have all rights in there, and none more outside.

    Root needs none. Where it cannot be, containers have no network of their own accord, and whoever asks for one hears why.
    """
    if os.geteuid() == 0:
        return
    if not alone():
        possible.hindrance = "a process of several threads, as a notebook's, cannot go there: type the command in a terminal"
    elif not programs.find(slirp.PROGRAM):
        possible.hindrance = f"it takes {slirp.PROGRAM}, which is not installed"
    else:
        try:
            if begin:
                answered("network", go_in)
            else:
                with knock("network") as line:
                    go_in(line)
        except OSError as error:
            possible.hindrance = error.strerror or str(error)


def alone() -> bool:
    """Whether this process has one thread only, as setns(2) wants it of whoever enters a user namespace.

    A thread that Python has waited for need not be gone: it has said its last word, and the kernel may still be putting it away.
    """
    deadline = time.monotonic() + ENDING
    while threading.active_count() == 1 and time.monotonic() < deadline:
        if len(os.listdir("/proc/self/task")) == 1:
            return True
        time.sleep(0.001)
    return False


def go_in(line: socket.socket) -> None:
    """Raises ``OSError``."""
    line.send(b"enter")
    _, fds, _ = with_descriptors(line, len(OWN))
    if not fds:
        raise ConnectionResetError(errno.ECONNRESET, "whoever holds your network has just ended: try again")
    try:
        for fd, kind in zip(fds, OWN, strict=True):
            linux.setns(fd, kind)
        linux.hand_on_capabilities()
    finally:
        for fd in fds:
            os.close(fd)
