"""``commit update``: what a container has become, kept as an image; and other limits for one that there is."""

from __future__ import annotations

import click

from lib.cli.containers import options
from lib.cli.containers.ending import each
from lib.cli.containers.writings import frozen, looked_into
from lib.cli.errors import errors
from lib.cli.flags import completing
from lib.cli.library import library


@click.command()
@click.option("-a", "--author", default="", help='Author (e.g., "John Hannibal Smith <hannibal@a-team.com>").')
@click.option("-c", "--change", "changes", multiple=True, help="Apply Dockerfile instruction to the created image.")
@click.option("-m", "--message", default="", help="Commit message.")
@options.switch("-p", "--pause", on=True, help="Pause container during commit (default true).")
@completing.container
@click.argument("name", required=False, metavar="[REPOSITORY[:TAG]]")
def commit(container: str, name: str | None, author: str, changes: tuple[str, ...], message: str, pause: bool) -> None:
    """Create a new image from a container's changes."""
    from contextlib import nullcontext

    from lib.build.imageconfig import config_of
    from lib.engine import committing, finding

    with errors():
        words, facts = config_of(changes), finding.current(container)
        with frozen(looked_into(container)) if pause else nullcontext():
            click.echo(committing.commit(library(), facts, name, words, author, message).id)


@click.command()
@options.limits
@click.option("--restart", default="", help="Restart policy to apply when a container exits.")
@completing.containers
def update(containers: tuple[str, ...], restart: str, **values) -> None:
    """Update configuration of one or more containers."""
    from lib.cli.containers import policies, wished
    from lib.engine import finding, updating

    told: list[str] = []
    with errors():
        changes = wished.limits(values)
        if not (changes or restart):
            raise ValueError("you must provide one or more flags when using this command")

    def change(name: str) -> None:
        facts = finding.current(name)
        policy = policies.restart({"restart": restart, "rm": facts["auto_remove"]}) if restart else None
        updating.update(facts, changes, policy, told.append)
        click.echo(name)

    try:
        each(containers, change)
    finally:
        for text in told:
            click.echo(text)
