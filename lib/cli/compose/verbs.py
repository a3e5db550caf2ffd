"""The group ``compose``: where each of its verbs lives, and what is said before the verb."""

from __future__ import annotations

import os
import signal
from typing import ClassVar

import click

from lib.cli.compose.asked import Asked
from lib.cli.containers.options import several
from lib.cli.errors import Failed
from lib.cli.flags.groups import Verbs
from lib.cli.flags.kinds import WHOLE
from lib.cli.main import homes
from lib.cli.standard import ours

INTERRUPTED = 128 + signal.SIGINT
UNDERSTOOD, MISUSED = 125, 1  # the exit code of a flag that is wrong: Docker's, and that of Compose, which is a program of its own
BEGINNING = {"start", "restart"}  # what may need a user's network where there is none yet
WITHOUT = {"build", "config", "ls", "publish", "pull", "push", "version", "why"}  # what needs no network of containers
LATER = {"up", "create", "run", "scale", "watch"}  # these go there when they have their images, as a registry of this machine is elsewhere


class ComposeVerbs(Verbs):
    homes: ClassVar = homes({
        "compose.upping": "up create scale down",
        "compose.running": "run",
        "compose.joining": "exec attach cp export commit",
        "compose.ending": "start stop restart kill rm pause unpause wait",
        "compose.looking": "ps ls images volumes port version",
        "compose.observing": "top stats events",
        "compose.logs.verb": "logs",
        "compose.configuring": "config why",
        "compose.images": "build pull push",
        "compose.watch.verb": "watch",
        "compose.remote.publishing": "publish",
    })  # fmt: skip

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Every verb can be tried without doing anything."""
        command = super().get_command(context, name)
        if command and all(one.name != "dry_run" for one in command.params):
            command.params.append(dry_run())
        return command

    def resolve_command(self, context: click.Context, words: list[str]) -> tuple[str, click.Command, list[str]]:
        try:
            return super().resolve_command(context, words)
        except Failed as error:
            error.exit_code = MISUSED if error.exit_code == UNDERSTOOD else error.exit_code
            raise

    def invoke(self, context: click.Context):
        """Whoever presses Ctrl-C gets a shell's code for that, as from Compose; a notebook's Stop is an interrupt to the end."""
        try:
            return super().invoke(context)
        except KeyboardInterrupt:
            if not ours():
                raise
            raise SystemExit(INTERRUPTED) from None


def dry_run() -> click.Option:
    def note(context: click.Context, option: click.Option, value: bool) -> None:
        context.obj.dry_run |= value

    return click.Option(["--dry-run"], is_flag=True, expose_value=False, callback=note, help="Execute command in dry run mode")


before_the_verb = several(
    click.option("--all-resources", is_flag=True, help="Include all resources, even those not used by services"),
    click.option("--ansi", default="", help='Control when to print ANSI control characters ("never"|"always"|"auto") (default "auto")'),
    click.option("--dry-run", is_flag=True, help="Execute command in dry run mode"),
    click.option("--env-file", "env_files", multiple=True, help="Specify an alternate environment file"),
    click.option("-f", "--file", "files", multiple=True, help="Compose configuration files"),
    click.option("--insecure-registry", "insecure", multiple=True, hidden=True, help="Registries that may answer plain HTTP"),
    click.option("--parallel", type=WHOLE, help="Control max parallelism, -1 for unlimited (default -1)"),
    click.option("--profile", "profiles", multiple=True, help="Specify a profile to enable"),
    click.option("--progress", default="", help="Set type of progress output (auto, tty, plain, json, quiet)"),
    click.option(
        "--project-directory",
        "directory",
        default="",
        help="Specify an alternate working directory (default: the path of the, first specified, Compose file)",
    ),
    click.option("-p", "--project-name", "name", default="", help="Project name"),
)


@click.group(cls=ComposeVerbs, subcommand_metavar="COMMAND")
@before_the_verb
@click.pass_context
def compose(context: click.Context, **words) -> None:
    """Define and run multi-container applications with Docker."""
    context.obj = Asked(**words)
    verb = context.invoked_subcommand or ""
    if os.geteuid() and verb not in WITHOUT | LATER:
        from lib.engine.networks import rootless

        rootless.enter(begin=verb in BEGINNING)
