"""What a plan is made of: a step is data, and one list says in which order steps are carried out, and why the kernel wants it so.

Because steps are data, a plan can be printed before it runs, tested without root, broken at each step, and explained when it fails: the
error is the step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from lib.process.calls import PART, REF

CALLER, BETWEEN, STARTER, CHILD = "caller", "go-between", "starter", "child"


class Stage(NamedTuple):
    """A position in the life of a starting container: in whose shoes, and why just there."""

    name: str
    shoes: str
    why: str


STAGES = {
    stage.name: stage
    for stage in (
        Stage("prepare", CALLER, "before there is a process: descriptors that the clone needs (on v2 of the cgroup to be born in)"),
        Stage("join", BETWEEN, "existing namespaces are joined before the clone: a PID namespace takes only children"),
        Stage("clone", STARTER, "one clone3 makes the process and all its new namespaces at once"),
        Stage("provide", CALLER, "while the kernel is busy with the clone: folders, files, limits; the child waits for them"),
        Stage("connect", CALLER, "a cable needs a namespace to lead to, and now there is one; the child prepares itself meanwhile"),
        Stage("map", CALLER, "the uid map is written from outside, by somebody with rights in the parent namespace"),
        Stage("beside", CALLER, "while the child prepares itself: what need be there only when its program starts"),
        Stage("session", CHILD, "a session of its own: the caller's Ctrl-C and terminal are not the container's"),
        Stage("limit", CHILD, "into the v1 cgroups, before anything is used up (on v2 it was born inside)"),
        Stage("unshare", CHILD, "a cgroup namespace has its root where the process is, so only now"),
        Stage("propagation", CHILD, "mounts are made private first, or the host would see every one that follows"),
        Stage("root", CHILD, "the root file system, while the host's paths can still be seen"),
        Stage("mounts", CHILD, "/proc, /sys, /dev: after the namespaces that they show, before the host is out of sight"),
        Stage("mask", CHILD, "what must not be seen or written is covered when all mounts are there"),
        Stage("freeze-root", CHILD, "a read-only root comes after the last mount point was made in it"),
        Stage("pivot", CHILD, "now the host's file system is let go"),
        Stage("names", CHILD, "hostname and network interfaces live in namespaces that are ours by now"),
        Stage("terminal", CHILD, "a terminal is opened in the container's own /dev/pts"),
        Stage("rights", CHILD, "rights are given up late, as everything above needed them"),
        Stage("capabilities", CHILD, "root's pieces of power go after the user has changed: that needs some of them itself"),
        Stage("wait", CHILD, "created: everything is ready, nothing has run; start comes from outside"),
        Stage("init", CHILD, "who is to be PID 1, if it is not the program itself"),
        Stage("exec", CHILD, "the program replaces the process that prepared everything"),
    )
}
ORDER = {name: position for position, name in enumerate(STAGES)}


@dataclass(frozen=True)
class Ref:
    """The result of an earlier step, by its name: a descriptor, or the pid; or a ``part`` of it, as the address of a lease."""

    name: str
    part: str = ""

    def __repr__(self) -> str:
        return f"<{self.name}.{self.part}>" if self.part else f"<{self.name}>"


@dataclass(frozen=True)
class Step:
    """One call: its stage, its arguments, why the kernel wants it there, what it gives, how it is undone.

    ``call`` is a name in ``calls.CALLS`` or ``callers.CALLS``; ``gives`` names the result for a later ``Ref``;
    ``undo`` is a list of ``(name in state.UNDOS, argument…)``.
    """

    stage: str
    call: str
    args: tuple = ()
    why: str = ""
    gives: str | None = None
    undo: tuple = ()

    def __post_init__(self):
        if self.stage not in STAGES:
            from difflib import get_close_matches

            near = next((f" (do you mean {one!r}?)" for one in get_close_matches(self.stage, STAGES, 1)), "")
            raise ValueError(f"there is no stage {self.stage!r}{near}; in this order they are: {', '.join(STAGES)}")

    @property
    def shoes(self) -> str:
        return STAGES[self.stage].shoes

    def __str__(self) -> str:
        words = ", ".join(repr(value) for value in self.args)
        return f"{self.call}({words})" + (f" → {self.gives}" if self.gives else "")

    def data(self, index: int) -> list:
        """The step as plain data."""
        return [index, self.stage, self.call, [plain(value) for value in self.args]]


def plain(value):
    if isinstance(value, Ref):
        return {REF: value.name, PART: value.part} if value.part else {REF: value.name}
    return [plain(one) for one in value] if isinstance(value, list) else value


def shorten(step: Step, width: int = 150) -> str:
    """A step in one line; a long environment or argument list is cut."""
    text = str(step)
    return text if len(text) <= width else text[: width - 2] + "…)"
