"""One chapter in one process: papermill runs it, and what happens is told to the batch, line by line of JSON."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

CELL_TIMEOUT = 300


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
