"""Ctrl-C may come between any two instructions. Here is a shield for the moments that must not be cut in half by it."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager


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
