"""How a process ended, in Docker's numbers and in words."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass

from lib import linux
from lib.sizes import human


@dataclass(frozen=True)
class Exit:
    """How a process ended: Docker's exit code, the reason in words, and what it wrote.

    Of a long output only the end is kept; ``cut`` is how many bytes before it are missing, of ``output`` and ``errors`` together.
    """

    code: int
    reason: str = ""
    output: bytes = b""
    errors: bytes = b""
    seconds: float = 0.0
    cut: int = 0

    @property
    def text(self) -> str:
        return self.output.decode(errors="replace")

    @property
    def signal(self) -> int | None:
        return self.code - 128 if self.code > 128 and in_words(self.code) else None

    def __repr__(self) -> str:
        cut = f"of its output the first {human(self.cut)} were not kept" if self.cut else ""
        words = "; ".join(filter(None, [self.reason, cut]))
        return f"exit {self.code}" + (f": {words}" if words else "")


def in_words(code: int) -> str:
    """What Docker's and the shell's codes above 124 mean, as far as the number alone can tell."""
    if code <= 128:
        return ""
    try:
        return f"ended by signal {code - 128} ({signal.Signals(code - 128).name})"
    except ValueError:
        return ""


def collect(pidfd: int, flags: int) -> int | None:
    """Wait for a child: its exit code, or minus the signal that ended it; None if it still runs and ``flags`` say WNOHANG.

    Of a caller that ignores SIGCHLD the kernel takes the children away at once, and os.wait() in a notebook cell takes any child: then
    the kernel is asked what it remembers. Raises ``ChildProcessError`` where it remembers nothing. See waitpid(2), NOTES.
    """
    try:
        found = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | flags)
    except ChildProcessError:
        return linux.exit_code(pidfd)
    if found is None:
        return None
    return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status


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
