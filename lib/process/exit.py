"""How a process ended, in Docker's numbers and in words."""

from __future__ import annotations

import signal
from collections.abc import Sequence
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


def why_killed(ingredients: Sequence, code: int, by_us: bool) -> str:
    """Why a signal ended it: we sent it, or an ingredient knows (a limit), else what the number says."""
    if code == 128 + signal.SIGKILL and by_us:
        return "; ".join(filter(None, [in_words(code), hint(ingredients)]))
    return asked(ingredients, "why_killed", code) or in_words(code)


def hint(ingredients: Sequence) -> str:
    """What an ingredient knows about the time before the end, e.g. that a limit struck a child of it."""
    return asked(ingredients, "what_happened")


def asked(ingredients: Sequence, question: str, *words) -> str:
    answers = (getattr(one, question)(*words) for one in ingredients if hasattr(one, question))
    return next(filter(None, answers), "")
