"""Run chapters from the first cell to the last, without a browser (``make tutorial``).

papermill runs each chapter in a process of its own, so that one that fails, hangs or loses its kernel takes nothing with it. The
executed notebooks, their HTML pages and ``report.json`` are written to ``build/``. Exit codes: 0 every chapter ran whole, 1 a chapter
failed, 2 wrong use (nothing was run), 3 this machine lacks something that a chapter needs (nothing was run), 130 interrupted, 143
terminated.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import ctypes
import fcntl
import html
import json
import os
import re
import select
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lib.atomicfile import atomic_file
from lib.lab.jupyter.notebooks import CHAPTERS, ROOT, Chapter, choose, home
from lib.lab.openfiles import AS_JUPYTERLAB, more_files

GRACE = 20  # seconds that a chapter gets to end its kernel after an interrupt
CELL_TIMEOUT = 300
UNRUN = (
    "You can still read: the notebooks hold the outputs of another machine's run (make lab shows them, as does any viewer of notebooks).",
    "make doctor shows all that this machine has and lacks. This is exit code 3 (make says 'Error 3').",
)


# -- what is asked for -------------------------------------------------------------------------------


class WrongUse(ValueError):
    """The command cannot be meant as it was written; nothing was run."""


def parameters_of(path: Path) -> dict[str, object]:
    """Names and default values of a chapter's ``parameters`` cell; a default that is no literal is ``...``."""
    for cell in json.loads(path.read_text())["cells"]:
        if "parameters" in cell["metadata"].get("tags", []):
            return dict(assignments("".join(cell["source"])))
    return {}


def assignments(source: str):
    """(name, value) of each plain assignment in ``source``."""
    for node in ast.parse(source).body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) and node.value else []
        for target in targets:
            if isinstance(target, ast.Name):
                try:
                    yield target.id, ast.literal_eval(node.value)
                except ValueError:
                    yield target.id, ...


def split_parameters(text: str) -> list[tuple[str, str, str]]:
    """``02.memory=64m 02.repeats=3`` as (chapter, name, value); values with spaces stand in quotes. Raises ``WrongUse``."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise WrongUse(f"PARAMS: {error} in {text!r}") from None
    rows = []
    for word in words:
        found = re.fullmatch(r"(\d{1,2})\.([A-Za-z_]\w*)=(.*)", word, re.DOTALL)
        if not found:
            raise WrongUse(f"PARAMS: {word!r} is not of the form CHAPTER.NAME=VALUE, e.g. 02.memory=64m")
        rows.append((found[1].zfill(2), found[2], found[3]))
    return rows


def value_for(default: object, text: str) -> object:
    """The value that ``text`` (YAML) stands for, of the same kind as the default. Raises ``WrongUse``."""
    import yaml

    if isinstance(default, str):
        return text
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise WrongUse(f"{text!r} is neither a literal nor YAML") from None
    if default in (..., None) or kind(value) is kind(default):
        return value
    if isinstance(default, tuple) and isinstance(value, list):
        return tuple(value)
    raise WrongUse(f"{text!r} is {type(value).__name__}, the default {default!r} is {type(default).__name__}")


def kind(value: object) -> type:
    """The type, with all numbers as one kind (and True is no number)."""
    return float if type(value) is int else type(value)


def check_parameters(text: str, chapters: list[Chapter], folder: Path) -> dict[str, dict[str, object]]:
    """The values by chapter and name, compared with each chapter's own cell. Raises ``WrongUse`` with what is known."""
    values: dict[str, dict[str, object]] = {}
    known = {one.number: parameters_of(one.path(folder)) for one in chapters}
    for number, name, word in split_parameters(text):
        if number not in known:
            raise WrongUse(f"PARAMS: chapter {number} is not among those that run ({', '.join(known) or 'none'})")
        if name not in known[number]:
            raise WrongUse(f"PARAMS: chapter {number} has no parameter {name!r}: there are {', '.join(sorted(known[number])) or 'none'}")
        try:
            values.setdefault(number, {})[name] = value_for(known[number][name], word)
        except WrongUse as error:
            raise WrongUse(f"PARAMS: {number}.{name}: {error}") from None
    return values


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


# -- the worker: one chapter in one process ---------------------------------------------------------------


@dataclass
class Job:
    """One chapter to run, and what came of it."""

    chapter: str
    notebook: str
    executed: str
    page: str
    log: str
    parameters: dict = field(default_factory=dict)
    cell_timeout: int = CELL_TIMEOUT
    status: str = "not run"  # then: running, ok, failed, interrupted
    seconds: float = 0.0
    cells: int = 0
    done: int = 0
    error: dict | None = None


def work(job: Job, channel: int) -> None:
    """Run one chapter with papermill and tell the parent, line by line of JSON, how it goes."""
    end_with_parent()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both mean: end the kernel, save, go
    tell = open(channel, "w", buffering=1)
    story = Story(tell)
    try:
        run_with_papermill(job, story)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    except BaseException as error:
        story.failed(type(error).__name__, explain(error, job))
    if os.path.exists(job.executed):
        write_page(job)
    tell.close()


