"""How a process ended, in Docker's numbers and in words."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from typing import NamedTuple

from lib import linux
from lib.sizes import human


class Exit(NamedTuple):
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
    number = code - 128
    return f"ended by signal {number} ({signal_name(number)})" if 0 < number < signal.NSIG else ""


def signal_name(number: int) -> str:
    """``SIGTERM``; of those in real time only the first and the last have a name, the others are counted: ``SIGRTMIN+3``. See signal(7)."""
    if number in set(signal.Signals):
        return signal.Signals(number).name
    return f"SIGRTMIN{number - signal.SIGRTMIN:+d}"


def signal_number(word: str) -> int:
    """``9``, ``KILL``, ``SIGKILL``, ``RTMIN+3``, ``37``. Raises ``ValueError``."""
    numbers = range(1, signal.NSIG)
    names = {signal_name(number): number for number in numbers}
    names |= {f"SIGRTMAX-{signal.SIGRTMAX - number}": number for number in numbers if number < signal.SIGRTMAX}
    names |= {f"SIG{number}": number for number in numbers}
    name = f"SIG{word.upper().removeprefix('SIG')}"
    if name not in names:
        raise ValueError(f"no signal is called {word!r}: kill -l lists them")
    return names[name]


def collect(pidfd: int) -> os.waitid_result | None:
    """Wait for a child, as waitid(2) does it, but never without WNOHANG; None if it still runs, or is a zombie that somebody traces.

    Of a caller that ignores SIGCHLD the kernel takes the children away at once, and os.wait() in a notebook cell takes any child: then
    the kernel is asked what it remembers. Raises ``ChildProcessError`` where it remembers nothing. See waitpid(2), NOTES.
    """
    try:
        return os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        if not linux.readable([pidfd], 0):  # it lives, and is another's child: that of whoever has forked us
            return None
        code = linux.exit_code(pidfd)
        return os.waitid_result((0, 0, signal.SIGCHLD, abs(code), os.CLD_EXITED if code >= 0 else os.CLD_KILLED))


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
