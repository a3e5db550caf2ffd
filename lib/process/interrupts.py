"""Ctrl-C may come between any two instructions. Here is what must not be cut in half by it: a shield for moments, and two deeds of everyday
that need one, a program that is run to its end and a temporary folder.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from lib import state


class Shield:
    """Ctrl-C may come between any two instructions; within a shield it comes only where ``opened`` allows it.

    Only the main thread ever gets a KeyboardInterrupt, so in any other thread this does nothing.
    """

    def __enter__(self) -> Shield:
        self.pending = self.open = False
        self.active = threading.current_thread() is threading.main_thread()
        if self.active:
            self.before = signal.signal(signal.SIGINT, self.handle)
        return self

    def handle(self, number, frame) -> None:
        if not self.open:
            self.pending = True
            return
        self.open = False  # a second one must not disturb the clean-up after the first
        self.deliver(number, frame)
        self.open = True  # the handler only took note (asyncio's does, the first time): stay open for the next

    def deliver(self, number: int = signal.SIGINT, frame=None) -> None:
        """What an interrupt means is for the caller's own handler to say; Python's raises KeyboardInterrupt."""
        if callable(self.before):
            self.before(number, frame)

    @contextmanager
    def opened(self):
        """Within this block an interrupt is delivered at once, one that came before included."""
        self.open = True
        try:
            if self.pending:
                self.pending = False
                self.handle(signal.SIGINT, None)
            yield
        finally:
            self.open = False

    def __exit__(self, *error) -> None:
        if self.active:
            signal.signal(signal.SIGINT, self.before)
            if self.pending and error[0] is None:
                self.deliver()


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
