"""When a container is asked after its health, and what follows from the answers: a state machine that does nothing itself. As in Docker.

It is told the moments (seconds of any clock) and what came, and says what is to be done: ``PROBE`` or ``KILL``, or for how long nothing.
"""

from __future__ import annotations

from typing import NamedTuple

PROBE, KILL = "probe", "kill"
STARTING, HEALTHY, UNHEALTHY = "starting", "healthy", "unhealthy"


class Times(NamedTuple):
    """In seconds, but the last: so many failures in a row make it unhealthy. Docker's, where nothing is said."""

    interval: float = 30.0
    timeout: float = 30.0
    start_period: float = 0.0
    start_interval: float = 5.0
    retries: int = 3


class Check:
    """One container, from its start at ``started`` on, or from ``now`` on, if another has asked it until then."""

    def __init__(self, times: Times, started: float, now: float, status: str = STARTING, streak: int = 0):
        self.times, self.started, self.status, self.streak = times, started, status, streak
        self.begun: float | None = None  # when the probe began that runs now
        self.killed = False
        self.due: float | None = now + self.interval(now)

    def interval(self, now: float) -> float:
        """Whoever is starting is asked more often."""
        return self.times.start_interval if self.status == STARTING and self.in_start_period(now) else self.times.interval

    def in_start_period(self, moment: float) -> bool:
        return moment - self.started < self.times.start_period

    @property
    def deadline(self) -> float | None:
        """When there is something to do next."""
        if self.begun is not None:
            return None if self.killed else self.begun + self.times.timeout
        return self.due

    def todo(self, now: float) -> str | None:
        if self.deadline is None or now < self.deadline:
            return None
        return PROBE if self.begun is None else KILL

    # what is done, and what came

    def begin(self, now: float) -> None:
        """A probe runs."""
        self.begun, self.killed = now, False

    def kill(self) -> None:
        """It took too long, and was sent a SIGKILL: its end is waited for."""
        self.killed = True

    def put_off(self, now: float, seconds: float) -> None:
        """It could not be asked, and that says nothing of its health."""
        self.begun, self.due = None, now + seconds

    def answered(self, code: int, now: float) -> None:
        """The probe has ended with this code; one that took too long has failed, whatever its code."""
        if code == 0:
            self.status, self.streak = HEALTHY, 0
        elif not (self.status == STARTING and self.in_start_period(self.begun)):
            self.streak += 1
            if self.streak >= self.times.retries:
                self.status = UNHEALTHY
        self.put_off(now, self.interval(now))

    def pause(self) -> None:
        """It stands still: nobody is asked, and a probe that runs counts for nothing."""
        self.begun = self.due = None

    def go_on(self, now: float) -> None:
        if self.due is None and self.begun is None:
            self.put_off(now, self.interval(now))
