"""Cells of a notebook, run in an IPython shell in a Python of its own: what they print, and whether one of them failed.

The ★ table and the exercises use it: they need cells to run with a changed ``lib``, or with another answer. Started as a program it is
that Python: each line of the standard input is a JSON list of cells, of which the first one that fails is the last one that runs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

FIRST = {"parameters", "setup"}
END = "end of these cells: "  # a line of the standard output begins with it; what follows is 1 if one failed, else 0


def tags(cell: dict) -> set[str]:
    return set(cell["metadata"].get("tags", []))


def sources(notebook: Path, *wanted: str) -> list[str]:
    """The source of the cells with one of these tags, in the notebook's order; parameters and set-up are always among them."""
    return tagged(notebook, *FIRST, *wanted)


def tagged(notebook: Path, *wanted: str) -> list[str]:
    """The source of the cells with one of these tags, and of no others."""
    cells = json.loads(notebook.read_text())["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code" and tags(cell) & set(wanted)]


class Printed(NamedTuple):
    """By some cells; an error is the last line of ``out``. ``err`` holds what was written there since the Python started."""

    failed: bool
    out: str
    err: str


class Shell:
    """A fresh Python whose ``lib`` is the one in the folder ``lib``. It stays, and knows what earlier cells have defined."""

    def __init__(self, lib: Path, cwd: Path):
        environment = os.environ | {"PYTHONPATH": str(lib), "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1"}
        self.err = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.err, text=True, env=environment, cwd=cwd
        )

    def __enter__(self) -> Shell:
        return self

    def run(self, cells: list[str]) -> Printed:
        print(json.dumps(cells), file=self.process.stdin, flush=True)
        lines, end = [], ""
        for line in self.process.stdout:  # all of it, if that Python ends
            if line.startswith(END):
                end = line
                break
            lines.append(line)
        self.err.seek(0)
        return Printed(end != f"{END}0\n", "".join(lines), self.err.read())

    def __exit__(self, kind: type | None, *_) -> None:
        """It cleans up; after an error here it may still be in the middle of a cell, and does not get the time to."""
        if kind:
            self.process.kill()
        self.process.communicate()
        self.err.close()


def replay(cells: list[str], lib: Path, cwd: Path) -> Printed:
    """Run the cells in a Python of their own."""
    with Shell(lib, cwd) as shell:
        return shell.run(cells)


def main() -> None:
    from IPython.core.displayhook import DisplayHook
    from IPython.core.interactiveshell import InteractiveShell

    class Plain(DisplayHook):
        def __call__(self, result=None):
            """A cell's result as plain text, without its number."""
            if result is not None:
                print(repr(result), flush=True)

    shell = InteractiveShell.instance(colors="NoColor", displayhook_class=Plain)
    for cells in map(json.loads, sys.stdin):
        print(f"\n{END}{int(any(failed(shell, cell) for cell in cells))}", flush=True)


def failed(shell, cell: str) -> bool:
    """Run it; its error is printed."""
    done = shell.run_cell(cell)
    if error := done.error_before_exec or done.error_in_exec:
        print(f"{type(error).__name__}: {error}")
    return error is not None


if __name__ == "__main__":
    main()
