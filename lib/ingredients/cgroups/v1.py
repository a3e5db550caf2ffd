"""cgroup v1, the footnote: a tree for each controller, each with words of its own. See Documentation/admin-guide/cgroup-v1/."""

from __future__ import annotations

import os
from contextlib import suppress

from lib import linux
from lib.ingredients.cgroups.v2 import PARENT, born_in, move_itself, move_itself_from_inside
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
    "memory.low": ("memory", "memory.soft_limit_in_bytes"),
    "memory.swappiness": ("memory", "memory.swappiness"),  # these two v1 alone has
    "memory.oom_control": ("memory", "memory.oom_control"),
}


def unique(folders: dict[str, str]) -> list[str]:
    """Each folder once: v1 hierarchies may carry several controllers (``cpu,cpuacct``)."""
    return list(dict.fromkeys(folders.values()))


class V1:
    """One tree for each controller, each with its own words: this class is the dictionary.

    ``tops`` says where each is mounted, those that count nothing (systemd's own) as well; ``unified`` is a v2 tree without controllers.
    """

    version = 1

    def __init__(self, tops: dict[str, str], unified: str | None = None):
        self.tops, self.unified = tops, unified

    @property
    def filters_devices(self) -> bool:
        return "devices" in self.tops

    def controllers(self) -> list[str]:
        return sorted(self.tops)

    def stage_of(self, folder: str) -> str:
        """When it is made: in v2's tree before the process is born there; into those of v1 it moves itself, later."""
        return "prepare" if self.unified and folder.startswith(f"{self.unified}/") else "provide"

    def folders(self, name: str, controllers=()) -> dict[str, str]:
        """A folder in every tree, asked for or not: where a container had none, its cgroup namespace would begin at the machine's own root.

        An ordinary user has those in which something is counted, if they were given to him; nobody else's are his to write to anyway.
        """
        wanted = dict.fromkeys(["freezer", "memory", "cpu", "cpuacct", "pids", *controllers])
        tops = self.tops | ({"unified": self.unified} if self.unified else {})
        if os.geteuid() == 0:
            wanted |= dict.fromkeys(tops)
        return {one: f"{tops[one]}/{PARENT}/{name}" for one in wanted if one in tops}

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
        if word == "cpu.shares":
            return [("cpu", "cpu.shares", value)]
        if word == "memory.swap.max":  # v1 limits memory and swap together: the caller has added them up
            return [("memory", "memory.memsw.limit_in_bytes", value)]
        if word == "io.max":
            return [one for line in value.splitlines() for one in self.translate_io(line)]
        if word == "io.bfq.weight":
            pairs = (line.split() for line in value.splitlines())
            return [("blkio", "blkio.bfq.weight", n) if disk == "default" else ("blkio", "blkio.bfq.weight_device", f"{disk} {n}")
                    for disk, n in pairs]  # fmt: skip
        controller, name = V1_FILES[word]
        return [(controller, name, value)]

    def translate_io(self, value: str) -> list[tuple[str, str, str]]:
        device, *limits = value.split()
        files = {"rbps": "read_bps", "wbps": "write_bps", "riops": "read_iops", "wiops": "write_iops"}
        pairs = (limit.split("=") for limit in limits)
        return [("blkio", f"blkio.throttle.{files[key]}_device", f"{device} {number}") for key, number in pairs]

    def parent_steps(self, folders: dict[str, str], limits: dict[str, str]) -> list[Step]:
        parents = [os.path.dirname(folder) for folder in unique(folders)]
        steps = [Step(self.stage_of(parent), "makedirs", (parent,), "one parent of ours in each tree") for parent in parents]
        return steps + (self.cpuset_steps(os.path.dirname(folders["cpuset"])) if "cpuset" in folders else [])

    def cpuset_steps(self, parent: str) -> list[Step]:
        """v1's cpusets are born empty, and nobody gets into an empty one: ours has what the whole machine has, and hands it on."""
        words = {word: linux.read(f"{self.tops['cpuset']}/{word}").strip() for word in ("cpuset.cpus", "cpuset.mems")}
        words["cgroup.clone_children"] = "1"
        why = "born empty on v1; what is made in it shall have the same"
        return [Step("provide", "write", (f"{parent}/{word}", text), why) for word, text in words.items()]

    def join_steps(self, folders: dict[str, str]) -> list[Step]:
        return self.birth_steps(folders) + move_itself(self.trees_of_v1(folders))

    def member_steps(self, folders: dict[str, str]) -> list[Step]:
        return self.birth_steps(folders) + move_itself_from_inside(self.trees_of_v1(folders))

    def trees_of_v1(self, folders: dict[str, str]) -> list[str]:
        return unique({name: folder for name, folder in folders.items() if name != "unified"})

    def birth_steps(self, folders: dict[str, str]) -> list[Step]:
        """In v2's tree beside v1's the process is born where it belongs."""
        return born_in(folders["unified"]) if "unified" in folders else []

    def set_free(self, folders: dict[str, str], pid: int) -> None:
        """Move a process out of a frozen cgroup, so that its SIGKILL can reach it; the others in there stand as they stood."""
        if "freezer" in folders:
            with suppress(OSError):  # it ended by itself
                linux.write(f"{os.path.dirname(folders['freezer'])}/cgroup.procs", str(pid))

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

    def read_memory_stat(self, folders: dict[str, str]) -> str:
        """What all of its processes have, those in cgroups below included: v1 counts that apart, v2 always."""
        lines = linux.read(f"{folders['memory']}/memory.stat").splitlines()
        return "\n".join(line.removeprefix("total_") for line in lines if line.startswith("total_"))

    def read_io_stat(self, folders: dict[str, str]) -> str:
        """``8:0 Read 4096`` as ``8:0 rbytes=4096``."""
        lines = [line.split() for line in linux.read(f"{folders['blkio']}/blkio.throttle.io_service_bytes_recursive").splitlines()]
        kinds = {"Read": "rbytes", "Write": "wbytes"}
        return "\n".join(f"{words[0]} {kinds[words[1]]}={words[2]}" for words in lines if len(words) == 3 and words[1] in kinds)

    def read_memory_events(self, folders: dict[str, str]) -> str:
        control = linux.read(f"{folders['memory']}/memory.oom_control").splitlines()
        kills = dict(line.split() for line in control).get("oom_kill", "0")
        return f"oom_kill {kills}"

    def read_pids_events(self, folders: dict[str, str]) -> str:
        return linux.read(f"{folders['pids']}/pids.events").strip()

    def read_cpu_max(self, folders: dict[str, str]) -> str:
        quota = linux.read(f"{folders['cpu']}/cpu.cfs_quota_us").strip()
        return f"{quota.replace('-1', 'max')} {linux.read(folders['cpu'] + '/cpu.cfs_period_us').strip()}"
