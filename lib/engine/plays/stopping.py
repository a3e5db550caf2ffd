"""How a container is stopped: a state machine that does nothing itself.

It gives commands, ``Kill`` and ``Wait``, and is told of each whether the container has ended by then. The caller does the system calls;
the tests play it with no process and no clock.
"""

from __future__ import annotations

import signal
from collections.abc import Generator
from typing import NamedTuple

GRACE = 10  # seconds, as in Docker


class Kill(NamedTuple):
    """Send this signal."""

    number: int


class Wait(NamedTuple):
    """Wait for its end, at most so many seconds; None is as long as it takes."""

    seconds: float | None


Step = Kill | Wait


def stopping(number: int, grace: int | None) -> Generator[Step, bool, None]:
    """Its stop signal first; when ``grace`` seconds have passed (negative: never) the one that nobody can catch."""
    grace = GRACE if grace is None else grace
    if (yield Kill(number)):
        return
    if (yield Wait(None if grace < 0 else grace)):
        return
    yield Kill(signal.SIGKILL)
    yield Wait(None)
