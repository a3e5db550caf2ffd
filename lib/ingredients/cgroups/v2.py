"""cgroup v2: one tree for all controllers. See the kernel's Documentation/admin-guide/cgroup-v2.rst."""

from __future__ import annotations

import os
from dataclasses import dataclass

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


@dataclass
class V2:
    """One tree for all controllers. ``memory.max`` is a file of that name."""

    top: str
    version = 2
    filters_devices = False  # there it takes a BPF program

    def stage_of(self, folder: str) -> str:
        return "prepare"  # the process is born in its cgroup, so that must be there

    def folders(self, name: str, controllers=()) -> dict[str, str]:
        return {"": f"{self.top}/{PARENT}/{name}"}

    def file(self, folders: dict[str, str], word: str) -> str:
        return f"{folders['']}/{word}"

    def controllers(self) -> list[str]:
        return linux.read(f"{self.top}/cgroup.controllers").split()

    def translate(self, word: str, value: str) -> list[tuple[str, str, str]]:
        """(controller, file, text): nothing to translate."""
        return [("", word, value)]

    def parent_steps(self, folders: dict[str, str], limits: dict[str, str]) -> list[Step]:
        """Our parent, with the controllers that the limits need switched on for its children."""
        folder = f"{self.top}/{PARENT}"
        granted = set(linux.read(f"{self.top}/cgroup.subtree_control").split())
        needed = {word.partition(".")[0] for word in limits} | granted & {"memory", "pids", "cpu"}
        switch = " ".join(f"+{name}" for name in sorted(needed))
        return [
            Step("prepare", "makedirs", (folder,), "one parent of ours; nothing outside it is touched"),
            Step("prepare", "write", (f"{folder}/cgroup.subtree_control", switch), "controllers for its children"),
        ]

    def join_steps(self, folders: dict[str, str]) -> list[Step]:
        few = (f"{folders['']}/cgroup.max.descendants", str(DESCENDANTS))
        return [Step("prepare", "write", few, "the kernel has 65,535 ids for all memory cgroups of the machine"), *born_in(folders[""])]

    def member_steps(self, folders: dict[str, str]) -> list[Step]:
        return born_in(folders[""])

    def set_free(self, folders: dict[str, str], pid: int) -> None:
        """Nothing to do: SIGKILL reaches a frozen process on v2."""

    def read(self, folders: dict[str, str], word: str) -> str:
        return linux.read(self.file(folders, word)).strip()
