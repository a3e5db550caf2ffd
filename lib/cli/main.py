"""The command ``suitcase``: Docker's words for images, and for running one container.

Here stands only where each verb lives. Its module is loaded when the verb is called, and imports what it needs then: a command that
lists images should not wait for HTTP.
"""

from __future__ import annotations

import os

import click

from lib.cli.errors import NAME, VERSION
from lib.cli.flags.groups import Verbs

VERBS = {
    "images": "images history tag rmi prune",
    "archives": "save load import",
    "containers.running": "create run start",
    "containers.joining": "attach debug exec",
    "containers.ending": "stop kill restart pause unpause rm wait rename",
    "containers.looking": "ps inspect port",
    "containers.about": "version info",
    "containers.logs": "logs",
    "containers.observing": "stats top",
    "containers.changing": "commit update",
    "containers.writings": "diff export",
    "containers.copying": "cp",
    "builds": "build builder-prune",
    "registries": "pull push login logout",
    "networks.verbs": "network",
    "volumes.verbs": "volume",
    "compose.verbs": "compose",
    "system.groups": "container image builder system",
    "system.events": "events",
    "system.completion": "completion",
}
PULLING = {"create", "run"}  # from the machine's network: they go to a user's own when they have their image
STARTING = {"start", "restart"}


def homes(verbs: dict[str, str]) -> dict[str, str]:
    """In which module of ``lib.cli`` each verb lives."""
    return {verb: module for module, words in verbs.items() for verb in words.split()}


HOMES = homes(VERBS)


class Main(Verbs):
    homes = HOMES


SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 120}


@click.group(cls=Main, subcommand_metavar="COMMAND [ARG...]", context_settings=SETTINGS)
@click.version_option(VERSION, "-v", "--version", prog_name=NAME)
@click.pass_context
def main(context: click.Context) -> None:
    """Pack, build, ship and run images: the engine of "Docker: From Zero to Production", all of it in Python that you can read."""
    prepared(HOMES, context.invoked_subcommand)


def prepared(there: dict[str, str], verb: str | None) -> None:
    """A user's verbs for containers are carried out in the network of his own, in which they live."""
    if os.geteuid() and there.get(verb or "", "").startswith(("containers.", "networks.")) and verb not in PULLING:
        from lib.engine.networks import rootless

        rootless.enter(begin=verb in STARTING)
