"""The stop button, in every cell of every chapter: the cell can be run again, and nothing is left at the end."""

import json
import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path
from queue import Empty

import pytest
from needs import requires

from lib import state
from lib.lab.kernel import OwnSockets
from lib.lab.notebooks import home, there
from lib.process import scratch

SEED = random.randrange(10**6)


class Garbled(Exception):
    """The interrupt cut a reply of ipykernel's between two of its parts, and the next reply is stuck to it (ZMQ_SNDMORE in zmq_send(3))."""


class Kernel:
    """A real Jupyter kernel, driven cell by cell."""

    def __init__(self, folder: Path):
        self.manager = OwnSockets()
        self.manager.start_kernel(cwd=str(folder))
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def run(self, source: str, interrupt_after: float | None = None, timeout: float = 120) -> dict | None:
        """Execute a cell and return its reply; with ``interrupt_after`` seconds the stop button is pressed then, if it still runs.

        None if there is no reply: ipykernel loses it when the interrupt comes just before or after the cell's own code.
        """
        request = self.client.execute(source, stop_on_error=False)
        if interrupt_after is not None:
            self.wait_for_start(request)
            time.sleep(interrupt_after)
            self.manager.interrupt_kernel()
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                reply = self.client.get_shell_msg(timeout=1)
            except ValueError as error:  # the signature does not fit
                raise Garbled from error
            except Empty:
                assert self.manager.is_alive(), f"the kernel died of: {source}"
                continue
            if reply["parent_header"].get("msg_id") == request:
                return reply["content"]
        return None

    def wait_for_start(self, request: str) -> None:
        while True:
            message = self.client.get_iopub_msg(timeout=30)
            if message["msg_type"] == "execute_input" and message["parent_header"]["msg_id"] == request:
                return

    def close(self) -> None:
        self.client.stop_channels()
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
            with suppress(Garbled):
                kernel.run(source, interrupt_after=after, timeout=4)
            try:
                again = kernel.run(source)
            except Garbled:
                again = kernel.run(source)
            assert again and again["status"] == "ok", f"seed {SEED}, stopped after {after:.3f} s, then run again: {source}\n{again}"
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
