"""A stop that many threads hear at once: whoever waits, waits for its descriptor, too."""

from __future__ import annotations

import os
import threading

from lib.registry.pace import Stopping


class Interrupted(Exception):
    """What was under way is not done: somebody has said stop."""


class Stop:
    """``fd`` can be read as soon as it is said; ``pulls`` is the same for whoever talks to a registry."""

    def __init__(self):
        self.fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.said, self.pulls = threading.Event(), Stopping()

    def say(self) -> None:
        self.said.set()
        self.pulls.set()
        os.eventfd_write(self.fd, 1)

    def check(self) -> None:
        """Raises ``Interrupted`` if it was said."""
        if self.said.is_set():
            raise Interrupted("interrupted")

    def close(self) -> None:
        os.close(self.fd)
