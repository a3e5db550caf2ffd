"""Run chapters from the first cell to the last, without a browser (``make tutorial``).

papermill runs each chapter in a process of its own, so that one that fails, hangs or loses its kernel takes nothing with it. The
executed notebooks, their HTML pages and ``report.json`` are written to ``build/``. Exit codes: 0 every chapter ran whole, 1 a chapter
failed, 2 wrong use (nothing was run), 3 this machine lacks something that a chapter needs (nothing was run), 130 interrupted, 143
terminated.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import signal
import sys
import time
from pathlib import Path

from lib.lab.jupyter.chapterlist import ROOT, choose, home
from lib.lab.jupyter.parameters import WrongUse, check_parameters
from lib.lab.jupyter.pool import Bar, Stop, run_all
from lib.lab.jupyter.report import summary, write_report
from lib.lab.jupyter.worker import CELL_TIMEOUT, Job, work
from lib.lab.openfiles import AS_JUPYTERLAB, more_files

UNRUN = (
    "You can still read: the notebooks hold the outputs of another machine's run (make lab shows them, and so does any notebook viewer).",
    "make doctor shows all that this machine has and lacks. This is exit code 3 (make says 'Error 3').",
)


# -- where it goes -----------------------------------------------------------------------------------


def claim(out: Path) -> tuple[Path, int]:
    """A folder for this batch alone, and the lock that says so: ``build``, or ``build/batch-2`` … while others run."""
    for number in range(1, 100):
        folder = out if number == 1 else out / f"batch-{number}"
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return folder, lock
        except BlockingIOError:
            os.close(lock)
    raise WrongUse(f"a hundred batches are writing to {out}: choose another folder with OUT=")


# -- the command -----------------------------------------------------------------------------------------------


def parser() -> argparse.ArgumentParser:
    one = argparse.ArgumentParser(
        prog="python -m lib.lab.jupyter.batch", description=__doc__.splitlines()[0], epilog=__doc__[__doc__.index("Exit codes") :],
    )  # fmt: skip
    env = os.environ.get
    one.add_argument("--only", default=env("ONLY", ""), help="chapters, e.g. 02,03; $ONLY")
    one.add_argument("--params", default=env("PARAMS", ""), help='e.g. "02.memory=64m 02.repeats=3"; $PARAMS')
    one.add_argument("--jobs", type=int, default=env("JOBS") or 1, help="chapters at once (those that measure times run alone); $JOBS")
    one.add_argument("--cell-timeout", type=int, default=env("CELL_TIMEOUT") or CELL_TIMEOUT, help="seconds for each cell; $CELL_TIMEOUT")
    one.add_argument("--out", type=Path, default=env("OUT") or ROOT / "build", help="folder for the results; $OUT")
    one.add_argument("--notebooks", type=Path, default=home(), help="folder with the chapters")
    one.add_argument("--anyway", action="store_true", help="run even if this machine lacks something")
    one.add_argument("--worker", help=argparse.SUPPRESS)
    one.add_argument("--channel", type=int, help=argparse.SUPPRESS)
    return one


def prepare(args, folder: Path) -> list[Job]:
    """Every job, checked before anything runs. Raises ``WrongUse``."""
    notebooks = args.notebooks.absolute()
    try:
        chapters = choose(args.only, notebooks)
    except ValueError as error:
        raise WrongUse(f"ONLY: {error}") from None
    if not chapters:
        raise WrongUse(f"there is no chapter in {notebooks}")
    if args.jobs < 1 or args.cell_timeout < 1:
        raise WrongUse("JOBS and CELL_TIMEOUT are whole numbers from 1 on")
    values = check_parameters(args.params, chapters, notebooks)
    jobs = []
    for chapter in chapters:
        stem = folder / chapter.file
        job = Job(chapter.number, str(chapter.path(notebooks)), str(stem), str(stem.with_suffix(".html")), str(stem.with_suffix(".log")))
        job.parameters, job.cell_timeout = values.get(chapter.number, {}), args.cell_timeout
        job.cells = len(json.loads(chapter.path(notebooks).read_text())["cells"])
        jobs.append(job)
    return jobs


def lacks(jobs: list[Job]) -> list[str]:
    """What this machine lacks for these chapters, one message each."""
    from lib.lab.doctor import machine

    rows = machine.look()
    return list(dict.fromkeys(message for job in jobs for message in machine.missing_for(job.chapter, rows)))


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    more_files(AS_JUPYTERLAB)  # a crowd of containers wants some for each
    if args.worker:
        work(Job(**json.loads(args.worker)), args.channel)
        return 0
    out = args.out.absolute()
    try:
        prepare(args, out)
        folder, lock = claim(out)
        jobs = prepare(args, folder)
    except WrongUse as error:
        print(error, file=sys.stderr)
        return 2
    if not args.anyway and (messages := lacks(jobs)):
        print("\n".join(["Nothing was run, since this machine cannot run these chapters whole.", *messages, *UNRUN]), file=sys.stderr)
        return 3
    if folder != out:
        print(f"another batch is writing to {out}: this one writes to {folder}", file=sys.stderr)
    try:
        return run_batch(jobs, folder, args.jobs)
    finally:
        os.close(lock)


def run_batch(jobs: list[Job], folder: Path, at_once: int) -> int:
    def stop(number, _frame):
        raise Stop(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    began, code = time.monotonic(), None
    bar = Bar(jobs)
    try:
        run_all(jobs, at_once, bar)
        code = int(any(job.status != "ok" for job in jobs))
    except Stop as asked:
        code = 128 + asked.number
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    seconds = time.monotonic() - began
    write_report(folder, jobs, seconds, code)
    if bar.live:
        sys.stderr.write("\n")
    print(summary(folder, jobs, seconds), flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
