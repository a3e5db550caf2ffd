"""The verbs of a plan, on top of what carries them out: create, start, run."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from lib.process import leaving  # noqa: F401 - whoever starts something leaves nothing behind
from lib.process.client import PATIENCE, Starter
from lib.process.errors import TimeLimit
from lib.process.exit import Exit
from lib.process.handle import Process
from lib.process.output import TYPED_AT_MOST, Pipes, memory_file
from lib.process.plan import StepPlan
from lib.shield import Shield

SHORTEST = 1  # second: as patient we are at least while a process is made, however little time it has afterwards


class Plan(StepPlan):
    """A process and its list of ingredients, not started yet; see ``StepPlan`` for what it is made of.

    Raises ``StepError`` for the step that failed, after everything done so far was undone.
    """

    def create(self, stdin=subprocess.DEVNULL, stdout=None, stderr=None, maker=Starter) -> Process:
        """Carry out everything up to the exec; the process then waits for ``start()``. It is a child of ours, or of another ``maker``."""
        process = None
        try:
            with Shield() as shield:
                process = Process(self, stdin, stdout, stderr, shield, maker=maker)
        except BaseException:
            if process:  # the interrupt came when it was ready: nobody would ever hold it
                process.remove()
            raise
        return process

    def start(self) -> Process:
        """Create and start in the background; what it writes goes to a file, see ``Process.logs``."""
        process = self.create()
        try:
            process.start()
        except BaseException:
            process.remove()
            raise
        return process

    def run(self, stdin: bytes = b"", timeout: float | None = None, show: bool | Callable[[str], object] = True) -> Exit:
        """Run in the foreground until it ends: its output appears live, and comes back in the ``Exit``.

        ``show`` may be a function: it gets each piece of the output as text.

        ``timeout`` in seconds; a process that runs longer is killed and ``TimeLimit`` raised; where no time is left, none is
        started. An interrupt (Ctrl-C, the notebook's stop button) kills it too. In every case nothing is left when this returns or raises.
        """
        if timeout is not None and not timeout > 0:  # or it is no number (NaN)
            raise TimeLimit(timeout, words=f"no time is left (timeout={timeout:g}): nothing was started")
        if self.tty and len(stdin) >= TYPED_AT_MOST:
            raise ValueError(f"stdin has {len(stdin)} bytes: nobody can type more than {TYPED_AT_MOST - 1} at a terminal before it is read")
        with Shield() as shield, memory_file(stdin) as source:
            pipes = Pipes(self.tty)
            try:
                process = Process(self, source, *pipes.given, shield, max(SHORTEST, min(timeout or PATIENCE, PATIENCE)))
                try:
                    process.start(shield)
                    pipes.attach(process.master, stdin)
                    return process.follow(pipes, timeout, show, shield)
                finally:
                    process.remove()
            finally:
                pipes.close()
