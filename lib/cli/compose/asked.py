"""What was said before the verb, the project that is meant by it, and how progress is to be shown."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import click

from lib.cli.errors import Failed
from lib.visible import visible

if TYPE_CHECKING:
    from lib.cli.compose.progress import Teller
    from lib.compose.model import Project
    from lib.compose.outline import Outline
    from lib.compose.reading import Loaded

NO_FILE = "no configuration file provided"
SCHEME = "oci://"
ANSI = ("never", "always", "auto")


@dataclass
class Asked:
    """The options of the group. What they leave open, the variables ``COMPOSE_…`` may say."""

    files: tuple[str, ...] = ()
    name: str = ""
    directory: str = ""
    profiles: tuple[str, ...] = ()
    env_files: tuple[str, ...] = ()
    insecure: tuple[str, ...] = ()
    ansi: str = ""
    progress: str = ""
    parallel: int | None = None
    dry_run: bool = False
    all_resources: bool = False
    services: tuple[str, ...] = ()  # that the verb names: their profiles are on
    reading: dict[str, bool] = field(default_factory=dict)  # what of reading the file is to be left out
    fetched: dict[str, str] = field(default_factory=dict)  # what was fetched from registries, and the folders where it lies

    def __post_init__(self):
        self.ansi = self.ansi or os.environ.get("COMPOSE_ANSI") or "auto"
        self.progress = self.progress or os.environ.get("COMPOSE_PROGRESS") or "auto"
        if self.ansi not in ANSI:
            raise Failed(f'unsupported --ansi value "{self.ansi}": there is {", ".join(ANSI)}')
        self.parallel = at_once(os.environ.get("COMPOSE_PARALLEL_LIMIT", "")) if self.parallel is None else self.parallel

    # -- the project ----------------------------------------------------------------------------------------------------

    def request(self, **how):
        """What the reader is asked for."""
        from lib.compose.reading import Request

        return Request(
            files=self.files, directory=self.directory, name=self.name, profiles=self.profiles, env_files=self.env_files,
            services=self.services, fetch=self.brought, **how,
        )  # fmt: skip

    def brought(self, address: str) -> str:
        """A file that lies in a registry. Raises ``ValueError`` for one that lies elsewhere."""
        from lib.cli.compose import artifact

        if not address.startswith(SCHEME):
            raise ValueError(f"{address[:80]} cannot be fetched: a file of this machine, or {SCHEME}NAME")
        path = artifact.brought(address, self.insecure)
        self.fetched[address] = os.path.dirname(os.path.abspath(path))
        return path

    @cached_property
    def loaded(self) -> Loaded:
        """The file, read; what it says that is not done here is told once. Raises ``ComposeError``."""
        from lib.compose import reading

        found = reading.load(self.request(**self.reading))
        for problem in found.warnings:
            click.echo(f"WARN {visible(str(problem))}", err=True)
        return found

    @property
    def project(self) -> Project:
        return self.loaded.project

    @cached_property
    def known(self) -> Outline | None:
        """Its outline, unless it is known by its name alone: who says ``-p`` need not stand where the file is."""
        from lib.compose.reading import ComposeError

        try:
            return self.loaded.outline
        except ComposeError as error:
            if not self.project_name or error.place or not error.message.startswith(NO_FILE):
                raise
            return None

    @property
    def project_name(self) -> str:
        return self.name or os.environ.get("COMPOSE_PROJECT_NAME", "")

    @property
    def called(self) -> str:
        """What the project's containers say of whose they are."""
        return self.known.name if self.known else self.project_name

    def check(self, services: Iterable[str]) -> None:
        """Are they all of the project? Raises ``ValueError``, in Docker's words."""
        for name in services:
            if self.known and name not in self.known.services and name not in self.known.disabled:
                raise ValueError(f"no such service: {name}")

    @contextmanager
    def pointing(self) -> Iterator[None]:
        """What the file says and cannot be is told with its place. Raises ``ComposeError``."""
        try:
            yield
        except ValueError as error:
            from lib.compose.reading.nodes import ComposeError, at
            from lib.compose.services.possible import Impossible

            if not isinstance(error, Impossible):
                raise
            raise ComposeError(str(error), at(self.loaded.tree, error.path)) from None

    # -- progress -------------------------------------------------------------------------------------------------------

    def teller(self, verb: str) -> Teller:
        from lib.cli.compose import progress

        return progress.teller(self.progress, self.ansi, verb)

    def beside(self, verb: str) -> Teller:
        """One whose lines may stand between those that containers print."""
        from lib.cli.compose import progress

        return progress.teller(self.progress, self.ansi, verb, beside=True)

    def coloured(self, plain: bool = False) -> bool:
        """Are words on the standard output to be coloured?"""
        return not plain and (self.ansi == "always" or (self.ansi == "auto" and sys.stdout.isatty()))


def at_once(text: str) -> int:
    """How many things may go on at a time; -1 is as many as there are. Raises ``Failed``."""
    try:
        return int(text or -1)
    except ValueError:
        raise Failed(f"COMPOSE_PARALLEL_LIMIT must be an integer (found: {text!r})") from None
