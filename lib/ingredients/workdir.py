"""Where the program starts, with which umask, and under which limits of its own. See getrlimit(2)."""

from __future__ import annotations

import os

from lib.process import Step, check_text
from lib.visible import visible

ULIMITS = ("as", "core", "cpu", "data", "fsize", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio", "rttime",
           "sigpending", "stack")  # fmt: skip


class WorkDir:
    """The folder in which the program starts (made if it is missing and ``make``), and the umask and limits that Docker gives it."""

    def __init__(self, path: str, ulimits: dict[str, tuple[int, int]] | None = None, make: bool = True):
        self.path, self.ulimits, self.make = path, ulimits or {}, make

    def steps(self) -> list[Step]:
        limits = [Step("rights", "setrlimit", (name.upper(), *pair), "--ulimit") for name, pair in self.ulimits.items()]
        call, why = ("make_cwd", "--workdir, made if it is missing") if self.make else ("enter_cwd", "--workdir")
        return [Step("rights", "umask", (0o022,), "new files: rw-r--r--"), *limits, Step("names", call, (self.path,), why)]


def absolute(workdir: str) -> str:
    """A working directory, without dots. Raises ``ValueError``."""
    check_text(workdir, f"the working directory {workdir!r}")
    if not workdir.startswith("/"):
        raise ValueError(f"the working directory '{visible(workdir)}' is invalid, it needs to be an absolute path")
    return os.path.normpath(workdir)


def check_ulimit(name: str, soft: int, hard: int) -> None:
    """Raises ``ValueError``, in Docker's words; -1 is no limit."""
    if name not in ULIMITS:
        raise ValueError(f"invalid ulimit type: {name} (there is {', '.join(ULIMITS)})")
    if hard != -1 and (soft == -1 or soft > hard):
        raise ValueError(f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")
