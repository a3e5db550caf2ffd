"""For ``pytest -p lib.lab.jupyter.nbval_sockets --nbval``: kernels that listen in files and not at TCP ports, and end in order.

nbval's manager looks for free ports, closes them, and the kernel binds them a second later. What binds one meanwhile (whatever else
is tested at the same time) makes a dead kernel and a red notebook. And nbval kills its kernels; what a chapter keeps to its kernel's end
(chapter 3 its registry) is to be cleaned up then. ``lib.lab.nbval.plugin`` comes with it.
"""

import os
import tempfile

import nbval.kernel

from lib import state
from lib.lab.jupyter.kernelmanager import OwnSockets


class EndsInOrder(OwnSockets):
    """Whoever ends its kernel asks it first, as JupyterLab does, and kills it only if it does not listen."""

    def shutdown_kernel(self, now: bool = False, restart: bool = False) -> None:
        super().shutdown_kernel(now=False, restart=restart)


pytest_plugins = ["lib.lab.nbval.plugin"]
nbval.kernel.KernelManager = EndsInOrder


def pytest_configure(config):
    """The reader's own files are no test's business: here they are the session's."""
    folder = tempfile.TemporaryDirectory(prefix=state.temporary("reader"), ignore_cleanup_errors=True)
    config.add_cleanup(folder.cleanup)
    os.environ["SUITCASE_READER"] = folder.name
