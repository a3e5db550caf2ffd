"""How a process ended, in Docker's numbers and in words."""

from __future__ import annotations

import signal
from dataclasses import dataclass


@dataclass(frozen=True)
class Exit:
    """How a process ended: Docker's exit code, the reason in words, and what it wrote."""

    code: int
    reason: str = ""
    output: bytes = b""
    errors: bytes = b""
    seconds: float = 0.0

    @property
    def text(self) -> str:
        return self.output.decode(errors="replace")

    @property
    def signal(self) -> int | None:
        return self.code - 128 if self.code > 128 and in_words(self.code) else None

    def __repr__(self) -> str:
        return f"exit {self.code}" + (f": {self.reason}" if self.reason else "")


def in_words(code: int) -> str:
    """What Docker's and the shell's codes above 124 mean, as far as the number alone can tell."""
    if code <= 128:
        return ""
    try:
        return f"ended by signal {code - 128} ({signal.Signals(code - 128).name})"
    except ValueError:
        return ""
