"""The command for the chapters' files: which are there, their outputs, their navigation lines.

``python -m lib.lab.jupyter.notebooks list|outputs [--check] [--only 02]|navigation [--check]``. ``outputs`` runs the notebooks in place,
so that every committed output was printed by a run of the committed code. Exit codes: 0 all is well (or rewritten), 1 a cell failed
or, with ``--check``, something differs, 2 wrong use, 130 interrupted (Ctrl-C): each file is then as it was or wholly rewritten.
"""

from __future__ import annotations

import argparse
import contextlib
import sys

from lib.lab.jupyter import chapterlist
from lib.lab.jupyter.chapterlist import CHAPTERS, Chapter, choose, there
from lib.lab.jupyter.execution import CELL_TIMEOUT
from lib.lab.jupyter.navigation import write_navigation
from lib.lab.jupyter.outputs import outputs


def run_outputs(chapters: list[Chapter], check: bool, timeout: int) -> int:
    from nbclient.exceptions import CellControlSignal, CellExecutionError, DeadKernelError

    worst = 0
    for chapter in chapters:
        print(f"{chapter.number}: running every cell …", flush=True)
        try:
            found = outputs(chapter.path(chapterlist.home()), check, timeout)
        except (CellExecutionError, CellControlSignal, DeadKernelError) as error:
            print(f"{chapter.number}: a cell failed, the file is left as it was\n{error}", file=sys.stderr)
            worst = 1
            continue
        except KeyboardInterrupt:
            print(f"{chapter.number}: interrupted, the file is left as it was", file=sys.stderr)
            return 130
        verdict = "as committed" if not found else "differs from the file:" if check else "rewritten:"
        print("\n".join([f"{chapter.number}: {verdict}", *found]))
        worst = max(worst, int(check and bool(found)))
    return worst


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m lib.lab.jupyter.notebooks", description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["list", "outputs", "navigation"])
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if something would change")
    parser.add_argument("--only", default="", help="chapters, e.g. 02,03")
    parser.add_argument("--cell-timeout", type=int, default=CELL_TIMEOUT, help="seconds for each cell (%(default)s)")
    args = parser.parse_args(argv)
    try:
        chapters = choose(args.only)
    except ValueError as error:
        parser.error(str(error))
    if args.what == "list":
        for one in CHAPTERS:
            print(f"{one.number}  {'there' if one in there() else 'not yet'}  {one.title}")
        return 0
    if args.what == "outputs":
        return run_outputs(chapters, args.check, args.cell_timeout)
    stale = [one.file for one in chapters if write_navigation(one, chapterlist.home(), args.check)]
    print(f"{'not as they should be' if args.check else 'written'}: {', '.join(stale) or 'none'}")
    return int(args.check and bool(stale))


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