def end_with_parent() -> None:
    """Have the kernel send us SIGINT when the batch is gone, however it went. See PR_SET_PDEATHSIG in prctl(2)."""
    ctypes.CDLL(None).prctl(1, signal.SIGINT, 0, 0, 0)


class Story:
    """What the parent is told: which cell runs, and the first that failed."""

    def __init__(self, tell):
        self.tell, self.cell, self.told = tell, None, False

    def say(self, **words) -> None:
        self.tell.write(json.dumps(words) + "\n")

    def at(self, cell, index: int) -> None:
        self.cell = {"index": index, "id": cell.get("id"), "tags": cell.metadata.get("tags", []), "source": cell.source[:200]}
        self.say(done=index)

    def failed(self, name: str, message: str) -> None:
        if not self.told:
            self.told = True
            self.say(error={"name": name, "message": message[:2000], "cell": self.cell})


def explain(error: BaseException, job: Job) -> str:
    """One sentence instead of a library's traceback."""
    name = type(error).__name__
    if name == "CellTimeoutError":
        return f"the cell had not ended after {job.cell_timeout} seconds (CELL_TIMEOUT=… gives it more)"
    if name == "DeadKernelError":
        return "the notebook's kernel died in this cell (killed, perhaps for lack of memory, or crashed)"
    return str(error)


def run_with_papermill(job: Job, story: Story) -> None:
    """papermill's own steps one by one: its all-in-one call takes a cell that is meant to raise for a failure."""
    from papermill.iorw import load_notebook_node
    from papermill.parameterize import parameterize_notebook

    from lib.lab.jupyter.kernelmanager import NAME, OwnKernel, clean_environment

    notebook = load_notebook_node(job.notebook)
    if job.parameters:
        notebook = parameterize_notebook(notebook, job.parameters, kernel_name=NAME, language="python")
    notebook.metadata.papermill.update(input_path=os.path.basename(job.notebook), output_path=os.path.basename(job.executed))
    story.say(cells=len(notebook.cells))
    with clean_environment():
        engine(story).execute_notebook(
            notebook, NAME, output_path=job.executed, progress_bar=False, execution_timeout=job.cell_timeout,
            kernel_manager_class=OwnKernel, coalesce_streams=True,
            resources={"metadata": {"path": os.path.dirname(job.notebook)}},
        )  # fmt: skip
    story.say(done=len(notebook.cells))


def engine(story: Story):
    """papermill's engine, with ears: it passes on which cell starts and which one raised."""
    from papermill.engines import NBClientEngine

    class Listening(NBClientEngine):
        @classmethod
        def execute_managed_notebook(cls, manager, kernel_name, **how):
            start, raised = manager.cell_start, manager.cell_exception

            def cell_start(cell, cell_index=None, **more):
                story.at(cell, cell_index)
                return start(cell, cell_index=cell_index, **more)

            def cell_exception(cell, cell_index=None, exception=None, **more):
                story.failed(exception.ename, f"{exception.evalue}")
                return raised(cell, cell_index=cell_index, exception=exception, **more)

            manager.cell_start, manager.cell_exception = cell_start, cell_exception
            return super().execute_managed_notebook(manager, kernel_name, **how)

    return Listening


def write_page(job: Job) -> None:
    """The executed notebook as one HTML file."""
    from lib.lab.jupyter.page import page

    try:
        text = page(job.executed)
    except Exception as error:  # a half-written notebook must not hide why it is half-written
        print(f"no page could be made of {job.executed}: {error}", file=sys.stderr)
        return
    Path(job.page).write_text(text)


# -- the parent: all chapters --------------------------------------------------------------------------------


class Stop(BaseException):
    """A signal has asked the batch to end."""

    def __init__(self, number: int):
        self.number = number


class Bar:
    """All cells of all chapters on one line of the terminal; without a terminal, a line for each chapter."""

    def __init__(self, jobs: list[Job]):
        self.jobs, self.began = jobs, time.monotonic()
        self.live = sys.stderr.isatty()
        self.drawn = 0

    def draw(self) -> None:
        if not self.live:
            return
        total, done = sum(job.cells for job in self.jobs) or 1, sum(job.done for job in self.jobs)
        running = " ".join(f"{job.chapter} cell {job.done}/{job.cells}" for job in self.jobs if job.status == "running")
        filled = 30 * done // total
        seconds = int(time.monotonic() - self.began)
        line = f"[{'█' * filled}{'·' * (30 - filled)}] {done}/{total} cells  {seconds // 60}:{seconds % 60:02}  {running}"
        sys.stderr.write("\r" + line.ljust(self.drawn))
        sys.stderr.flush()
        self.drawn = len(line)

    def say(self, text: str) -> None:
        if self.live:
            sys.stderr.write("\r" + " " * self.drawn + "\r")
        print(text, file=sys.stderr, flush=True)
        self.draw()


