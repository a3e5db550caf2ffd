"""What a build is asked for, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lib.build.steps import StepReport
from lib.images import Image


@dataclass
class Options:
    """What the command line says. ``secrets``: id → file. ``resolve`` finds a base image by its name, and pulls it if need be."""

    context: str = "."
    file: str | None = None
    text: str | None = None  # the Dockerfile itself, instead of a file
    passing: bool = False  # the context is a temporary folder: nothing of it need be remembered for the next time
    tags: tuple[str, ...] = ()
    target: str | None = None
    build_args: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    ssh: str | None = None
    no_cache: bool = False
    network: str = "default"
    platform: dict[str, str] | None = None
    dry: bool = False  # only find out which steps are cached; a step that is not is taken to change everything after it
    resolve: Callable[[str], Image] | None = None
    cache_from: tuple[str, ...] = ()  # as ``sharedcache`` has it: ``type=local,src=FOLDER``, ``type=registry,ref=NAME``
    cache_to: tuple[str, ...] = ()


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
