"""A container's files as it sees them itself, volumes included, behind one descriptor: that of its root.

No program of the container's is run, and nothing of ours goes in there. Of one that runs, ``/proc/PID/root`` leads into its own mount
namespace, tmpfs and all; joining that namespace would give no more, and would have our process look for its own files in there. One that
does not run has no namespace: then a child of ours puts the layers and volumes together as a start would, hands its root over, and waits,
without ever becoming the program. Whatever is looked up below this root, the kernel resolves in it (openat2(2), RESOLVE_IN_ROOT).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from lib import linux, state
from lib.engine import lifecycle, making
from lib.engine.vitality import pidfd_of
from lib.images import Library
from lib.ingredients import Bind, RootFS, User
from lib.process import Plan, Ref, Step
from lib.state import kept

ROOT = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


@contextmanager
def root_of(library: Library, facts: dict) -> Iterator[int]:
    """A descriptor of a container's root. One that does not run is not started, or removed, as long as this lasts."""
    fd = of_running(facts)
    if fd is None:
        with kept.locked(kept.place(facts)) as now:
            if (fd := of_running(now)) is None:
                with of_stopped(library, now) as root:
                    yield root
                return
    try:
        yield fd
    finally:
        os.close(fd)


def of_running(facts: dict) -> int | None:
    """None if it does not run, paused or not; one that has just ended does not: its pid may be another's by now."""
    pidfd = pidfd_of(facts)
    if pidfd < 0:
        return None
    try:
        fd = os.open(f"/proc/{facts['state']['pid']}/root", ROOT)
        if not linux.readable([pidfd], 0):
            return fd
        os.close(fd)
    except (FileNotFoundError, ProcessLookupError):
        pass
    finally:
        os.close(pidfd)
    return None


class HandOver:
    """An ingredient: the root, when it is whole, goes over the socket ``line`` to the caller."""

    def __init__(self, line: int):
        self.line = line

    def steps(self) -> list[Step]:
        return [
            Step("prepare", "dup", (self.line,), "for a descriptor to come back", gives="view"),
            Step("names", "send_root", (Ref("view"),), "the caller reads and writes from outside"),
        ]


@contextmanager
def of_stopped(library: Library, facts: dict) -> Iterator[int]:
    """Hold its lock meanwhile: two overlays must not write to one folder."""
    lifecycle.leftovers(kept.place(facts))
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        plan = Plan(["/"], [*([User()] if os.geteuid() else []), files_of(library, facts), HandOver(theirs.fileno())])
        plan.name = f"cp-{state.new_id()}"
        with plan.create():
            _, (fd, *_), _, _ = socket.recv_fds(ours, 16, 1)
            try:
                yield fd
            finally:
                os.close(fd)


def files_of(library: Library, facts: dict) -> RootFS:
    """Its layers, its folder to write in, its volumes; nothing of the kernel's, no tmpfs (it would be a new one), no device that works."""
    made = making.container(library, facts, mounts=lifecycle.mounts_of(library, facts))
    shown = sorted((one for one in made.rootfs.mounts if isinstance(one, Bind)), key=lambda one: one.target.count("/"))
    return replace(made.rootfs, bare=True, files={}, mounts=shown, privileged=False)
