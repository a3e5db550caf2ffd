"""Five ways to get ``EINVAL: Invalid argument`` from pivot_root(2), each in a child with mounts of its own.

Only for programs with one thread (``%%alone``): it forks.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from lib import linux
from lib.advice import advise

BIND = ("/mnt/new", "/mnt/new", None, "bind")  # the new root, onto itself
SHARE = (None, "/mnt/new", None, "shared")
ROOM = (("proc", "/mnt/room/proc", "proc"), ("/mnt/room/new", "/mnt/room/new", None, "bind"))  # to be chrooted into


def attempt(mounts: Sequence[tuple], new: str = "/mnt/new", old: str = "", chroot: str = "") -> None:
    """Make these mounts, perhaps a chroot, and then try to pivot; print the kernel's word and what our error makes of it."""
    if os.fork():
        os.wait()
        return
    try:
        alone()
        linux.mount("tmpfs", "/mnt", "tmpfs")
        for name in ("new", "other", "room/new", "room/proc"):
            os.makedirs(f"/mnt/{name}")
        for mount in mounts:
            linux.mount(*mount)
        if chroot:
            os.chroot(chroot)
            os.chdir("/")
        pivot(new, old or new)
    finally:
        os._exit(0)


def on_the_ramfs() -> None:
    """The same from the kernel's initial ramfs, which lies hidden below the root of nearly every machine."""
    if os.fork():
        os.wait()
        return
    try:
        alone()
        mine = os.open("/proc/self/ns/mnt", os.O_RDONLY)
        linux.umount("/", linux.MNT_DETACH)
        linux.setns(mine, "mnt")  # now / is what lies below
        made = [name for name in ("/proc", "/new") if not os.path.isdir(name)]
        for name in made:
            os.mkdir(name)
        linux.mount("proc", "/proc", "proc")
        linux.mount("tmpfs", "/new", "tmpfs")
        pivot("/new", "/new")
        for name in ("/proc", "/new"):
            linux.umount(name, linux.MNT_DETACH)
        for name in made:
            os.rmdir(name)
    finally:
        os._exit(0)


def alone() -> None:
    linux.unshare("mnt")
    linux.mount(None, "/", options="rprivate")


def pivot(new: str, old: str) -> None:
    try:
        linux.pivot_root(new, old)
        print("it worked", flush=True)
    except OSError as error:
        print(f"{error.strerror} → {advise('pivot_root', (new, old), error)}\n", flush=True)