class Running:
    """A worker, as the parent sees it."""

    def __init__(self, job: Job):
        self.job, self.began, self.tail = job, time.monotonic(), b""
        self.pipe, theirs = os.pipe()
        log = open(job.log, "wb")
        command = [sys.executable, "-m", "lib.lab.jupyter.batch", "--worker", json.dumps(asdict(job)), "--channel", str(theirs)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
        # A session of its own: Ctrl-C in the terminal reaches the parent, which passes it on once.
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[theirs], env=environment, start_new_session=True
        )
        os.close(theirs)
        log.close()
        job.status = "running"

    def listen(self) -> bool:
        """Take in what the worker says; False once it has hung up."""
        data = os.read(self.pipe, 65536)
        *lines, self.tail = (self.tail + data).split(b"\n")
        for line in lines:
            for word, value in json.loads(line).items():
                setattr(self.job, word, value)
        return bool(data)

    def finish(self) -> None:
        code = self.process.wait()
        os.close(self.pipe)
        job = self.job
        job.seconds = round(time.monotonic() - self.began, 2)
        if job.error is None and (code or job.done < job.cells or not job.cells):
            job.error = {"name": "WorkerDied", "message": f"the chapter's process ended with {code}: see {job.log}", "cell": None}
        if job.status == "running":
            job.status = "failed" if job.error else "ok"
        with contextlib.suppress(OSError):
            if not os.path.getsize(job.log):
                os.unlink(job.log)

    def stop(self, number: int) -> None:
        self.job.status = "interrupted"
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)


def may_start(job: Job, running: list[Running], jobs_at_once: int) -> bool:
    """Chapters that measure times run alone."""
    alone = {one.number for one in CHAPTERS if one.alone}
    if running and (job.chapter in alone or any(one.job.chapter in alone for one in running)):
        return False
    return len(running) < jobs_at_once


def run_all(jobs: list[Job], at_once: int, bar: Bar) -> None:
    """Run the jobs; a ``Stop`` ends them all, gently first, and is raised again."""
    waiting, running = list(jobs), []
    try:
        while waiting or running:
            while waiting and may_start(waiting[0], running, at_once):
                running.append(Running(waiting.pop(0)))
            ready, _, _ = select.select([one.pipe for one in running], [], [], 0.5)
            for one in [one for one in running if one.pipe in ready and not one.listen()]:
                running.remove(one)
                one.finish()
                bar.say(verdict(one.job))
            bar.draw()
    except BaseException:
        end(running)
        for one in running:
            bar.say(verdict(one.job))
        raise


def end(running: list[Running]) -> None:
    """End every worker: SIGINT, so that it ends its kernel and saves; after ``GRACE`` seconds, or at a second Ctrl-C, SIGKILL.

    A killed worker's kernel ends by itself: it watches its parent.
    """
    for one in running:
        one.stop(signal.SIGINT)
    deadline = time.monotonic() + GRACE
    try:
        for one in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                one.process.wait(max(0.1, deadline - time.monotonic()))
    except Stop:
        pass
    for one in running:
        if one.process.poll() is None:
            one.stop(signal.SIGKILL)
        while one.listen():
            pass
        one.job.status = "interrupted"
        one.finish()


def verdict(job: Job) -> str:
    """One line for one chapter; the failing cell is named."""
    line = f"{job.chapter}  {job.status:<11} {job.seconds:6.1f} s"
    if not job.error or job.status == "interrupted":
        return line
    cell = job.error["cell"]
    where = f"cell {cell['index']} (id {cell['id']}): " if cell else ""
    return f"{line}  {where}{job.error['name']}: {job.error['message'].strip().splitlines()[0] if job.error['message'].strip() else ''}"


def write_report(folder: Path, jobs: list[Job], seconds: float, code: int) -> None:
    """``report.json`` for programs, ``index.html`` for people."""
    rows = [{key: value for key, value in asdict(job).items() if key != "done"} for job in jobs]
    report = {"exit_code": code, "seconds": round(seconds, 2), "python": sys.version.split()[0], "chapters": rows}
    with atomic_file(folder / "report.json") as file:
        file.write(f"{json.dumps(report, indent=1)}\n".encode())
    titles = {one.number: one.title for one in CHAPTERS}
    items = ""
    for job in jobs:
        words, page = html.escape(titles[job.chapter]), html.escape(os.path.basename(job.page))
        title = f"<a href='{page}'>{words}</a>" if os.path.exists(job.page) else words
        items += f"<li value={int(job.chapter)}>{title}: {job.status}, {job.seconds:.0f} s"
    name = "Docker: From Zero to Production"
    head = f"<!doctype html><html lang=en><meta charset=utf-8><title>{name}</title><h1>{name}</h1>"
    (folder / "index.html").write_text(f"{head}<ol>{items}</ol>\n")


def summary(folder: Path, jobs: list[Job], seconds: float) -> str:
    lines = ["", f"{sum(job.status == 'ok' for job in jobs)} of {len(jobs)} chapters ran whole, {seconds:.0f} s in all. Look here:"]
    for job in jobs:
        lines.append(f"  {verdict(job)}")
        if job.status != "not run":
            lines += [f"      {path}" for path in (job.executed, job.page, job.log) if os.path.exists(path)]
    places = [f"  all pages: {folder / 'index.html'}   (browser on another machine? README.md, 'Start', tells the way)"]
    return "\n".join([*lines, *places, f"  as JSON:   {folder / 'report.json'}"])


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
