"""Where the program starts, with which umask, and under which limits of its own. See getrlimit(2)."""

from __future__ import annotations

from lib.process import Step


class WorkDir:
    """The folder in which the program starts (made if it is missing and ``make``), and the umask and limits that Docker gives it."""

    def __init__(self, path: str, ulimits: dict[str, tuple[int, int]] | None = None, make: bool = True):
        self.path, self.ulimits, self.make = path, ulimits or {}, make

    def steps(self) -> list[Step]:
        limits = [Step("rights", "setrlimit", (name.upper(), *pair), "--ulimit") for name, pair in self.ulimits.items()]
        call, why = ("make_cwd", "--workdir, made if it is missing") if self.make else ("enter_cwd", "--workdir")
        return [Step("rights", "umask", (0o022,), "new files: rw-r--r--"), *limits, Step("names", call, (self.path,), why)]
