"""Has a file or a folder changed since we last looked? One look at its time tells, and costs two microseconds.

A file's time moves with the kernel's ticks: what is written twice within one of them has the same time after both. So whatever was
written a moment ago counts as changed, until that moment is over.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

TICKS = 20_000_000  # nanoseconds, two of the longest ticks that a kernel has (HZ=100)


class Changes:
    """Of one path, which may be missing."""

    def __init__(self, path: Path | str):
        self.path = path
        self.seen: tuple | None = None

    def __call__(self) -> bool:
        """Whether it is worth looking into; ask before you do."""
        now = self.signature()
        changed = now is None or now != self.seen
        self.seen = now
        return changed

    def forget(self) -> None:
        """What was found was not whole yet: look again."""
        self.seen = None

    def signature(self) -> tuple | None:
        try:
            about = os.stat(self.path)
        except OSError:
            return None
        if abs(time.time_ns() - about.st_mtime_ns) < TICKS:
            return None
        return about.st_dev, about.st_ino, about.st_mtime_ns, about.st_size
