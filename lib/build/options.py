"""What a build is asked for, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lib.build.steps import BuildError, StepReport
from lib.dockerfile.keywords import NETWORKS
from lib.images import Image


@dataclass
class Options:
    """What the command line says. ``secrets``: id → file; ``ssh``: id → an agent's socket, or one socket for ``default``.

    ``resolve`` finds a base image by its name and platform, and pulls it if need be, until ``stopping`` (``pace.Stopping``) is set.
    ``default_network`` says what RUN's network ``default`` is, as ``Container`` takes it; it is asked when a RUN runs. ``allow`` is what a
    Dockerfile may ask for beyond that: ``network.host``. ``hosts`` are names that RUN finds in its /etc/hosts, each with its address, which
    may be ``host-gateway``.
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
    default_network: Callable[[], object] = lambda: "host"  # the machine's
    allow: tuple[str, ...] = ()
    hosts: tuple[tuple[str, str], ...] = ()
    platform: dict[str, str] | None = None
    dry: bool = False  # only find out which steps are cached; a step that is not is taken to change everything after it
    resolve: Callable[..., Image] | None = None
    cache_from: tuple[str, ...] = ()  # as ``sharedcache`` has it: ``type=local,src=FOLDER``, ``type=registry,ref=NAME``
    cache_to: tuple[str, ...] = ()

    def __post_init__(self):
        if self.network not in NETWORKS:
            raise BuildError(f'network mode "{self.network}" not supported by buildkit, nor here: it is default, none or host')

    @property
    def host_is_allowed(self) -> bool:
        """May a RUN be in the machine's network because the Dockerfile says so? If all are there anyway, it may."""
        if self.network == "none":
            return False
        return self.network == "host" or "network.host" in self.allow or self.default_network() == "host"

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
