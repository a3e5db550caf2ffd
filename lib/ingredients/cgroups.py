"""Control groups: what a process may use up. The text is cgroup v2, the footnote is v1.

One interface in v2's words (``memory.max``, ``cpu.max``, ``pids.max``) and two small back ends that
know which file to write. See cgroups(7) and the kernel's Documentation/admin-guide/cgroup-v2.rst.
Everything lies below one parent of ours, ``suitcase``; nothing outside of it is written to.
"""

from __future__ import annotations

import os
import re
import select
import time
from dataclasses import dataclass
from functools import cache

from lib import linux, state
from lib.process import Ref, Step

PARENT = os.environ.get("SUITCASE_CGROUP", "suitcase")  # the one cgroup of ours, below which all others are made
PERIOD = 100_000  # microseconds: cpu.max counts how much of each period may be used
SMALLEST = 6 << 20  # bytes: with less than that nothing starts
UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def size(value: int | str) -> int:
    """Bytes from Docker's words: ``64m``, ``1g``, ``512k``, a plain number. Raises ``ValueError``."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([bkmgt]?)b?", str(value).strip().lower())
    if not found:
        raise ValueError(f"invalid size: {value!r} (a number and one of b, k, m, g, e.g. 64m)")
    return int(float(found[1]) * UNITS[found[2]])


def unique(folders: dict[str, str]) -> list[str]:
    """Each folder once: v1 hierarchies may carry several controllers (``cpu,cpuacct``)."""
    return list(dict.fromkeys(folders.values()))


# -- the two back ends -----------------------------------------------------------------------


@dataclass
class V2:
    """One tree for all controllers. ``memory.max`` is a file of that name."""

    top: str
    version = 2
    stage = "prepare"  # the process is born in its cgroup, so that must be there

    def folders(self, name: str, controllers=()) -> dict[str, str]:
        return {"": f"{self.top}/{PARENT}/{name}"}

    def file(self, folders: dict[str, str], word: str) -> str:
        return f"{folders['']}/{word}"

    def controllers(self) -> list[str]:
        return linux.read(f"{self.top}/cgroup.controllers").split()

    def translate(self, word: str, value: str) -> list[tuple[str, str, str]]:
        """(controller, file, text): nothing to translate."""
        return [("", word, value)]

    def parent_steps(self, limits: dict[str, str]) -> list[Step]:
        """Our parent, with the controllers that the limits need switched on for its children."""
        folder = f"{self.top}/{PARENT}"
        granted = set(linux.read(f"{self.top}/cgroup.subtree_control").split())
        needed = {word.partition(".")[0] for word in limits} | granted & {"memory", "pids", "cpu"}
        switch = " ".join(f"+{name}" for name in sorted(needed))
        return [
            Step(self.stage, "makedirs", (folder,), "one parent of ours; nothing outside it is touched"),
            Step(self.stage, "write", (f"{folder}/cgroup.subtree_control", switch), "controllers for its children"),
        ]

    def birth_steps(self, folders: dict[str, str]) -> list[Step]:
        return []

    def join_steps(self, folders: dict[str, str], stage: str = "clone") -> list[Step]:
        return [
            Step(self.stage, "open", (folders[""],), "clone3 wants a descriptor", gives="cgroup"),
            Step("clone", "clone3", ([], Ref("cgroup")), "born inside its limits"),
        ]

    def read(self, folders: dict[str, str], word: str) -> str:
        return linux.read(self.file(folders, word)).strip()


V1_FILES = {
    "memory.current": ("memory", "memory.usage_in_bytes"),
    "memory.peak": ("memory", "memory.max_usage_in_bytes"),
    "memory.max": ("memory", "memory.limit_in_bytes"),
    "pids.max": ("pids", "pids.max"),
    "pids.current": ("pids", "pids.current"),
    "cpuset.cpus": ("cpuset", "cpuset.cpus"),
    "cpuset.mems": ("cpuset", "cpuset.mems"),
    "cgroup.procs": ("freezer", "cgroup.procs"),
}


@dataclass
class V1:
    """One tree for each controller, each with its own words: this class is the dictionary."""

    tops: dict[str, str]
    version = 1
    stage = "provide"  # the process moves itself in, later

    def controllers(self) -> list[str]:
        return sorted(self.tops)

    def folders(self, name: str, controllers=()) -> dict[str, str]:
        wanted = dict.fromkeys(["freezer", "memory", "cpu", "cpuacct", "pids", *controllers])
        return {one: f"{self.tops[one]}/{PARENT}/{name}" for one in wanted if one in self.tops}

    def file(self, folders: dict[str, str], word: str) -> str:
        controller, name = V1_FILES[word]
        return f"{folders[controller]}/{name}"

    def translate(self, word: str, value: str) -> list[tuple[str, str, str]]:
        """A limit in v2's words as (controller, file, text) of v1; one word may be two files."""
        if word == "cpu.max":
            quota, period = value.split()
            return [("cpu", "cpu.cfs_period_us", period), ("cpu", "cpu.cfs_quota_us", quota.replace("max", "-1"))]
        if word == "cpu.weight":
            return [("cpu", "cpu.shares", str(2 + (int(value) - 1) * 262142 // 9999))]
        if word == "memory.swap.max":  # v1 limits memory and swap together: the caller has added them up
            return [("memory", "memory.memsw.limit_in_bytes", value)]
        if word == "io.max":
            return self.translate_io(value)
        controller, name = V1_FILES[word]
        return [(controller, name, value)]

    def translate_io(self, value: str) -> list[tuple[str, str, str]]:
        device, *limits = value.split()
        files = {"rbps": "read_bps", "wbps": "write_bps", "riops": "read_iops", "wiops": "write_iops"}
        pairs = (limit.split("=") for limit in limits)
        return [("blkio", f"blkio.throttle.{files[key]}_device", f"{device} {number}") for key, number in pairs]

    def parent_steps(self, limits: dict[str, str]) -> list[Step]:
        used = {controller for word, value in limits.items() for controller, _, _ in self.translate(word, value)}
        steps = [
            Step(self.stage, "makedirs", (os.path.dirname(folder),), "one parent of ours in each tree")
            for folder in unique(self.folders("any", used))
        ]
        return steps + (self.cpuset_steps(PARENT, ("cpuset.cpus", "cpuset.mems")) if "cpuset" in used else [])

    def cpuset_steps(self, name: str, words) -> list[Step]:
        """v1's cpusets are born empty: give them what the whole machine has."""
        top, why = self.tops["cpuset"], "born empty on v1"
        return [Step(self.stage, "write", (f"{top}/{name}/{word}", linux.read(f"{top}/{word}").strip()), why) for word in words]

    def birth_steps(self, folders: dict[str, str]) -> list[Step]:
        if "cpuset" not in folders:
            return []
        return self.cpuset_steps(os.path.relpath(folders["cpuset"], self.tops["cpuset"]), ("cpuset.mems",))

    def join_steps(self, folders: dict[str, str], stage: str = "limit") -> list[Step]:
        """The process moves itself, by a 0: to move another one, the kernel stops all forks and may take 10 ms for it."""
        why = "0 means myself; v1 has no clone into a cgroup"
        return [Step(stage, "write", (f"{folder}/tasks", "0"), why) for folder in unique(folders)]

    def read(self, folders: dict[str, str], word: str) -> str:
        special = getattr(self, "read_" + word.replace(".", "_"), None)
        return special(folders) if special else linux.read(self.file(folders, word)).strip()

    def read_cpu_stat(self, folders: dict[str, str]) -> str:
        usage = int(linux.read(f"{folders['cpuacct']}/cpuacct.usage")) // 1000
        v1 = dict(line.split() for line in linux.read(f"{folders['cpu']}/cpu.stat").splitlines())
        return (
            f"usage_usec {usage}\nnr_periods {v1['nr_periods']}\nnr_throttled {v1['nr_throttled']}\n"
            f"throttled_usec {int(v1['throttled_time']) // 1000}"
        )

    def read_memory_events(self, folders: dict[str, str]) -> str:
        control = linux.read(f"{folders['memory']}/memory.oom_control").splitlines()
        kills = dict(line.split() for line in control).get("oom_kill", "0")
        return f"oom_kill {kills}"

    def read_pids_events(self, folders: dict[str, str]) -> str:
        return linux.read(f"{folders['pids']}/pids.events").strip()

    def read_cpu_max(self, folders: dict[str, str]) -> str:
        quota = linux.read(f"{folders['cpu']}/cpu.cfs_quota_us").strip()
        return f"{quota.replace('-1', 'max')} {linux.read(folders['cpu'] + '/cpu.cfs_period_us').strip()}"


@cache
def backend() -> V1 | V2:
    """The back end for this machine, from what is mounted: v2 if it has controllers, else v1. See cgroups(7)."""
    tops, unified = {}, None
    for line in linux.read("/proc/self/mounts").splitlines():
        _, target, fstype, options, *_ = line.split()
        if fstype == "cgroup2":
            unified = unified or target
        elif fstype == "cgroup":
            known = set(options.split(",")) & {"memory", "cpu", "cpuacct", "cpuset", "pids", "freezer", "blkio", "devices"}
            tops |= {name: target for name in known if name not in tops}
    if tops:
        return V1(tops)
    if unified is None:
        raise RuntimeError("no cgroup file system is mounted: limits cannot work here (mount -t cgroup2 none /sys/fs/cgroup)")
    return V2(unified)


# -- the ingredient ---------------------------------------------------------------------------


class Cgroup:
    """Limits for a process and all its children, in Docker's words.

    ``memory`` and ``memory_swap`` (both together, as Docker's flag means it) in bytes or as ``"64m"``; ``cpus`` as a number
    of processors; ``cpu_weight`` from 1 to 10000; ``cpuset`` as ``"0-1"``; ``pids`` as a number;
    ``io`` as ``"8:0 wbps=1048576"``. Raises ``ValueError`` for a value that cannot be meant.
    """

    def __init__(self, memory=None, memory_swap=None, cpus=None, cpu_weight=None, cpuset=None, pids=None, io=None, name=None):
        self.name = name or state.new_id()
        self.memory = size(memory) if memory else None
        self.limits = self.words(memory_swap, cpus, cpu_weight, cpuset, pids, io)
        self.backend = backend()
        used = {one for word, value in self.limits.items() for one, _, _ in self.backend.translate(word, value)}
        self.folders = self.backend.folders(self.name, used - {""})

    def words(self, memory_swap, cpus, cpu_weight, cpuset, pids, io) -> dict[str, str]:
        """The limits in v2's words, in the order in which they must be written."""
        words = {}
        if self.memory:
            if self.memory < SMALLEST:
                raise ValueError(f'memory={self.memory} bytes: the smallest limit is 6 MiB, as in Docker (a unit forgotten? "64m")')
            words["memory.max"] = str(self.memory)
            words |= self.swap_words(memory_swap)
        if cpus:
            if cpus < 0.01:
                raise ValueError(f"cpus={cpus}: the kernel's smallest share is 0.01 of a processor")
            words["cpu.max"] = f"{int(cpus * PERIOD)} {PERIOD}"
        if cpuset:
            words["cpuset.cpus"] = cpuset
        plain = {"cpu.weight": cpu_weight, "pids.max": pids, "io.max": io}
        return words | {word: str(value) for word, value in plain.items() if value}

    def swap_words(self, memory_swap) -> dict[str, str]:
        """Docker's rule: without a word, as much swap as memory; -1 is unlimited; the same number is none."""
        both = 2 * self.memory if memory_swap is None else memory_swap
        if both != -1 and (both := size(both)) < self.memory:
            raise ValueError(f"memory_swap={memory_swap}: it counts memory and swap together, so it cannot be less than memory")
        if not swap_is_accounted():
            return {}
        if backend().version == 1:
            return {"memory.swap.max": str(both)}
        return {"memory.swap.max": "max" if both == -1 else str(both - self.memory)}

    def steps(self) -> list[Step]:
        steps = self.backend.parent_steps(self.limits)
        for number, folder in enumerate(unique(self.folders)):
            kill = (("kill_cgroup", folder),) if number == 0 else ()  # all of them hold the same processes
            steps.append(Step(self.backend.stage, "mkdir", (folder,), "the cgroup is a folder", undo=(("rmdir", folder), *kill)))
        steps += self.backend.birth_steps(self.folders)
        for word, value in self.limits.items():
            for controller, name, text in self.backend.translate(word, value):
                why = "memory and swap together, on v1" if "memsw" in name else f"{word} = {value}"
                steps.append(Step(self.backend.stage, "write", (f"{self.folders[controller]}/{name}", text), why))
        return steps + self.backend.join_steps(self.folders)

    def join(self) -> Member:
        """An ingredient for another process that shall be in the same cgroup (``docker exec``)."""
        return Member(self)

    # reading

    def read(self, word: str) -> str:
        """A file of the cgroup by its v2 name, e.g. ``memory.current``."""
        return self.backend.read(self.folders, word)

    def number(self, word: str) -> int:
        return int(self.read(word))

    def table(self, word: str) -> dict[str, int]:
        """A file with a name and a number on each line, e.g. ``cpu.stat``, ``memory.events``."""
        return {key: int(value) for key, value in (line.split() for line in self.read(word).splitlines())}

    @property
    def oom_kills(self) -> int:
        """How many of its processes the OOM killer has killed."""
        return self.table("memory.events")["oom_kill"]

    def stats(self) -> dict[str, int]:
        """What ``docker stats`` shows, as plain numbers: bytes, microseconds, counts."""
        cpu = self.table("cpu.stat")
        numbers = {word: self.number(word) for word in ("memory.current", "memory.peak", "pids.current") if self.has(word)}
        wanted = ("usage_usec", "nr_periods", "nr_throttled", "throttled_usec")
        return numbers | {f"cpu.{key}": cpu.get(key, 0) for key in wanted} | {"oom_kill": self.oom_kills}

    def has(self, word: str) -> bool:
        """Does this kernel have the file? (``memory.peak`` came with Linux 5.19.)"""
        return os.path.exists(self.backend.file(self.folders, word))

    def why_killed(self, code: int) -> str:
        """137 has several causes; this one can be proven."""
        return f"killed by {self.limit_in_words()}" if code == 137 and self.was_oom_killed() else ""

    def what_happened(self) -> str:
        """The OOM killer may also have struck a child, and PID 1 went on."""
        return f"a process in it was killed by {self.limit_in_words()}, PID 1 was not" if self.was_oom_killed() else ""

    def was_oom_killed(self) -> bool:
        try:
            return self.oom_kills > 0
        except (OSError, KeyError):
            return False

    def limit_in_words(self) -> str:
        return f"the memory limit ({self.memory / (1 << 20):g} MiB)" if self.memory else "the OOM killer"

    # acting

    def pids(self) -> list[int]:
        return [int(pid) for pid in self.read("cgroup.procs").split()]

    def kill(self) -> None:
        """Kill all of its processes, frozen ones too."""
        state.kill_cgroup(unique(self.folders)[0])

    def freeze(self) -> None:
        """Stop all of its processes where they are, as ``docker pause`` does; returns when they stand."""
        self._freeze("1", "FROZEN")

    def thaw(self) -> None:
        """Let them go on."""
        self._freeze("0", "THAWED")

    def _freeze(self, v2: str, v1: str) -> None:
        if self.backend.version == 1:
            linux.write(f"{self.folders['freezer']}/freezer.state", v1)
        else:
            linux.write(f"{self.folders['']}/cgroup.freeze", v2)
        deadline = time.monotonic() + 5
        while self.frozen != (v2 == "1") and time.monotonic() < deadline:
            time.sleep(0.001)

    @property
    def frozen(self) -> bool:
        if self.backend.version == 1:
            return linux.read(f"{self.folders['freezer']}/freezer.state").strip() == "FROZEN"
        return self.table("cgroup.events")["frozen"] == 1

    def oom_watch(self) -> OomWatch:
        """An event for the OOM killer: register first, then ``wait``."""
        return OomWatch(self)


@dataclass
class Member:
    """One more process for a cgroup that exists already. On v1 the go-between moves, before it loses sight of the host."""

    cgroup: Cgroup

    def steps(self) -> list[Step]:
        return self.cgroup.backend.join_steps(self.cgroup.folders, "join")


class OomWatch:
    """Wait for the OOM killer to strike in a cgroup, without asking again and again.

    v2: ``memory.events`` is a file that poll(2) can wait for. v1: an eventfd is registered in ``cgroup.event_control``.
    Use it as a context manager.
    """

    def __init__(self, cgroup: Cgroup):
        self.cgroup, self.before = cgroup, cgroup.oom_kills
        self.file = os.open(self.path(), os.O_RDONLY | os.O_CLOEXEC)
        self.poll = select.poll()
        if cgroup.backend.version == 2:
            os.read(self.file, 4096)
            self.poll.register(self.file, select.POLLPRI)
        else:
            self.event = os.eventfd(0, os.EFD_CLOEXEC)
            control = f"{cgroup.folders['memory']}/cgroup.event_control"
            linux.write(control, f"{self.event} {self.file}")
            self.poll.register(self.event, select.POLLIN)

    def path(self) -> str:
        folders = self.cgroup.folders
        return f"{folders['']}/memory.events" if "" in folders else f"{folders['memory']}/memory.oom_control"

    def wait(self, timeout: float) -> bool:
        """True as soon as a process was killed for lack of memory, False after ``timeout`` seconds."""
        deadline, seen = time.monotonic() + timeout, False
        while self.cgroup.oom_kills == self.before:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            if self.poll.poll(min(left * 1000, 5 if seen else 1 << 30)):  # v1 tells of the shortage, just before the kill is counted
                self.rearm()
                seen = True
        return True

    def rearm(self) -> None:
        """Take note of the event, so that the next poll waits for the next one."""
        if self.cgroup.backend.version == 2:
            os.pread(self.file, 4096, 0)
        else:
            os.eventfd_read(self.event)

    def __enter__(self) -> OomWatch:
        return self

    def __exit__(self, *error) -> None:
        os.close(self.file)
        if self.cgroup.backend.version == 1:
            os.close(self.event)


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
