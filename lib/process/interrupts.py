"""Two deeds of everyday that Ctrl-C must not cut in half: a program that is run to its end, and a temporary folder."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from lib import state
from lib.shield import Shield


def completed(argv: Sequence[str], timeout: float | None = None, stdin=subprocess.DEVNULL, cwd=None) -> subprocess.CompletedProcess:
    """``subprocess.run`` with its output as text, for another's program. ``timeout`` in seconds.

    There an interrupt may come when the child is started and not yet noted, or it is not waited for: it stays, as a zombie. Not here.
    """
    how = {"stdin": stdin, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": cwd}
    with Shield() as shield, subprocess.Popen(argv, **how) as child:
        try:
            with shield.opened():
                out, err = child.communicate(timeout=timeout)
        except BaseException:
            child.kill()
            child.wait()
            raise
    return subprocess.CompletedProcess(argv, child.returncode, out, err)


@contextmanager
def scratch(kind: str, parent: str | os.PathLike | None = None) -> Iterator[str]:
    """A temporary folder, in ``parent`` if that is given. Its removal cannot be cut in half by an interrupt, nor its making be missed.

    What cannot be removed stays, and the leak check tells it.
    """
    with Shield() as shield:
        place = tempfile.mkdtemp(prefix=state.temporary(kind), dir=parent)
        try:
            with shield.opened():
                yield place
        finally:
            with suppress(OSError):
                state.rmtree(place)
