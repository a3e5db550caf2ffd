"""What can go wrong with a plan: the error is the step that failed."""

from __future__ import annotations

import errno
import os

from lib.advice import advise
from lib.process.steps import Step, shorten
from lib.visible import visible


class StepError(OSError):
    """A step failed: which one, with what errno, and what that means here.

    ``exit_code`` is Docker's: 127 for a command that was not found, 126 for one that cannot be run, else 125.
    """

    def __init__(self, step: Step, number: int, path: str | None, advice: str, words: str = ""):
        super().__init__(number, visible(words) or os.strerror(number), path)
        self.step, self.advice = step, visible(advice)

    @property
    def exit_code(self) -> int:
        if self.step.call != "execve":
            return 125
        return 127 if self.errno in (errno.ENOENT, errno.ENOTDIR) else 126

    def __str__(self) -> str:
        name = errno.errorcode.get(self.errno, str(self.errno))
        if self.step.call == "execve":
            text = f"cannot run {self.step.args[0][0]!r}: {self.advice or self.strerror}"
            return f"{text} ({name})"
        told = [*map(str, self.step.args), "/proc/self/fd"]
        where = f" on {self.filename!r}" if self.filename and not any(self.filename.startswith(one) for one in told) else ""
        text = f"step '{self.step.stage}' ({self.shoes_of}): {shorten(self.step)}{where} failed: {name}, {self.strerror}"
        return text + (f"\n  {self.advice}" if self.advice else "")

    @property
    def shoes_of(self) -> str:
        return f"in the {self.step.shoes}"


def refuse_what_is_there(steps: list[Step]) -> None:
    """A folder that is there already is not ours: whoever cleans up after us, ``gc`` included, must not remove it. Raises ``StepError``."""
    for step in steps:
        if step.call == "mkdir" and step.undo and os.path.lexists(step.args[0]):
            raise failed(step, FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), step.args[0]), step.args)


def failed(step: Step, error: OSError, args) -> StepError:
    """The error of a step that the caller itself has carried out."""
    path = os.fsdecode(error.filename) if error.filename else None
    return StepError(step, error.errno, path, advise(step.call, args, error), error.strerror)


class TimeLimit(TimeoutError):
    """A time limit passed; what ran was killed. ``output`` is what it had written by then."""

    def __init__(self, seconds: float, output: bytes = b"", words: str = ""):
        super().__init__(words or f"still running after {seconds:g} s: killed")
        self.output = output
