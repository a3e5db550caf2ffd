"""The instructions of a Dockerfile, one class each.

They are named tuples: unchangeable, as a cache key needs it, and made in a tenth of the time that dataclasses take; a build whose
every step is cached should not wait for its own imports. ``place`` is where the instruction stands, and its text.
Variables are not replaced yet: ``parser.expanded`` does that, when the stage's variables are known.
"""

from __future__ import annotations

from typing import NamedTuple

from lib.dockerfile.heredocs import Heredoc
from lib.dockerfile.mounts import Mount
from lib.dockerfile.positions import Place

Pairs = tuple[tuple[str, str], ...]


class From(NamedTuple):
    """Begins a stage. ``stage_name`` is in lower case."""

    image: str
    stage_name: str | None
    platform: str | None
    place: Place


class Arg(NamedTuple):
    """Names with their defaults, None for none."""

    pairs: tuple[tuple[str, str | None], ...]
    place: Place


class Env(NamedTuple):
    pairs: Pairs
    place: Place


class Label(NamedTuple):
    pairs: Pairs
    place: Place


class Run(NamedTuple):
    """``shell_form``: ``command`` is one text for the stage's shell; else it is the arguments. ``network``: default, none, host."""

    command: tuple[str, ...]
    shell_form: bool
    mounts: tuple[Mount, ...]
    network: str
    security: str
    heredocs: tuple[Heredoc, ...]
    place: Place


class Copy(NamedTuple):
    """``heredocs`` are sources too: files of these names with these contents."""

    sources: tuple[str, ...]
    dest: str
    from_: str | None
    chown: str | None
    chmod: str | None
    link: bool
    parents: bool
    exclude: tuple[str, ...]
    heredocs: tuple[Heredoc, ...]
    place: Place


class Add(NamedTuple):
    """``keep_git_dir`` and ``unpack`` are None where the flag is not given."""

    sources: tuple[str, ...]
    dest: str
    chown: str | None
    chmod: str | None
    link: bool
    exclude: tuple[str, ...]
    checksum: str | None
    keep_git_dir: bool | None
    unpack: bool | None
    heredocs: tuple[Heredoc, ...]
    place: Place


class Cmd(NamedTuple):
    command: tuple[str, ...]
    shell_form: bool
    place: Place


class Entrypoint(NamedTuple):
    command: tuple[str, ...]
    shell_form: bool
    place: Place


class Shell(NamedTuple):
    command: tuple[str, ...]
    place: Place


class Expose(NamedTuple):
    """Ports as written; one may be several once its variables are replaced."""

    ports: tuple[str, ...]
    place: Place


class Healthcheck(NamedTuple):
    """``test`` as in an image's configuration: NONE, CMD and arguments, or CMD-SHELL and a text. Times: nanoseconds, 0 for the default."""

    test: tuple[str, ...]
    interval: int
    timeout: int
    start_period: int
    start_interval: int
    retries: int
    place: Place


class Maintainer(NamedTuple):
    name: str
    place: Place


class OnBuild(NamedTuple):
    """``trigger`` is the text that an image keeps; ``instruction`` is what it says."""

    trigger: str
    instruction: Instruction
    place: Place


class StopSignal(NamedTuple):
    signal: str
    place: Place


class User(NamedTuple):
    user: str
    place: Place


class Volume(NamedTuple):
    paths: tuple[str, ...]
    place: Place


class Workdir(NamedTuple):
    path: str
    place: Place


Instruction = (From | Arg | Env | Label | Run | Copy | Add | Cmd | Entrypoint | Shell | Expose | Healthcheck) | (
    Maintainer | OnBuild | StopSignal | User | Volume | Workdir
)
