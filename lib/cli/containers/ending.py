"""``stop kill restart pause unpause rm wait rename``."""

from __future__ import annotations

import click

from lib.cli.containers import options
from lib.cli.errors import Failed, each, errors
from lib.cli.flags import completing
from lib.cli.library import library


@click.command()
@options.stopping
@completing.containers
def stop(containers: tuple[str, ...], signal: str, timeout: int | None) -> None:
    """Stop one or more running containers."""
    from lib.engine import ending, finding

    known: dict[str, dict] = {}
    try:
        each(containers, lambda name: known.update({name: finding.current(name)}))
    finally:  # who is known is stopped, whoever is not
        with errors():
            ending.stop_all(list(known.values()), timeout, signal or None)
        for name in known:
            click.echo(name)


@click.command()
@options.stopping
@completing.containers
def restart(containers: tuple[str, ...], signal: str, timeout: int | None) -> None:
    """Restart one or more containers."""
    from lib.engine import ending, finding, lifecycle
    from lib.state import events, kept

    def again(name: str) -> None:
        facts = finding.current(name)
        ending.stop(facts, timeout, signal or None)
        events.of_container("restart", lifecycle.start(library(), kept.place(facts)))
        click.echo(name)

    each(containers, again)


@click.command()
@options.killing
@completing.containers
def kill(containers: tuple[str, ...], signal: str) -> None:
    """Kill one or more running containers."""
    from lib.engine import ending, finding

    def end(name: str) -> None:
        ending.number_of(signal or "KILL")  # a word that is no signal is told first
        try:
            facts = finding.current(name)
        except finding.NoSuchContainer as error:
            raise finding.NoSuchContainer(f"cannot kill container: {name}: {error.args[0]}") from None
        ending.kill(facts, signal or "KILL")
        click.echo(name)

    each(containers, end)


@click.command()
@completing.containers
def pause(containers: tuple[str, ...]) -> None:
    """Pause all processes within one or more containers."""
    from lib.engine import finding, pausing

    def stand_still(name: str) -> None:
        pausing.pause(finding.current(name))
        click.echo(name)

    each(containers, stand_still)


@click.command()
@completing.containers
def unpause(containers: tuple[str, ...]) -> None:
    """Unpause all processes within one or more containers."""
    from lib.engine import finding, pausing

    def go_on(name: str) -> None:
        pausing.unpause(finding.current(name))
        click.echo(name)

    each(containers, go_on)


@click.command()
@options.removing
@completing.containers
def rm(containers: tuple[str, ...], force: bool, volumes: bool) -> None:
    """Remove one or more containers."""
    from lib.engine import ending, finding
    from lib.state import kept

    def take_away(name: str) -> None:
        word = name.strip("/")
        if not word:
            raise ValueError("container name cannot be empty")
        try:
            ending.remove(finding.current(word), force, volumes)
        except finding.NoSuchContainer as error:
            if force:  # it is gone, which is what was wanted
                return Failed(error.args[0]).show()
            raise
        except kept.Unreadable:
            if not force:
                raise
            ending.remove_damaged(kept.place(word))
        click.echo(name)

    each(containers, take_away)


@click.command()
@completing.containers
def wait(containers: tuple[str, ...]) -> None:
    """Block until one or more containers stop, then print their exit codes."""
    from lib.engine import ending, finding

    each(containers, lambda name: click.echo(ending.wait(finding.current(name))))


@click.command()
@completing.container
@click.argument("new_name")
def rename(container: str, new_name: str) -> None:
    """Rename a container."""
    from lib.engine import ending, finding

    with errors():
        if not (container and new_name):
            raise ValueError("neither old nor new names may be empty")
        ending.rename(finding.find(container), new_name)
