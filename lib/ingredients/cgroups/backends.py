"""Which of the two this machine has, and what it can count."""

from __future__ import annotations

import os
from functools import cache

from lib import linux
from lib.ingredients.cgroups.v1 import V1
from lib.ingredients.cgroups.v2 import PARENT, V2


@cache
def backend() -> V1 | V2:
    """The back end for this machine, from what is mounted: v1 if a controller is mounted that way, else v2. See cgroups(7)."""
    tops, unified = mounted()
    if tops.keys() & {"memory", "cpu", "cpuacct", "cpuset", "pids", "freezer", "blkio", "devices"}:
        return V1(tops, unified)
    if unified is None:
        raise RuntimeError("no cgroup file system is mounted: limits cannot work here (mount -t cgroup2 none /sys/fs/cgroup)")
    return V2(unified, tops)


def mounted() -> tuple[dict[str, str], str | None]:
    """Where the trees of v1 are, by the names that /proc/PID/cgroup gives them (``memory``, ``name=systemd``), and the one of v2."""
    names = {name for line in linux.read("/proc/self/cgroup").splitlines() for name in line.split(":")[1].split(",")}
    tops, unified = {}, None
    for line in linux.read("/proc/self/mounts").splitlines():
        _, target, fstype, options, *_ = line.split()
        words = set(options.split(","))
        if "ro" in words:  # we may only look
            continue
        if fstype == "cgroup2":
            unified = unified or target
        elif fstype == "cgroup":
            tops |= {name: target for name in sorted(words & names) if name not in tops}
    return tops, unified


@cache
def swap_is_accounted() -> bool:
    """Does this kernel count swap? (v1 without ``swapaccount=1`` does not; the files are missing then.)"""
    one = backend()
    if isinstance(one, V1):
        return "memory" in one.tops and os.path.exists(f"{one.tops['memory']}/memory.memsw.limit_in_bytes")
    return os.path.exists("/proc/swaps") and "memory" in one.controllers() and _v2_has_swap(one)


def _v2_has_swap(one: V2) -> bool:
    folder = f"{one.top}/{PARENT}"
    if not os.path.isdir(folder):
        return len(linux.read("/proc/swaps").splitlines()) > 1
    return os.path.exists(f"{folder}/memory.swap.max")
