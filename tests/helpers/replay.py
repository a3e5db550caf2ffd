"""Runs cells in an IPython shell of this process and prints what they print; the cells come as a JSON list on standard input.

Ends with 1 at the first error, which is printed as its last line. The ★ table and the exercises use it: they need cells to run
with a changed ``lib``, or with another answer.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

FIRST = {"parameters", "setup"}


def tags(cell: dict) -> set[str]:
    return set(cell["metadata"].get("tags", []))


def sources(notebook: Path, *wanted: str) -> list[str]:
    """The source of the cells with one of these tags, in the notebook's order; parameters and set-up are always among them."""
    cells = json.loads(notebook.read_text())["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code" and tags(cell) & {*FIRST, *wanted}]


def replay(cells: list[str], lib: Path, cwd: Path) -> subprocess.CompletedProcess:
    """Run the cells in a fresh Python whose ``lib`` is the one in the folder ``lib``."""
    environment = os.environ | {"PYTHONPATH": str(lib), "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, __file__], input=json.dumps(cells), capture_output=True, text=True, timeout=300, env=environment, cwd=cwd
    )


def main() -> int:
    from IPython.core.displayhook import DisplayHook
    from IPython.core.interactiveshell import InteractiveShell

    class Plain(DisplayHook):
        def __call__(self, result=None):
            """A cell's result as plain text, without its number."""
            if result is not None:
                print(repr(result), flush=True)

    shell = InteractiveShell.instance(colors="NoColor", displayhook_class=Plain)
    for cell in json.load(sys.stdin):
        done = shell.run_cell(cell)
        if error := done.error_before_exec or done.error_in_exec:
            print(f"{type(error).__name__}: {error}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
