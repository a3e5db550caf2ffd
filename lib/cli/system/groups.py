"""Docker's groups of verbs: ``container ls`` is ``ps``, ``image rm`` is ``rmi``. The short words are the same verbs, at the top."""

from __future__ import annotations

from typing import ClassVar

import click

from lib.cli.flags.groups import Verbs
from lib.cli.main import homes, prepared


class Container(Verbs):
    homes: ClassVar = homes({
        "containers.running": "create run start",
        "containers.joining": "attach exec",
        "containers.ending": "stop kill restart pause unpause rm wait rename",
        "containers.looking": "ls inspect port",
        "containers.logs": "logs",
        "containers.observing": "stats top",
        "containers.changing": "commit update",
        "containers.writings": "diff export",
        "containers.copying": "cp",
        "system.prunes": "prune",
    })  # fmt: skip
    other_names: ClassVar = {"list": "ls", "ps": "ls", "remove": "rm"}
    commands_names: ClassVar = {"ls": "ps", "inspect": "container-inspect", "prune": "container-prune"}


class Image(Verbs):
    homes: ClassVar = homes({
        "images": "history ls rm tag",
        "builds": "build",
        "archives": "import load save",
        "registries": "pull push",
        "containers.looking": "inspect",
        "system.prunes": "prune",
    })  # fmt: skip
    other_names: ClassVar = {"list": "ls", "remove": "rm"}
    commands_names: ClassVar = {"ls": "images", "rm": "rmi", "inspect": "image-inspect", "prune": "image-prune"}


class Builder(Verbs):
    homes: ClassVar = homes({"builds": "build", "system.prunes": "prune"})
    commands_names: ClassVar = {"prune": "builder-cache-prune"}


class System(Verbs):
    homes: ClassVar = homes({
        "containers.about": "info",
        "system.boot": "boot",
        "system.df": "df",
        "system.events": "events",
        "system.prunes": "prune",
    })  # fmt: skip
    commands_names: ClassVar = {"prune": "system-prune"}


@click.group(cls=Container, subcommand_metavar="COMMAND")
@click.pass_context
def container(context: click.Context) -> None:
    """Manage containers."""
    prepared(Container.homes, context.invoked_subcommand)


@click.group(cls=Image, subcommand_metavar="COMMAND")
def image() -> None:
    """Manage images."""


@click.group(cls=Builder, subcommand_metavar="COMMAND")
def builder() -> None:
    """Manage builds."""


@click.group(cls=System, subcommand_metavar="COMMAND")
def system() -> None:
    """Manage Suitcase."""
