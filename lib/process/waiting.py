"""Waiting for a process to end: never without a look round meanwhile, and never for ever."""

from __future__ import annotations

import time

from lib import linux

LOOK = 0.5  # seconds between two looks at those who have joined a process that is waited for
UNKILLABLE = 30  # seconds after SIGKILL: the kernel itself holds the process then (a disk that does not answer, say)


def until_the_next_look(deadline: float | None) -> float:
    return LOOK if deadline is None else max(0, min(LOOK, deadline - time.monotonic()))


def see_it_end(process) -> None:
    """After its SIGKILL. Raises ``TimeoutError``.

    Who has joined a frozen container stands still, SIGKILL or not, until taken out of its cgroup; and may be put back, again and again.
    """
    deadline = time.monotonic() + UNKILLABLE
    while process.exit is None and not linux.readable([process.pidfd], 0.01):
        for one in process.plan.ingredients:
            if hasattr(one, "set_free"):
                one.set_free(process.pid)
        if time.monotonic() > deadline:
            raise TimeoutError(f"process {process.pid} did not end within {UNKILLABLE} s of SIGKILL: it stays on record, gc tries again")
