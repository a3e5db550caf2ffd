"""The undos: what a deed left behind is removed again, by name and arguments, so that it can stand in a record.

Each may be done twice, and finds then that there is nothing to do.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from lib import linux
from lib.state.removal import FOLDER, open_folder, rmtree, walk

# Files of limits for the processor, and the word that lifts each; of who is idle no share can be written. See sched-bwc.rst, cgroup-v2.rst.
PROCESSOR_LIMITS = (
    ("cpu.cfs_quota_us", "-1"), ("cpu.max", "max"), ("cpu.idle", "0"), ("cpu.shares", "1024"), ("cpu.weight", "100"),
)  # fmt: skip
# Files of limits for a disk, a line for each, and the words that lift one. See blkio-controller.rst (v1) and cgroup-v2.rst, "IO".
DISK_LIMITS = {f"blkio.throttle.{one}_device": "0" for one in ("read_bps", "write_bps", "read_iops", "write_iops")}
DISK_LIMITS["io.max"] = "rbps=max wbps=max riops=max wiops=max"

AT_ONCE = 20  # descriptors of processes that we hold at a time


def kill_cgroup(path: str) -> None:
    """Kill every process of a cgroup, frozen ones too: in one write on v2, by pid on v1. See cgroups(7)."""
    try:
        linux.write(f"{path}/cgroup.kill", "1")
    except OSError:
        _kill_members(path)


def _kill_members(path: str) -> None:
    """v1: freeze, so that a fork bomb cannot be faster than we are, kill each, thaw (a frozen process does not die).

    What runs inside may have made cgroups of its own below ours, and have frozen them.
    """
    pause, deadline = 0.0002, time.monotonic() + 5
    while _populated(path) and time.monotonic() < deadline:
        with suppress(OSError):  # they change the tree while we walk it: once more
            _kill_frozen(path)
        time.sleep(pause)
        pause = min(2 * pause, 0.01)


def _populated(path: str) -> bool:
    try:
        return any(_members(above, name) for above, name in _cgroups(path))
    except OSError:  # somebody is in there, as the tree changes under our eyes
        return True


def _kill_frozen(path: str) -> None:
    with suppress(FileNotFoundError):
        linux.write(f"{path}/freezer.state", "FROZEN")
    for above, name in _cgroups(path):
        _kill_listed(above, name)
    for above, name in _cgroups(path):
        _thaw(above, name)


def _kill_listed(above: int, name: str) -> None:
    """By pidfds, and only who is listed still when we hold his: until then he may have ended, and his number be another's."""
    listed = _members(above, name)
    while some := listed[:AT_ONCE]:
        del listed[:AT_ONCE]
        held = {pid: pidfd for pid in some if (pidfd := _pidfd(pid)) >= 0}
        for pid in held.keys() & set(_members(above, name)):
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(held[pid], signal.SIGKILL)
        for pidfd in held.values():
            os.close(pidfd)


def _pidfd(pid: int) -> int:
    with suppress(OSError):  # it has ended, or there is no descriptor left
        return os.pidfd_open(pid)
    return -1


def thaw_groups(undos) -> None:
    """Let those go on that these undos would kill, in cgroups of their own making, too."""
    for call, *args in undos:
        if call == "kill_cgroup":
            with suppress(OSError):  # they change the tree while we walk it
                for above, name in _cgroups(*args):
                    _thaw(above, name)


def release_groups(undos) -> None:
    """Lift every limit that keeps a process from ending: who runs a millisecond a second, or while nobody else wants to, or waits for
    a disk that is let give it a byte a second, takes minutes to die. What runs inside may have set them, below limits of ours too.
    """
    for call, *args in undos:
        if call == "rmdir":
            with suppress(OSError):
                for above, name in _cgroups(*args):
                    _release(above, name)


def _release(above: int, name: str) -> None:
    for file, free in PROCESSOR_LIMITS:
        _write(above, f"{name}/{file}", free)
    for file, free in DISK_LIMITS.items():
        for line in _read(above, f"{name}/{file}").splitlines():
            _write(above, f"{name}/{file}", f"{line.split()[0]} {free}")


def _members(above: int, name: str) -> list[int]:
    return [int(pid) for pid in _read(above, f"{name}/cgroup.procs").split() if pid != "0"]


def _thaw(above: int, name: str) -> None:
    _write(above, f"{name}/freezer.state", "THAWED")


