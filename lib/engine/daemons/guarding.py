"""The firewall, kept as it should be: a thread of the manager's hears of every change of rules, whoever makes it, and mends what it broke.

dockerd, ufw and firewalld make their rules anew when they are reloaded, and ``nft flush ruleset`` takes everybody's away.
"""

from __future__ import annotations

import select
import threading
import time
from contextlib import suppress

CALM = 0.1  # seconds after the first change that we hear of: most come in bursts
AGAIN = 1  # second until what could not be done (another firewall is busy) is tried again


class Guard:
    """From the first container with a network on, as long as the manager lives."""

    def __init__(self):
        self.thread: threading.Thread | None = None

    def begin(self) -> None:
        if self.thread is None:
            with suppress(RuntimeError):  # no more threads: a limit is reached, and the next container will ask again
                thread = threading.Thread(target=guard, daemon=True)
                thread.start()
                self.thread = thread


def guard() -> None:
    """Nobody may have been there to hear of what was before; so look first, and then listen."""
    from lib.netfilter import watching  # few containers need these, and none at once
    from lib.network import alive

    with watching.watch() as kernel:
        while True:
            time.sleep(CALM)
            watching.has_changed(kernel)
            try:
                alive.look_after()
                patience = None
            except OSError:
                patience = AGAIN
            select.select([kernel], [], [], patience)
