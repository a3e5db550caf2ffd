"""When one daemon starts the other again that was killed: a state machine that does nothing itself.

The rule is that of containers: a tenth of a second, twice that the next time, a minute at most; and anew for one that lived for a while. So
one that dies at once, whatever its reason, costs next to nothing.
"""

from __future__ import annotations

from lib.engine.plays.restarting import backoff

PATIENCE = 2.0  # seconds that one has at least from its start until it is seen


class Reviving:
    """Told at which moments (seconds of any clock) the other one was seen and lost; ``due`` is when it is to be started, or None."""

    def __init__(self) -> None:
        self.since, self.delay = 0.0, 0.0
        self.due: float | None = None
        self.started_once = False  # and was not seen since

    def here(self, now: float) -> None:
        """It is seen."""
        self.since, self.due, self.started_once = now, None, False

    def lost(self, now: float) -> None:
        """It is not seen any more, and was not expected to go."""
        if self.due is None:
            self.delay = backoff(self.delay, now - self.since)
            self.due = now + self.delay

    def started(self, now: float) -> None:
        """It was started. If it is not seen before long, it is started once more."""
        if self.started_once:
            self.delay = backoff(self.delay, 0)
        self.started_once = True
        self.due = now + max(self.delay, PATIENCE)

    def forget(self) -> None:
        """It need not be there."""
        self.due = None

    def left(self, now: float) -> float | None:
        """Seconds until it is to be started, None if it is not."""
        return None if self.due is None else max(0.0, self.due - now)
