"""What a build tells of itself: one report for each step, and the two ways in which it ends badly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lib.images.digests import ImageError

PREDEFINED = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")


class BuildError(ImageError):
    """A step failed. ``exit_code`` is the command's, if it was a command; ``errno`` the kernel's number, if it was a system call."""

    exit_code = 1
    errno: int | None = None


class Cancelled(ImageError):
    """Another stage has failed, so this one is not needed any more."""


@dataclass
class StepReport:
    """One step as it went. ``kind`` is ``run``, ``copy``, ``folder`` (these make layers) or ``config``; times in seconds."""

    stage: str
    number: int
    of: int
    text: str
    line: int
    kind: str
    cached: bool = False
    started: float = 0.0
    seconds: float = 0.0
    size: int = 0  # bytes of the layer, packed
    parts: dict = field(default_factory=dict)
    why: list[str] = field(default_factory=list)


@dataclass
class Work:
    """What a step would do: the parts of its key, and the deed, which gets the folder for its changes."""

    kind: str
    parts: dict
    do: Callable[[str], bool | None]  # False: nothing was to be done
    text: str = ""


def whole_command(words: tuple[str, ...], shell_form: bool, shell: list[str]) -> list[str]:
    """The shell form is one text for the shell; the list form is what is run."""
    return [*shell, " ".join(words)] if shell_form else list(words)
