"""Limits: what a process may use up, in v2's words (``memory.max``, ``cpu.max``, ``pids.max``) whatever the machine has.

See cgroups(7). Everything lies below one parent of ours, ``suitcase``; nothing outside of it is written to."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

from lib import linux, sizes, state
from lib.ingredients.cgroups.backends import backend, swap_is_accounted
from lib.ingredients.cgroups.oom import OomWatch
from lib.ingredients.cgroups.v1 import unique
from lib.process import Step

PERIOD = 100_000  # microseconds: cpu.max counts how much of each period may be used
SMALLEST = 6 << 20  # bytes: with less than that nothing starts


class Cgroup:
    """Limits for a process and all its children, in Docker's words.

    ``memory`` and ``memory_swap`` (both together, as Docker's flag means it) in bytes or as ``"64m"``; ``memory_reservation`` is what it
    may keep when memory grows scarce; ``cpus`` as a number of processors, or ``cpu_quota`` of each ``cpu_period`` in microseconds;
    ``cpu_weight`` from 1 to 10000, or ``cpu_shares`` as v1 counts them, where 1024 is what others have; ``cpuset`` and ``cpuset_mems`` as
    ``"0-1"``; ``pids`` as a number (0 and less: no limit); ``io`` as ``"8:0 wbps=1048576"``, or ``device_rates`` as
    ``("/dev/sda", "wbps", 1048576)`` each; ``devices`` are the rules of what may be opened (see ``devices.ALLOWED``), where this machine
    can filter that. ``memory_swappiness`` (0 to 100), ``oom_kill_disable``, ``blkio_weight`` (10 to 1000) and ``blkio_weight_devices``
    (``("/dev/sda", 500)`` each) do nothing where the kernel knows no such thing. Raises ``ValueError`` for a value that cannot be meant.
    """

    def __init__(
        self, memory=None, memory_swap=None, cpus=None, cpu_weight=None, cpuset=None, pids=None, io=None, name=None, devices=None,
        memory_reservation=None, cpu_shares=None, cpu_period=None, cpu_quota=None, cpuset_mems=None, device_rates=(),
        memory_swappiness=None, oom_kill_disable=False, blkio_weight=None, blkio_weight_devices=(),
    ):  # fmt: skip
        self.name = name or state.new_id()
        state.check_name(self.name)
        self.memory = sizes.in_bytes(memory) if memory else None
        check_processors(cpuset or "", cpu_shares or 0)
        self.limits = self.memory_words(memory_swap, memory_reservation) | cpu_words(cpus, cpu_period, cpu_quota)
        plain = {"cpuset.cpus": cpuset, "cpuset.mems": cpuset_mems, "cpu.weight": cpu_weight, "cpu.shares": cpu_shares,
                 "pids.max": pids if (pids or 0) > 0 else None, "io.max": io}  # fmt: skip
        self.limits |= {word: str(value) for word, value in plain.items() if value}
        self.limits |= rare_words(device_rates, memory_swappiness, oom_kill_disable, blkio_weight, blkio_weight_devices)
        self.backend = backend()
        used = {one for word, value in self.limits.items() for one, _, _ in self.backend.translate(word, value)}
        self.devices = devices if self.backend.filters_devices else None
        self.folders = self.backend.folders(self.name, (used | ({"devices"} if self.devices else set())) - {""})

    def memory_words(self, memory_swap, reservation) -> dict[str, str]:
        """The limits in v2's words, in the order in which they must be written."""
        words = {}
        if self.memory:
            if self.memory < SMALLEST:
                raise ValueError(f'memory={self.memory} bytes: the smallest limit is 6 MiB, as in Docker (a unit forgotten? "64m")')
            words = {"memory.max": str(self.memory), **self.swap_words(memory_swap)}
        if reservation:
            if self.memory and sizes.in_bytes(reservation) > self.memory:
                raise ValueError("Minimum memory limit can not be less than memory reservation limit, see usage")
            words["memory.low"] = str(sizes.in_bytes(reservation))
        return words

    def swap_words(self, memory_swap) -> dict[str, str]:
        """Docker's rule: without a word (or 0) as much swap as memory; -1 is unlimited; the same number is none."""
        both = -1 if str(memory_swap) == "-1" else sizes.in_bytes(memory_swap or 0) or 2 * self.memory
        if both != -1 and both < self.memory:
            raise ValueError(f"memory_swap={memory_swap}: it counts memory and swap together, so it cannot be less than memory")
        if not swap_is_accounted():
            return {}
        if backend().version == 1:
            return {"memory.swap.max": str(both)}
        return {"memory.swap.max": "max" if both == -1 else str(both - self.memory)}

    def steps(self) -> list[Step]:
        steps = self.backend.parent_steps(self.folders, self.limits)
        for number, folder in enumerate(unique(self.folders)):
            kill = (("kill_cgroup", folder),) if number == 0 else ()  # all of them hold the same processes
            stage = self.backend.stage_of(folder)
            steps.append(Step(stage, "mkdir", (folder,), "the cgroup is a folder", undo=(("rmdir", folder), *kill)))
        for word, value in self.limits.items():
            for controller, name, text in self.backend.translate(word, value):
                why = "memory and swap together, on v1" if "memsw" in name else f"{word} = {value}"
                steps.append(self.write(controller, name, text, why))
        return steps + self.device_steps() + self.backend.join_steps(self.folders)

    def device_steps(self) -> list[Step]:
        """Nothing first, then what is on the list."""
        rules = self.devices or ()
        deny = [self.write("devices", "devices.deny", "a", "no device may be opened,")] if rules else []
        return deny + [self.write("devices", "devices.allow", rule, "but these") for rule in rules]

    def write(self, controller: str, name: str, text: str, why: str) -> Step:
        folder = self.folders[controller]
        return Step(self.backend.stage_of(folder), "write", (f"{folder}/{name}", text), why)

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

    @property
    def place_of_processes(self) -> str:
        """The folder that lists them; those of cgroups that they have made themselves lie in it."""
        return os.path.dirname(self.backend.file(self.folders, "cgroup.procs"))

    def pids(self) -> list[int]:
        return [int(pid) for pid in self.read("cgroup.procs").split()]

    def kill(self) -> None:
        """Kill all of its processes, frozen ones too."""
        state.kill_cgroup(unique(self.folders)[0])

    def lift_limits_of_others(self) -> None:
        """Root inside may have set some, here or in cgroups of its own, that keep a process from ending; those of the plan stay."""
        state.release_groups(("rmdir", folder) for folder in unique(self.folders))
        for word, value in self.limits.items():
            if word in ("cpu.max", "cpu.weight", "cpu.shares", "io.max"):
                for controller, name, text in self.backend.translate(word, value):
                    with suppress(OSError):  # it has been removed meanwhile
                        linux.write(f"{self.folders[controller]}/{name}", text)

    def freeze(self) -> None:
        """Stop all of its processes where they are, as ``docker pause`` does; returns when they stand."""
        self._freeze("1", "FROZEN")

    def thaw(self) -> None:
        """Let them go on."""
        self._freeze("0", "THAWED")

    @property
    def freezer(self) -> str:
        """The file that has its processes stand still."""
        return f"{self.folders.get('freezer')}/freezer.state" if self.backend.version == 1 else f"{self.folders['']}/cgroup.freeze"

    def _freeze(self, v2: str, v1: str) -> None:
        linux.write(self.freezer, v1 if self.backend.version == 1 else v2)
        deadline = time.monotonic() + 5
        while self.frozen != (v2 == "1") and time.monotonic() < deadline:
            time.sleep(0.001)

    @property
    def frozen(self) -> bool:
        if self.backend.version == 1:
            return linux.read(self.freezer).strip() == "FROZEN"
        return self.table("cgroup.events")["frozen"] == 1

    def oom_watch(self) -> OomWatch:
        """An event for the OOM killer: register first, then ``wait``."""
        return OomWatch(self)


def check_processors(cpuset: str, shares: int) -> None:
    """Raises ``ValueError``, in Docker's words."""
    if shares < 0:
        raise ValueError(f"invalid CPU shares ({shares}): value must be a positive integer")
    here = linux.read("/sys/devices/system/cpu/online").strip() if cpuset else ""
    if not set(processors(cpuset)) <= set(processors(here)):
        raise ValueError(f"Requested CPUs are not available - requested {cpuset}, available: {here}")


def processors(text: str) -> Iterator[int]:
    """``0-2,7``. Raises ``ValueError``. See cpuset(7), "List format"."""
    for part in filter(None, text.split(",")):
        low, dash, high = part.partition("-")
        if not all(word.isascii() and word.isdecimal() and len(word) < 5 for word in (low, high if dash else low)):
            raise ValueError(f"Invalid value {text} for cpuset cpus")
        yield from range(int(low), int(high if dash else low) + 1)


def cpu_words(cpus, period, quota) -> dict[str, str]:
    """Raises ``ValueError``, in Docker's words where it has some."""
    if cpus and (period or quota):
        raise ValueError(f"Conflicting options: Nano CPUs and CPU {'Period' if period else 'Quota'} cannot both be set.")
    if cpus and not 0.01 <= cpus < math.inf:
        raise ValueError(f"cpus={cpus}: the kernel's smallest share is 0.01 of a processor")
    if period and not 1000 <= period <= 1_000_000:
        raise ValueError("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
    if quota and 0 < quota < 1000:
        raise ValueError("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    if cpus:
        return {"cpu.max": f"{int(cpus * PERIOD)} {PERIOD}"}
    return {"cpu.max": f"{quota if (quota or 0) > 0 else 'max'} {period or PERIOD}"} if period or quota else {}


def rare_words(rates: Sequence[Sequence], swappiness: int | None, *others) -> dict[str, str]:
    """Raises ``ValueError``."""
    if swappiness is None and not any([rates, *others]):
        return {}
    from lib.ingredients.cgroups import rare  # few ask for any of it

    return rare.words(rates, swappiness, *others)


class Member:
    """One more process for a cgroup that exists already."""

    def __init__(self, cgroup: Cgroup):
        self.cgroup = cgroup

    def steps(self) -> list[Step]:
        return self.cgroup.backend.member_steps(self.cgroup.folders)

    def set_free(self, pid: int) -> None:
        """See to it that a SIGKILL ends the process ``pid``, also where the cgroup stands still, or holds it by a limit."""
        self.cgroup.backend.set_free(self.cgroup.folders, pid)
        self.cgroup.lift_limits_of_others()
