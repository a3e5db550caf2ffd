"""The stop button, in every cell of every chapter: the cell can be run again, and nothing is left at the end."""

import json
import os
import random
import signal
import time
from pathlib import Path
from queue import Empty
from types import SimpleNamespace

import pytest
from helpers.needs import requires

from lib import state
from lib.engine.wishes import kept
from lib.lab.jupyter.chapterlist import home, there
from lib.lab.jupyter.kernelmanager import OwnSockets
from lib.process import scratch

SEED = random.randrange(10**6)
LIMIT = 120  # seconds for a cell
QUICK = 1  # seconds: a cell that takes less is run twice to its end

# In the kernel: the stop button is pressed while a cell's own code runs, and never in IPython's before and after it. There, once in some
# thousand times, it leaves a lock of the history or the output held, and the kernel is dumb from then on, whatever the cell was (`x = 1`).
STOP = """
def install():
    import os, signal
    shell = get_ipython()
    run, timer = shell.run_code, lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)

    async def run_code(*args, **words):  # a cell's statements come one by one
        timer(stop_after.pop() if stop_after else 0)
        try:
            return await run(*args, **words)
        finally:
            if left := timer(0)[0]:
                stop_after.append(left)

    shell.run_code = run_code
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(0, signal.SIGINT))
stop_after = []
install()
"""


class Kernel:
    """A real Jupyter kernel, driven cell by cell."""

    def __init__(self, folder: Path):
        self.manager = OwnSockets()
        self.manager.start_kernel(cwd=str(folder))
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)
        self.client.execute(STOP, silent=True)

    def run(self, source: str, interrupt_after: float | None = None) -> dict | None:
        """Execute a cell; with ``interrupt_after`` seconds the stop button is pressed then. Returns what it raised, once it has ended.

        The kernel's reply is not waited for, but what it publishes: that is sent by a thread that no interrupt reaches.
        """
        wish = f"stop_after.__init__({[interrupt_after] if interrupt_after else []})"  # as an expression, which is no cell
        self.client.execute("", silent=True, user_expressions={"wish": wish})
        request, raised = self.client.execute(source, stop_on_error=False), None
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            message = self.published(request)
            if message["msg_type"] == "error":
                raised = message["content"]
            elif message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return raised
        self.manager.signal_kernel(signal.SIGABRT)  # its faulthandler prints where each thread stands
        raise AssertionError(f"seed {SEED}: no end after {LIMIT} s: {source}")

    def published(self, request: str) -> dict:
        """The next message about a request; an empty one after a second without any."""
        try:
            message = self.client.get_iopub_msg(timeout=1)
        except Empty:
            assert self.manager.is_alive(), f"seed {SEED}: the kernel died"
            return {"msg_type": ""}
        return message if message["parent_header"].get("msg_id") == request else {"msg_type": ""}

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_wait_time = LIMIT  # Jupyter kills a kernel that is still clearing up after 2.5 s; on a busy machine it may be
        self.manager.shutdown_kernel()


def cells(path: Path) -> list[str]:
    found = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    return ["".join(cell["source"]) for cell in found]


@pytest.mark.parametrize("chapter", there(), ids=lambda chapter: chapter.number)
@pytest.mark.timeout(900)
@requires("root", "memory", "cpu", "pids")
def test_every_cell_can_be_stopped_and_run_again(chapter):
    dice = random.Random(SEED)
    kernel = Kernel(home())
    try:
        for source in cells(chapter.path(home())):
            after = dice.choice([0.002, 0.01, 0.03, 0.1, 0.3]) * dice.random() * 2
            kernel.run(source, interrupt_after=after)
            began = time.monotonic()
            raised, took = kernel.run(source), time.monotonic() - began
            if not raised and took < QUICK:  # the stop may have come before the end: only now has it run twice for certain
                raised = kernel.run(source)
            assert not raised, f"seed {SEED}, stopped after {after:.3f} s, then run again: {source}\n" + "\n".join(raised["traceback"])
    finally:
        kernel.close()


def test_an_interrupt_in_the_middle_of_a_removal(monkeypatch):
    original = state.rmtree

    def interrupted(path):
        os.kill(os.getpid(), signal.SIGINT)
        original(path)

    monkeypatch.setattr(state, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt), scratch("test") as place:
        Path(place, "file").touch()
    assert not os.path.exists(place)


def test_an_interrupt_just_after_a_run_was_noted(monkeypatch):
    noted = state.Record.save

    def interrupted(*args):
        noted(*args)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(state.Record, "save", interrupted)
    with pytest.raises(KeyboardInterrupt), kept(SimpleNamespace(id="image", chain_ids=[])):
        pass
    assert not state.records()
