"""A Jupyter kernel that is surely this Python's, and a notebook client that starts it.

By name alone, ``python3`` may be anybody's: a kernelspec in the reader's home folder or on JUPYTER_PATH comes before ours. Batch runs
and `make outputs` must run the code that is installed here, so they name the interpreter and not the spec.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager, KernelManager
from jupyter_core.paths import jupyter_runtime_dir
from jupyter_core.utils import ensure_dir_exists
from traitlets import default

from lib import state

ROOT = Path(__file__).resolve().parents[3]
NAME = "python3"


class OwnSpecs(KernelSpecManager):
    """Knows one kernel: the interpreter that runs this line."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return KernelSpec(**get_kernel_dict())  # its command starts with sys.executable


class OwnSockets(KernelManager):
    """A manager whose kernel listens in Jupyter's runtime folder, which is ours alone: at no port that others could reach, or take first.

    Nobody has made that folder where Jupyter has never run.
    """

    transport = "ipc"

    @default("ip")
    def _own_sockets(self) -> str:
        ensure_dir_exists(jupyter_runtime_dir(), mode=0o700)
        return os.path.join(jupyter_runtime_dir(), secrets.token_hex(4))


class OwnKernel(OwnSockets, AsyncKernelManager):
    """A manager for that kernel; papermill and nbclient take it as their ``kernel_manager_class``."""

    @default("kernel_spec_manager")
    def _own_specs(self) -> OwnSpecs:
        return OwnSpecs(parent=self)


@contextlib.contextmanager
def clean_environment() -> Iterator[None]:
    """Set what a kernel inherits: this checkout's lib, and nothing of the user's IPython set-up; undone at the end.

    The user's start-up files would change outputs, and their history is none of our business. Connection files go to a temporary
    folder too, so that nothing stays even if the kernel is killed. (Its name is not ours: a chapter beside it would take it for a leak.)
    """
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix=state.temporary("kernel"), ignore_cleanup_errors=True) as folder:
        paths = [str(ROOT), *filter(None, [before.get("PYTHONPATH")])]
        own = {"PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)), "IPYTHONDIR": folder, "JUPYTER_RUNTIME_DIR": folder}
        own["SUITCASE_READER"] = folder  # the reader's own files are no batch run's business
        os.environ.update(own)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)
