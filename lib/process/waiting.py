"""Waiting for a process to end: never without a look round meanwhile, and never for ever."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

from lib import linux, state

LOOK = 0.5  # seconds between two looks at those who have joined a process that is waited for
UNKILLABLE = 30  # seconds after SIGKILL: the kernel itself holds the process then (a disk that does not answer, say)


def until_the_next_look(deadline: float | None) -> float:
    return LOOK if deadline is None else max(0, min(LOOK, deadline - time.monotonic()))


def has_ended(pidfd: int, seconds: float) -> bool:
    """Does a child end within this time, so that it can be waited for? A zombie that somebody traces can be seen, and that is all."""
    deadline = time.monotonic() + seconds
    while linux.readable([pidfd], deadline - time.monotonic()):
        try:
            if os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                return True
        except ChildProcessError:  # nobody need wait for it any more
            return True
        if not time.monotonic() < deadline:
            break
        time.sleep(0.01)
    return False


def end_by_number(pid: int) -> None:
    """SIGKILL for a child that nobody has waited for, so that its number is its own still; then wait for it, but not for ever."""
    deadline = time.monotonic() + UNKILLABLE
    with suppress(ProcessLookupError, ChildProcessError):
        os.kill(pid, signal.SIGKILL)
        while not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG) and time.monotonic() < deadline:
            state.kill_tracers(pid)
            time.sleep(0.01)


def let_it_end(pid: int, known: set[int]) -> None:
    """Kill who traces a process that is to end, and wait for children of ours that we have not made (or ``known``).

    Who has joined a container may make such (CLONE_PARENT), and PID 1 ends after them. A known 0 is being made just now, and may be any.
    """
    state.kill_tracers(pid)
    for sibling in state.contained_children(os.getpid()) - known if all(known) else ():
        state.kill_tracers(sibling)
        with suppress(ChildProcessError):
            os.waitid(os.P_PID, sibling, os.WEXITED | os.WNOHANG)


def see_it_end(process) -> None:
    """After its SIGKILL. Raises ``TimeoutError``.

    Who has joined a frozen container stands still, SIGKILL or not, until taken out of its cgroup; and may be put back, again and again.
    """
    deadline = time.monotonic() + UNKILLABLE
    while process.exit is None and not has_ended(process.pidfd, 0.05):
        process.look_round(process.pidfd)
        for one in process.plan.ingredients:
            if hasattr(one, "set_free"):
                one.set_free(process.pid)
        if time.monotonic() > deadline:
            raise TimeoutError(f"process {process.pid} did not end within {UNKILLABLE} s of SIGKILL: it stays on record, gc tries again")
