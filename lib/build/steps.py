"""The steps of a build: what a stage has come to so far, what a step would do, what is reported of it, and how it ends badly."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from dataclasses import dataclass, field

from lib.images import ImageError, Layer, digests

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


SHELL = ["/bin/sh", "-c"]


@dataclass
class State:
    """What a stage has come to: layers, config, history, and the words that only the build itself knows."""

    config: dict = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)
    history: list[dict] = field(default_factory=list)
    args: dict[str, str] = field(default_factory=dict)
    shell: list[str] = field(default_factory=lambda: list(SHELL))
    has_cmd: bool = False  # CMD was said in this very stage
    author: str = ""
    chains: object = None
    platform: dict[str, str] = field(default_factory=dict)  # what its programs run on
    created: str = ""  # of the last layer; a word in the config does not make an image younger

    @property
    def chain(self) -> str:
        """The chain id of the top layer: the name of the file system as it is now."""
        return (digests.chain_ids([one.diff_id for one in self.layers]) or [""])[-1]

    @property
    def diff_ids(self) -> list[str]:
        return [one.diff_id for one in self.layers]

    @property
    def env(self) -> dict[str, str]:
        return dict(word.split("=", 1) for word in self.config.get("Env") or [] if "=" in word)

    def folders(self) -> list[str]:
        """The layers as folders, unpacked now if they are not yet."""
        return self.chains.unpack([one.descriptor for one in self.layers], self.diff_ids)

    def path(self, text: str) -> str:
        """A path of an instruction: relative ones begin at WORKDIR. A slash at its end: it can only be a folder's (``.``, ``x/..``)."""
        folder = posixpath.basename(text) in ("", ".", "..")
        full = posixpath.normpath(posixpath.join("/", self.config.get("WorkingDir") or "/", text))
        return full.replace("//", "/", 1) + ("/" if folder and full != "/" else "")
