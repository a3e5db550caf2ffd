"""``diff export``: what a container has written, read while it stands still."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress

import click

from lib import state
from lib.cli.errors import errors
from lib.cli.flags import completing
from lib.cli.library import library
from lib.cli.streams import stdout
from lib.state import kept
from lib.visible import visible


@click.command()
@completing.container
def diff(container: str) -> None:
    """Inspect changes to files or directories on a container's filesystem."""
    from lib.cli import reports
    from lib.images import Merged

    with errors():
        facts = looked_into(container)
        with frozen(facts):
            found = reports.changes(Merged(layers_of(library(), facts)), facts["upper"])
        for kind, path in found:
            click.echo(f"{kind} {visible(path)}")


@click.command()
@completing.container
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Write to a file, instead of STDOUT.")
def export(container: str, output: str | None) -> None:
    """Export a container's filesystem as a tar archive."""
    from lib.atomicfile import atomic_file
    from lib.images import archive

    with errors():
        facts = looked_into(container)
        folders = [*layers_of(library(), facts), facts["upper"]]
        with atomic_file(output) if output else nullcontext(stdout()) as file, frozen(facts):
            archive.export(folders, file)


def looked_into(name: str) -> dict:
    """The facts of a container, running or not, with where it writes (``upper``). Raises ``LookupError``."""
    from lib.engine import finding

    facts = finding.find(name)
    return facts | {"upper": str(kept.place(facts) / "upper")}


@contextmanager
def frozen(facts: dict) -> Iterator[None]:
    """Meanwhile a container stands still, as for ``docker cp``: what is read is of one moment. It goes on however this ends.

    One without a cgroup (a user's without limits) cannot be frozen, and one that was paused already stays so. A record says that it
    is to go on, for the next one of us to read if this one is killed.
    """
    from lib.engine import pausing
    from lib.shield import Shield

    group = pausing.group_of(facts)
    if group is None or group.frozen:
        yield
        return
    with Shield() as shield:  # an interrupt must not come between freeze and thaw
        record = state.new_record(state.new_id(), [("thaw", os.path.dirname(group.freezer))])
        try:
            group.freeze()
            with shield.opened():
                yield
        finally:
            with suppress(FileNotFoundError), kept.locked(kept.place(facts)) as now:  # it was killed, or paused meanwhile
                if now["state"]["status"] != "paused":
                    group.thaw()
            record.remove()


def layers_of(ours, facts: dict) -> list[str]:
    return [folder for chain in facts["chains"] if (folder := ours.chains.find(chain))]
