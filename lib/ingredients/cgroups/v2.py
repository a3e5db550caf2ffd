"""cgroup v2: one tree for all controllers. See the kernel's Documentation/admin-guide/cgroup-v2.rst."""

from __future__ import annotations

import os
from collections.abc import Iterable

from lib import linux
from lib.process import Ref, Step

PARENT = os.environ.get("SUITCASE_CGROUP", "suitcase")  # the one cgroup of ours, below which all others are made

DESCENDANTS = 1000  # cgroups that what runs inside may make, at most


def born_in(folder: str) -> list[Step]:
    """A process gets its cgroup at birth."""
    return [
        Step("prepare", "open", (folder,), "clone3 wants a descriptor", gives="cgroup"),
        Step("clone", "clone3", ([], Ref("cgroup")), "born inside its limits"),
    ]


def move_itself(folders: Iterable[str]) -> list[Step]:
    """Into trees of v1 a process moves itself, by a 0: to move another one, the kernel stops all forks and may take 10 ms for it."""
    why = "0 means myself; v1 has no clone into a cgroup"
    return [Step("limit", "write", (f"{folder}/tasks", "0"), why) for folder in folders]


def move_itself_from_inside(folders: Iterable[str]) -> list[Step]:
    """The same for one who joins a container: it sees no path of the host's any more when it moves, so it has descriptors.

    It moves by itself, too, and no go-between for it: what runs inside may have frozen its cgroup, and whoever moves in stands still.
    """
    tasks = [(f"{folder}/tasks", f"tasks_{number}") for number, folder in enumerate(folders)]
    opens = [Step("prepare", "open_rw", (path,), "while the host's paths are seen", gives=name) for path, name in tasks]
    return opens + [Step("limit", "write_to", (Ref(name), "0"), "0 means myself") for _, name in tasks]


class V2:
    """One tree for all controllers. ``memory.max`` is a file of that name.

    ``tops`` are trees of v1 beside it that limit nothing (a VPN marks its packets by ``net_cls``, say), and where each is mounted. Root's
    containers have a folder in each: where one had none, its cgroup namespace would begin at the machine's own root.
    """

    version = 2
    filters_devices = False  # there it takes a BPF program

    def __init__(self, top: str, tops: dict[str, str] | None = None):
        self.top, self.tops = top, tops or {}

    def stage_of(self, folder: str) -> str:
        return "prepare"  # the process is born in its cgroup, so that must be there

    def folders(self, name: str, controllers=()) -> dict[str, str]:
        tops = {"": self.top} | (self.tops if os.geteuid() == 0 else {})
        return {one: f"{top}/{PARENT}/{name}" for one, top in tops.items()}

    def file(self, folders: dict[str, str], word: str) -> str:
        return f"{folders['']}/{word}"

    def controllers(self) -> list[str]:
        return linux.read(f"{self.top}/cgroup.controllers").split()

    def translate(self, word: str, value: str) -> list[tuple[str, str, str]]:
        """(controller, file, text): nothing to translate, but what v1 counts otherwise."""
        if word == "cpu.shares":
            return [("", "cpu.weight", str(1 + (max(2, min(int(value), 1 << 18)) - 2) * 9999 // 262142))]
        return [("", word, line) for line in value.splitlines()]  # io.max takes one device at a time

    def parent_steps(self, folders: dict[str, str], limits: dict[str, str]) -> list[Step]:
        """Our parent, with the controllers that the limits need switched on for its children."""
        folder = f"{self.top}/{PARENT}"
        granted = set(linux.read(f"{self.top}/cgroup.subtree_control").split())
        needed = {word.partition(".")[0] for word in limits} | granted & {"memory", "pids", "cpu"}
        switch = " ".join(f"+{name}" for name in sorted(needed))
        return [
            Step("prepare", "makedirs", (folder,), "one parent of ours; nothing outside it is touched"),
            Step("prepare", "write", (f"{folder}/cgroup.subtree_control", switch), "controllers for its children"),
            *(Step("prepare", "makedirs", (os.path.dirname(other),), "one in each tree") for other in self.others(folders)),
        ]

    def others(self, folders: dict[str, str]) -> list[str]:
        """Those in trees of v1, each once: a tree may have several names."""
        return list(dict.fromkeys(folder for name, folder in folders.items() if name))

    def join_steps(self, folders: dict[str, str]) -> list[Step]:
        few = (f"{folders['']}/cgroup.max.descendants", str(DESCENDANTS))
        why = "the kernel has 65,535 ids for all memory cgroups of the machine"
        return [Step("prepare", "write", few, why), *born_in(folders[""]), *move_itself(self.others(folders))]

    def member_steps(self, folders: dict[str, str]) -> list[Step]:
        return born_in(folders[""]) + move_itself_from_inside(self.others(folders))

    def set_free(self, folders: dict[str, str], pid: int) -> None:
        """Nothing to do: SIGKILL reaches a frozen process on v2."""

    def read(self, folders: dict[str, str], word: str) -> str:
        return linux.read(self.file(folders, word)).strip()
