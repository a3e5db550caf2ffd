"""Where a container's output goes when nobody need be there to read it: named pipes, which outlive every reader.

The container opens its ends *for reading and writing*. So each pipe has a reader for ever: if everything of ours is killed, a program
that writes waits at a full pipe instead of dying of SIGPIPE, and whoever comes next opens the pipe by its name and reads on. See fifo(7).
"""

from __future__ import annotations

from pathlib import Path

from lib import state
from lib.engine.vitality import BEGUN, TOLD
from lib.process import Ref, Step
from lib.state import kept

NUMBERS = {"stdin": 0, "stdout": 1, "stderr": 2}
WHY = {
    "stdin": "whoever is attached writes here",
    "stdout": "what it prints waits here until it is read",
    "stderr": "apart, as the caller may want it elsewhere",
}


def run_folder(ident: str) -> Path:
    """Where a running container's pipes lie, in memory."""
    return state.runtime_dir() / ident[: kept.SHORT]


class NamedPipes:
    """An ingredient: the pipes of a container that outlives its caller, and the files that tell that it began, and how it ended.

    A terminal's output goes through the pipe ``stdout``, too. Without ``stdin`` the program reads from nothing. The pipes are given to
    ``uid``, who the program runs as: else it could not open ``/dev/stdout``, as many do to log.
    """

    def __init__(self, folder: Path, tty: bool, stdin: bool, uid: int = 0):
        self.folder, self.uid = str(folder), uid
        self.streams = ("stdout",) if tty else ("stdin", "stdout", "stderr") if stdin else ("stdout", "stderr")
        self.tty = tty

    def steps(self) -> list[Step]:
        at = self.folder
        steps = [
            Step("prepare", "mkdir", (at, 0o700), "the container's own, as long as it runs", undo=(("rmtree", at),)),
            Step("prepare", "open_blank", (f"{at}/exit",), "its keeper writes there how it ended", gives="exit"),
            Step("prepare", "open_blank", (f"{at}/{BEGUN}",), "whoever wants to know waits at its lock", gives="begun"),
            Step("wait", "write_to", (Ref("begun"), TOLD), "it was told to start: from here on nobody need be there"),
            *(Step("prepare", "named_pipe", (f"{at}/{name}",), WHY[name]) for name in self.streams),
        ]
        return steps if self.tty else steps + [step for name in self.streams for step in self.ends(name)]

    def ends(self, name: str) -> list[Step]:
        """Open the container's end of a pipe."""
        how = ("open_reader", "when all writers have gone, that is the end") if name == "stdin" else ("open_rw", "never without a reader")
        opened = Step("prepare", how[0], (f"{self.folder}/{name}",), how[1], gives=name)
        return [opened, *([Step("terminal", "give_to", (NUMBERS[name], self.uid), f"it may open /dev/{name} again")] if self.uid else [])]


class ExitInto:
    """An ingredient: the keeper writes how the process ended into this descriptor (a pipe, say)."""

    def __init__(self, fd: int):
        self.fd = fd

    def steps(self) -> list[Step]:
        return [Step("prepare", "dup", (self.fd,), "the keeper writes there how it ended", gives="exit")]
