"""A command that is told to end (SIGTERM), or whose terminal has gone (SIGHUP), ends as with Ctrl-C: nothing of it stays.

Python's own way is to die at once, and then the container that it started would have no owner until the next gc.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from lib.cli.errors import Failed

ENDING = (signal.SIGHUP, signal.SIGTERM)


class Ending:
    """Which of the two has come, if one has. The first one counts: a terminal that closes may send several."""

    def __init__(self):
        self.number = 0

    def come(self, number: int, frame) -> None:
        if not self.number:
            self.number = number
            signal.getsignal(signal.SIGINT)(signal.SIGINT, frame)  # a shield's handler waits for the right moment

    def interrupt(self, number: int, frame) -> None:
        """Ctrl-C where it was ignored when we started (by a shell's ``&``): it stays so, and only ours gets through."""
        if self.number:
            raise KeyboardInterrupt


@contextmanager
def ended_in_order() -> Iterator[None]:
    """Within this block both signals end what runs; the exit code is 128 and the signal's number, as a shell says it.

    A signal that is ignored (nohup) stays ignored; but not SIGCHLD: of whoever ignores that, the kernel keeps no child's exit code.
    """
    if threading.get_native_id() != os.getpid():  # not the main thread, whose alone signals are
        yield
        return
    ending, before = Ending(), {}
    if not callable(signal.getsignal(signal.SIGINT)):
        before[signal.SIGINT] = signal.signal(signal.SIGINT, ending.interrupt)
    if signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN:
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number in ENDING:
        if signal.getsignal(number) == signal.SIG_DFL:
            before[number] = signal.signal(number, ending.come)
    try:
        yield
    except BaseException:
        if not ending.number:
            raise
        quiet()
        raise SystemExit(128 + ending.number) from None
    finally:
        for number, handler in before.items() if not ending.number else ():  # a second one must not disturb the clean-up at the very end
            signal.signal(number, handler)


def quiet() -> None:
    """What could not be written to a terminal that has gone is forgotten; else Python would complain of it at the very end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, Failed, SystemExit):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)
