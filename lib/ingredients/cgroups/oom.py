"""Wait for the OOM killer, without asking again and again."""

from __future__ import annotations

import os
import select
import time

from lib import linux


class OomWatch:
    """The OOM killer strikes in a cgroup.

    v2: ``memory.events`` is a file that poll(2) can wait for. v1: an eventfd is registered in ``cgroup.event_control``.
    Use it as a context manager.
    """

    def __init__(self, cgroup):
        self.cgroup, self.before = cgroup, cgroup.oom_kills
        self.file = os.open(self.path(), os.O_RDONLY | os.O_CLOEXEC)
        self.poll = select.poll()
        if cgroup.backend.version == 2:
            os.read(self.file, 4096)
            self.poll.register(self.file, select.POLLPRI)
        else:
            self.event = os.eventfd(0, os.EFD_CLOEXEC)
            control = f"{cgroup.folders['memory']}/cgroup.event_control"
            linux.write(control, f"{self.event} {self.file}")
            self.poll.register(self.event, select.POLLIN)

    def path(self) -> str:
        folders = self.cgroup.folders
        return f"{folders['']}/memory.events" if "" in folders else f"{folders['memory']}/memory.oom_control"

    def wait(self, timeout: float) -> bool:
        """True as soon as a process was killed for lack of memory, False after ``timeout`` seconds."""
        deadline, seen = time.monotonic() + timeout, False
        while self.cgroup.oom_kills == self.before:
            left = deadline - time.monotonic()
            if not left > 0:  # the time is up, or was no number (NaN)
                return False
            if self.poll.poll(min(left * 1000, 5 if seen else 1 << 30)):  # v1 tells of the shortage, just before the kill is counted
                self.rearm()
                seen = True
        return True

    def rearm(self) -> None:
        """Take note of the event, so that the next poll waits for the next one."""
        if self.cgroup.backend.version == 2:
            os.pread(self.file, 4096, 0)
        else:
            os.eventfd_read(self.event)

    def __enter__(self) -> OomWatch:
        return self

    def __exit__(self, *error) -> None:
        os.close(self.file)
        if self.cgroup.backend.version == 1:
            os.close(self.event)
