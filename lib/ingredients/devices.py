"""``--device``: a device of the machine's, in the container too. Who opens it talks to the hardware, past all namespaces.

See mknod(2) and Documentation/admin-guide/devices.txt.
"""

from __future__ import annotations

import os
import re
import stat
from typing import NamedTuple

from lib.process import Step

OWN = {"console", "fd", "mqueue", "ptmx", "pts", "shm"}  # of a /dev: every container has these, and they are no other's


class Device(NamedTuple):
    """A node: where it is on the machine and in the container, ``c`` or ``b``, its numbers, and what may be done (``rwm``)."""

    source: str
    target: str
    kind: str
    major: int
    minor: int
    access: str

    @property
    def rule(self) -> str:
        """For the cgroup of v1, which forbids what is not named."""
        return f"{self.kind} {self.major}:{self.minor} {self.access}"

    def step(self, root: str, rootless: bool) -> Step:
        if rootless:
            return Step("mounts", "bind", (self.source, root, self.target), "--device; mknod is not for user namespaces")
        return Step("mounts", "mknod", (root, self.target, self.kind, self.major, self.minor), "--device: the same driver")


def device_nodes(text: str) -> list[Device]:
    """``/dev/fuse``, ``/dev/sdc:/dev/xvdc:r``; of a folder all that are in it. Raises ``ValueError``."""
    source, target, access = parts(text)
    try:
        found = below(source, target, access) if os.path.isdir(source) else [node(source, target, access)]
    except FileNotFoundError:
        raise ValueError(f'error gathering device information while adding custom device "{source}": no such file or directory') from None
    if not found or None in found:
        raise ValueError(f'error gathering device information while adding custom device "{source}": not a device node')
    return found


def parts(text: str) -> tuple[str, str, str]:
    source, *rest = text.split(":")
    if len(rest) == 1 and re.fullmatch("[rwm]{1,3}", rest[0]):
        rest = [source, rest[0]]
    target, access, *more = [*rest, *[source, "rwm"][len(rest) :]]
    if more or not source.startswith("/") or not target.startswith("/") or not re.fullmatch("[rwm]{1,3}", access):
        raise ValueError(f"invalid device specification: {text} (/dev/of-the-host:/dev/in-the-container:rwm)")
    return source, os.path.normpath(target), access


def below(folder: str, target: str, access: str) -> list[Device]:
    """Those in a folder and in the folders in it, as in Docker: neither links, nor what every container has of its own."""
    found = []
    for name in sorted(set(os.listdir(folder)) - OWN):
        source, inner = f"{folder}/{name}", f"{target}/{name}"
        if os.path.islink(source):
            continue
        found += below(source, inner, access) if os.path.isdir(source) else filter(None, [node(source, inner, access)])
    return found


def node(source: str, target: str, access: str) -> Device | None:
    about = os.stat(source)
    kind = "c" if stat.S_ISCHR(about.st_mode) else "b" if stat.S_ISBLK(about.st_mode) else ""
    return Device(source, target, kind, os.major(about.st_rdev), os.minor(about.st_rdev), access) if kind else None
