"""How a container ended, whoever waited for it.

Its keeper writes the wait status into the file ``exit``, on which it holds a lock until then. Where the keeper was killed, the kernel may
still know: of a zombie it shows the status to its owner and to root (proc_pid_stat(5)), and from Linux 6.15 on whoever holds a pidfd may
ask afterwards. Else nobody does.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from lib import linux
from lib.process.calls import BLANK

UNKNOWN = 255  # Docker's code for an end that nobody has seen


def code_of(status: int) -> int:
    """Docker's exit code of a wait status: 128 and the signal's number for who was killed. See wait(2)."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def written(fd: int) -> int | None:
    """The code in a file ``exit``, None if none is in there yet."""
    text = os.pread(fd, BLANK, 0).strip()
    return code_of(int(text)) if text.isdigit() else None


def in_file(path: Path) -> int | None:
    """The same, as soon as nobody is left who would write it."""
    with suppress(OSError), open(path, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        return written(file.fileno())
    return None


def of_zombie(pid: int) -> int | None:
    """The code of a process that has ended and that nobody has waited for."""
    with suppress(OSError, IndexError):
        words = linux.stat_of(pid)
        if words[0] == "Z":
            return code_of(int(words[linux.ENDED_WITH]))
    return None


def of_pidfd(pidfd: int) -> int | None:
    with suppress(ChildProcessError):
        code = linux.exit_code(pidfd)
        return code if code >= 0 else 128 - code
    return None


def find_out(path: Path, pidfd: int, pid: int) -> int | None:
    """The code of a container that has ended, ``path`` being its file ``exit``; None if nobody knows it."""
    code = in_file(path)
    if code is None and pidfd >= 0:
        code = of_zombie(pid)
    if code is None and pidfd >= 0:
        code = of_pidfd(pidfd)
    return code
