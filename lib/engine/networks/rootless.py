"""Before a user's command does anything: into the network namespace of his own, where he may make bridges. See ``daemons.network``."""

from __future__ import annotations

import errno
import os
import socket

from lib import linux
from lib.engine.daemons.calling import answered, knock
from lib.engine.daemons.standby import OWN
from lib.netfilter import programs, slirp
from lib.network import possible
from lib.process.messages import with_descriptors


def enter(begin: bool) -> None:
    """Go in, if there is one; with ``begin`` make it if need be. From then on we have all rights in there, and none more outside.

    Root needs none. Where it cannot be, containers have no network of their own accord, and whoever asks for one hears why.
    """
    if os.geteuid() == 0:
        return
    if len(os.listdir("/proc/self/task")) > 1:
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
