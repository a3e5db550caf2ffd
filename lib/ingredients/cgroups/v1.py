"""cgroup v1, the footnote: a tree for each controller, each with words of its own. See Documentation/admin-guide/cgroup-v1/."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from lib import linux
from lib.ingredients.cgroups.v2 import PARENT
from lib.process import Step

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


def unique(folders: dict[str, str]) -> list[str]:
    """Each folder once: v1 hierarchies may carry several controllers (``cpu,cpuacct``)."""
    return list(dict.fromkeys(folders.values()))


@dataclass
class V1:
    """One tree for each controller, each with its own words: this class is the dictionary."""

    tops: dict[str, str]
    version = 1
    stage = "provide"  # the process moves itself in, later

    @property
    def filters_devices(self) -> bool:
        return "devices" in self.tops

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

    def parent_steps(self, limits: dict[str, str], more: Sequence[str] = ()) -> list[Step]:
        used = set(more) | {controller for word, value in limits.items() for controller, _, _ in self.translate(word, value)}
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
