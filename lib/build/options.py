"""What a build is asked for, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lib.build.steps import StepReport
from lib.images import Image


@dataclass
class Options:
    """What the command line says. ``secrets``: id → file; ``ssh``: id → an agent's socket, or one socket for ``default``.

    ``resolve`` finds a base image by its name and platform, and pulls it if need be, until ``stopping`` (``pace.Stopping``) is set.
    """

    context: str = "."
    file: str | None = None
    text: str | None = None  # the Dockerfile itself, instead of a file
    passing: bool = False  # the context is a temporary folder: nothing of it need be remembered for the next time
    tags: tuple[str, ...] = ()
    target: str | None = None
    contexts: dict[str, str] = field(default_factory=dict)  # ``--build-context``: name → folder, or ``docker-image://NAME``
    build_args: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    ssh: dict[str, str] | str | None = None
    no_cache: bool = False
    network: str = "default"
    platform: dict[str, str] | None = None
    dry: bool = False  # only find out which steps are cached; a step that is not is taken to change everything after it
    resolve: Callable[..., Image] | None = None
    cache_from: tuple[str, ...] = ()  # as ``sharedcache`` has it: ``type=local,src=FOLDER``, ``type=registry,ref=NAME``
    cache_to: tuple[str, ...] = ()

    @property
    def agents(self) -> dict[str, str]:
        """The ssh agents by their ids."""
        return {"default": self.ssh} if isinstance(self.ssh, str) else self.ssh or {}


@dataclass
class Built:
    """What came of a build."""

    image: Image | None  # none after a dry run
    steps: list[StepReport]
    seconds: float
    advice: list[str]

    @property
    def id(self) -> str:
        return self.image.id
