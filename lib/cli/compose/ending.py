"""``start stop restart kill rm pause unpause wait``, for the containers of services."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextlib import suppress

import click

from lib.cli.compose import carrying, members, options
from lib.cli.compose.asked import Asked
from lib.cli.containers.options import several
from lib.cli.errors import each, errors
from lib.compose.acting import Down, Remove, Restart, Start, Stop

CONTAINER = "Container"


@click.command()
@options.grace
@options.services
@click.pass_obj
def stop(asked: Asked, services: tuple[str, ...], timeout: int | None) -> None:
    """Stop services."""
    with errors():
        asked.check(services)
        carrying.out(asked, "stop", Stop(services=services, timeout=timeout))


@click.command()
@options.wait
@options.wait_timeout
@options.services
@click.pass_obj
def start(asked: Asked, services: tuple[str, ...], wait: bool, wait_timeout: int) -> None:
    """Start services."""
    with errors():
        if missing := [name for name in services if not members.meant(asked, (name,))]:
            raise ValueError(f'service "{missing[0]}" has no container to start')
        carrying.out(asked, "start", Start(services=services, wait=wait), wait_timeout)


@click.command()
@click.option("--no-deps", is_flag=True, help="Don't restart dependent services")
@options.grace
@options.services
@click.pass_obj
def restart(asked: Asked, services: tuple[str, ...], no_deps: bool, timeout: int | None) -> None:
    """Restart service containers."""
    with errors():
        asked.check(services)
        carrying.out(asked, "restart", Restart(services=services, no_deps=no_deps, timeout=timeout))


@click.command()
@options.remove_orphans
@click.option("-s", "--signal", default="SIGKILL", help='SIGNAL to send to the container (default "SIGKILL")')
@options.services
@click.pass_obj
def kill(asked: Asked, services: tuple[str, ...], signal: str, remove_orphans: bool) -> None:
    """Force stop service containers."""
    from lib.engine import ending

    with errors():
        there = at_work(asked, services, oneoffs=True)
        if not there:
            click.echo("No container to kill", err=True)
        else:
            ending.number_of(signal)
        to_each(asked, "kill", there, ("Killing", "Killed"), lambda facts: ending.kill(facts, signal))
        if remove_orphans and asked.known:
            gone = [one for one in members.of(asked.called) if members.service(one) not in known_services(asked)]
            to_each(asked, "kill", gone, ("Removing", "Removed"), lambda facts: ending.remove(facts, force=True))


def at_work(asked: Asked, services: tuple[str, ...], oneoffs: bool = False) -> list[dict]:
    """Those of these services; where none is named, of all whose profile is on. Raises ``ValueError`` for a service that there is not."""
    there = members.going_on(members.meant(asked, services, oneoffs))
    return there if services or not asked.known else [one for one in there if members.service(one) in asked.known.services]


def known_services(asked: Asked) -> set[str]:
    return {*asked.known.services, *asked.known.disabled}


removing = several(
    click.option("-a", "--all", "every", is_flag=True, hidden=True, help="Deprecated: no effect"),
    click.option("-f", "--force", is_flag=True, help="Don't ask to confirm removal"),
    click.option("-s", "--stop", "first", is_flag=True, help="Stop the containers, if required, before removing"),
    click.option("-v", "--volumes", is_flag=True, help="Remove any anonymous volumes attached to containers"),
)


@click.command()
@removing
@options.services
@click.pass_obj
def rm(asked: Asked, services: tuple[str, ...], every: bool, force: bool, first: bool, volumes: bool) -> None:
    """Removes stopped service containers.

    By default, anonymous volumes attached to containers will not be removed. You can override this with -v. To list all volumes,
    use "suitcase volume ls". Any data which is not in a volume will be lost.
    """
    with errors():
        there = members.meant(asked, services)
        if not first:
            running = {one["id"] for one in members.going_on(there)}
            there = [one for one in there if one["id"] not in running]
        if not there:
            return click.echo("No stopped containers", err=True)
        click.echo(f"Going to remove {', '.join(one['name'] for one in there)}")
        if force or agreed():
            carrying.out(asked, "rm", Remove(services=services, stop=first, volumes=volumes))


def agreed() -> bool:
    """Nobody there to be asked is no yes."""
    with suppress(click.Abort):
        return click.confirm("Are you sure?", prompt_suffix=" [yN] ", show_default=False)
    return False


def to_each(asked: Asked, verb: str, those: Iterable[dict], words: tuple[str, str], do: Callable[[dict], object]) -> None:
    """One after the other; the errors of all are told at the end. Where it is only tried, nothing is done."""
    there = {facts["name"]: facts for facts in those}
    with asked.teller(verb) as teller:

        def deed(name: str) -> None:
            if words[0]:
                teller.tell(CONTAINER, name, words[0])
            if not asked.dry_run:
                try:
                    do(there[name])
                except Exception as error:
                    if words[0]:
                        teller.tell(CONTAINER, name, f"Error {error}")
                    raise
            teller.tell(CONTAINER, name, words[1])

        each(there, deed)


@click.command()
@options.services
@click.pass_obj
def pause(asked: Asked, services: tuple[str, ...]) -> None:
    """Pause services."""
    from lib.engine import pausing

    with errors():
        there = at_work(asked, services)
        to_each(asked, "pause", there, ("", "Paused"), pausing.pause)


@click.command()
@options.services
@click.pass_obj
def unpause(asked: Asked, services: tuple[str, ...]) -> None:
    """Unpause services."""
    from lib.engine import pausing

    with errors():
        there = at_work(asked, services)
        to_each(asked, "unpause", there, ("", "Unpaused"), pausing.unpause)


@click.command()
@click.option("--down-project", is_flag=True, help="Drops project when the first container stops")
@click.argument("services", nargs=-1, required=True, metavar="SERVICE [SERVICE...]", shell_complete=options.services_there)
@click.pass_obj
def wait(asked: Asked, services: tuple[str, ...], down_project: bool) -> None:
    """Block until containers of all (or specified) services stop."""
    with errors():
        there = [one for one in members.of(asked.called) if members.service(one) in services and not members.is_oneoff(one)]
        if not there:
            raise ValueError(f'no containers for project "{asked.called}"')
        code = 0
        for facts, code in waited(there, first=down_project):
            click.echo(f'container "{facts["id"]}" exited with status code {code}')
        if down_project:
            carrying.out(asked, "down", Down())
        sys.exit(code)


def waited(those: list[dict], first: bool):
    """Each as it ends, and its exit code; only the ``first`` one of them, if that will do."""
    from concurrent.futures import ThreadPoolExecutor, as_completed

    from lib.engine import ending

    pool = ThreadPoolExecutor(len(those))
    try:
        tasks = {pool.submit(ending.wait, one): one for one in those}
        for task in as_completed(tasks):
            yield tasks[task], task.result()
            if first:
                return
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
