"""What a container that runs uses up, and which processes are in it: read from the kernel, as ``stats`` and ``top`` tell it.

See cgroups(7), and for the network proc_pid_net(5).
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from lib import linux
from lib.ingredients import Cgroup
from lib.state import kept


class Usage(NamedTuple):
    """At one moment (seconds): processor time in microseconds, all else in bytes but the number of processes."""

    moment: float
    cpu: int
    memory: int
    limit: int
    received: int
    sent: int
    read: int
    written: int
    pids: int


def group_of(facts: dict) -> Cgroup | None:
    """Its cgroup, whoever started it; None for one that has none: a user's without limits, or one that has ended."""
    with suppress(RuntimeError):  # this machine has none at all
        group = Cgroup(name=facts["id"][: kept.SHORT])
        return group if any(map(os.path.isdir, group.folders.values())) else None
    return None


def measured(facts: dict) -> Usage | None:
    """What it has used up until now; None if it has ended, or nothing counts that."""
    try:
        if (group := group_of(facts)) is None:
            return None
        received, sent = traffic(facts)
        return Usage(
            time.monotonic(), group.table("cpu.stat")["usage_usec"], *memory(group), received, sent, *disk(group), processes(group)
        )
    except (OSError, KeyError):  # it has just ended, or a user's cgroup does not count all of this
        return None


def memory(group: Cgroup) -> tuple[int, int]:
    """What it has in memory, without files that the kernel may forget at any moment; and the most that it may have."""
    idle = group.table("memory.stat").get("inactive_file", 0)
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    most = group.read("memory.max")
    return max(0, group.number("memory.current") - idle), min(machine, int(most)) if most.isdigit() else machine


def disk(group: Cgroup) -> tuple[int, int]:
    """Bytes read and written; none where the kernel counts none."""
    totals = {"rbytes": 0, "wbytes": 0}
    with suppress(OSError, KeyError):
        for line in group.read("io.stat").splitlines():
            for name, _, number in (word.partition("=") for word in line.split()[1:]):
                totals[name] = totals.get(name, 0) + int(number)
    return totals["rbytes"], totals["wbytes"]


def traffic(facts: dict) -> tuple[int, int]:
    """Bytes that came in and went out over its own network, all interfaces but lo; of the machine's own nothing is its alone."""
    received = sent = 0
    if facts["network"]["mode"] != "host":
        for line in linux.read(f"/proc/{facts['state']['pid']}/net/dev").splitlines()[2:]:
            name, _, numbers = line.partition(":")
            if name.strip() != "lo":
                received, sent = received + int(numbers.split()[0]), sent + int(numbers.split()[8])
    return received, sent


def processes(group: Cgroup) -> int:
    return group.number("pids.current") if group.has("pids.current") else len(pids_in(group))


def pids(facts: dict) -> list[int]:
    """The processes in it, by the machine's numbers: all in its cgroup and those below; without one, all in its PID namespace."""
    if group := group_of(facts):
        return pids_in(group)
    with suppress(OSError):
        own = os.readlink(f"/proc/{facts['state']['pid']}/ns/pid")
        return sorted(int(name) for name in os.listdir("/proc") if name.isdigit() and is_in(name, own))
    return []


def is_in(pid: str, namespace: str) -> bool:
    with suppress(OSError):
        return os.readlink(f"/proc/{pid}/ns/pid") == namespace
    return False


def pids_in(group: Cgroup) -> list[int]:
    """Those in cgroups that it has made itself, too."""
    found: list[int] = []
    for path in Path(group.place_of_processes).glob("**/cgroup.procs"):
        with suppress(OSError):  # it has just been removed
            found += map(int, path.read_text().split())
    return sorted(found)


def cpu_percent(before: Usage, now: Usage) -> float:
    """Of one processor, between two moments: 200 means that two have been busy all the time."""
    seconds = now.moment - before.moment
    return max(0.0, (now.cpu - before.cpu) / 1e6 / seconds * 100) if seconds > 0 else 0.0
