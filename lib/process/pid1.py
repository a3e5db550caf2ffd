"""PID 1 of a container that was asked for one: what ``docker run --init`` puts there. See ``ingredients.init``."""

from __future__ import annotations

import os
import signal

from lib import linux

FORWARDED = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}  # real-time ones too: systemd's "halt" is one


def init(main: int) -> int:
    """PID 1's two duties: pass signals on, and wait for every child, also for those that others left behind.

    Signals were blocked before the fork and are waited for, not handled: then none can be lost between two instructions.
    Returns the main child's exit code as a shell gives it.
    """
    linux.set_title("init")
    while True:
        number = signal.sigwait(FORWARDED)
        if number != signal.SIGCHLD:
            os.kill(main, number)
            continue
        for pid, status in iter(reap_one, None):
            if pid == main:
                return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def reap_one() -> tuple[int, int] | None:
    """One child that has ended, or None."""
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, status) if pid else None
