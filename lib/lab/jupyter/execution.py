"""Run all cells of a notebook by our own kernel, so that Ctrl-C stops the run and leaves nothing."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from nbformat import NotebookNode

CELL_TIMEOUT = 120


def execute(notebook: NotebookNode, folder: Path, timeout: int = CELL_TIMEOUT) -> None:
    """Run all cells with our own kernel. Raises nbclient's ``CellExecutionError``, ``CellTimeoutError``, ``DeadKernelError``.

    Raises ``KeyboardInterrupt`` after Ctrl-C, once the kernel has ended.
    """
    from lib.lab.jupyter.kernelmanager import NAME, OwnKernel, clean_environment

    with clean_environment():
        client = stoppable()(
            notebook, timeout=timeout, kernel_name=NAME, kernel_manager_class=OwnKernel, record_timing=False,
            store_widget_state=False, coalesce_streams=True, resources={"metadata": {"path": str(folder)}},
        )  # fmt: skip
        try:
            client.execute()
        finally:
            if client.stopped:
                raise KeyboardInterrupt  # however the run ended then


def stoppable():
    """nbclient's client, but Ctrl-C stops the run: nbclient's own handler ends the kernel, which then looks as if it had died by itself.

    The first Ctrl-C interrupts the cell, as the stop button does, so that it can clean up; no other cell is run. The second does not wait.
    """
    from nbclient import NotebookClient

    class Stoppable(NotebookClient):
        stopped = False

        async def async_start_new_kernel(self, **how):
            for number in (signal.SIGINT, signal.SIGTERM):  # nbclient has set its own just before this
                asyncio.get_running_loop().add_signal_handler(number, self.stop)
            return await super().async_start_new_kernel(**how)

        def stop(self) -> None:
            if self.stopped or self.kc is None:
                for task in asyncio.all_tasks():
                    task.cancel()
            else:
                self.interrupting = asyncio.ensure_future(self.km.interrupt_kernel())
            self.stopped = True

        async def async_execute_cell(self, *cell, **how):
            if self.stopped:
                raise asyncio.CancelledError
            return await super().async_execute_cell(*cell, **how)

    return Stoppable