def _read(above: int, path: str) -> str:
    """A file of a cgroup, below the folder ``above``; nothing if it is not there, or is removed while we read."""
    with suppress(OSError), open(os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=above)) as file:
        return file.read()
    return ""


def _write(above: int, path: str, word: str) -> None:
    with suppress(OSError):
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=above)
        try:
            os.write(fd, word.encode())
        finally:
            os.close(fd)


def _cgroups(path: str) -> Iterator[tuple[int, str]]:
    """A cgroup and all cgroups below it, the lowest first: a descriptor of the folder above, and the name in it.

    By descriptors, as what runs inside may have nested them deeper than a path can be.
    """
    parent, name = os.path.split(path)
    if not os.path.isdir(path):
        return
    above = os.open(parent, FOLDER)
    try:
        if (fd := open_folder(name, above)) is not None:
            yield from ((one, below) for one, below, is_folder in walk(fd, path, whole=True) if is_folder)
            yield above, name
    finally:
        os.close(above)


def thaw(path: str) -> None:
    """Let a cgroup go on that somebody stopped, and who then died of something that nobody can catch."""
    for name, word in (("cgroup.freeze", "0"), ("freezer.state", "THAWED")):
        with suppress(OSError):
            linux.write(f"{path}/{name}", word)


def kill_groups(undos) -> None:
    """Do those undos that kill; they may be done again later."""
    for call, *args in undos:
        if call == "kill_cgroup":
            kill_cgroup(*args)


def rmdir(path: str) -> None:
    """Remove a folder of the cgroup tree; its last process may still be on its way out, so try for a while.

    Folders below it were made by what ran inside (a container in the container), and go with it.
    """
    pause, deadline = 0.0005, time.monotonic() + 5
    while True:
        try:
            return os.rmdir(path)
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            with suppress(OSError):  # somebody is still on his way out of one of them
                for above, name in _cgroups(path):
                    os.rmdir(name, dir_fd=above)
            time.sleep(pause)
            pause = min(pause * 2, 0.05)


def rmtree_unless(path: str, other: str) -> None:
    """Remove a folder that was made for another one, if that has not come to be."""
    if not os.path.lexists(other):
        rmtree(path)


def unlink(path: str) -> None:
    Path(path).unlink(missing_ok=True)


def umount(path: str) -> None:
    """Take a mount away: now for everybody new, and for who is still in there when he goes. What is none (any more) stays as it is."""
    try:
        linux.umount(path, linux.MNT_DETACH | linux.UMOUNT_NOFOLLOW)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOENT):
            raise


def delete_link(name: str) -> None:
    """Remove a network interface: a bridge, or a cable with both its ends.

    The kernel takes it off its list at once, and then waits until nobody can look at it any more: some hundredths of a second, in which a
    thread waits with it, and we do not.
    """
    import threading

    errors: list[OSError] = []
    waiting = threading.Thread(target=_deleted, args=(name, errors), daemon=True)
    try:
        waiting.start()
    except RuntimeError:  # there may be no more of them
        _deleted(name, errors)
    while waiting.is_alive() and _is_listed(name):
        time.sleep(0.0005)
    if errors:
        raise errors[0]


def _deleted(name: str, errors: list[OSError]) -> None:
    from lib.netfilter import rtnetlink

    try:
        rtnetlink.send([["gone", name]])
    except OSError as error:
        if error.errno != errno.ENODEV:
            errors.append(error)


def _is_listed(name: str) -> bool:
    try:
        return bool(socket.if_nametoindex(name))
    except OSError:
        return False


def later(module: str, name: str) -> Callable:
    """A function that is imported when it is called: few undo a network, say, and whoever does not need not wait for the packet filter."""
    return lambda *words: getattr(import_module(f"lib.{module}"), name)(*words)


PRIMITIVES = {
    "kill_cgroup": kill_cgroup, "thaw": thaw, "rmdir": rmdir, "rmtree": rmtree,
    "rmtree_unless": rmtree_unless, "unlink": unlink, "umount": umount, "delete_link": delete_link,
    "nft": later("netfilter.nft", "take_back"), "forget_flows": later("netfilter.flows", "forget_flows"),
    "shut_out": later("netfilter.slirp", "shut_out"),
    "withdraw_exception": later("netfilter.foreign", "withdraw"), "put_back_forwarding": later("netfilter.forwarding", "put_back"),
}  # fmt: skip
