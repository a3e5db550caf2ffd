"""PID 1: the process that the kernel treats differently.

It gets only the signals that it has a handler for, and it inherits every orphan of its PID namespace. A program that was
not written for that is better off as the child of a small init, as with ``docker run --init``. See pid_namespaces(7).
"""

from __future__ import annotations

from lib.process import Step


class Init:
    """Leave a small init behind as PID 1; the program becomes its child. The loop itself is ``process.pid1``."""

    def steps(self) -> list[Step]:
        return [Step("init", "become_init", (), "passes signals on, waits for orphans")]
