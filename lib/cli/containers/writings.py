"""``diff export``: what a container has written, read while it stands still."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress

import click

from lib import state
from lib.cli.errors import Failed, errors
from lib.cli.library import library
from lib.cli.streams import stdout
from lib.visible import visible


@click.command()
@click.argument("container")
def diff(container: str) -> None:
    """Inspect changes to files or directories on a running container's filesystem."""
    from lib.cli import reports
    from lib.images import Merged

    with errors():
        facts = running(container)
        with frozen(facts):
            found = reports.changes(Merged(layers_of(library(), facts)), f"{facts['folder']}/upper")
        for kind, path in found:
            click.echo(f"{kind} {visible(path)}")


@click.command()
@click.argument("container")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Write to a file, instead of STDOUT.")
def export(container: str, output: str | None) -> None:
    """Export a running container's filesystem as a tar archive."""
    from lib.atomicfile import atomic_file
    from lib.images import archive

    with errors():
        facts = running(container)
        folders = [*layers_of(library(), facts), f"{facts['folder']}/upper"]
        with atomic_file(output) if output else nullcontext(stdout()) as file, frozen(facts):
            archive.export(folders, file)


def running(name: str) -> dict:
    """The record of a container that runs now, by its name, or else by the beginning of its id: that is nobody's choice."""
    records = [facts for facts in state.records() if "called" in facts]
    found = [facts for facts in records if facts["called"] == name] or [facts for facts in records if name and facts["id"].startswith(name)]
    if len(found) > 1:
        raise Failed(f"{name} is the name, or begins the ids, of {len(found)} containers: {', '.join(one['id'][:12] for one in found)}")
    if not found:
        raise Failed(f"No such container: {name} (only running ones can be looked into: those of another terminal or notebook)")
    return found[0]


@contextmanager
def frozen(facts: dict) -> Iterator[None]:
    """Meanwhile a container stands still, as for ``docker cp``: what is read is of one moment. It goes on however this ends.

    One without a cgroup (a user's without limits) cannot be frozen, and one that was paused already stays so. A record says that it
    is to go on, for the next one of us to read if this one is killed.
    """
    from lib.shield import Shield

    group = group_of(facts)
    if group is None or group.frozen:
        yield
        return
    with Shield() as shield:  # an interrupt must not come between freeze and thaw
        record = state.new_record(state.new_id(), [("thaw", next(iter(group.folders.values())))])
        try:
            group.freeze()
            with shield.opened():
                yield
        finally:
            with suppress(FileNotFoundError):  # it was killed meanwhile
                group.thaw()
            record.remove()


def group_of(facts: dict):
    """The cgroup of a container on record that can be frozen, or None. Its folder is the one that the record's undo kills."""
    from lib.ingredients import Cgroup

    folder = next((words[0] for call, *words in facts["undos"] if call == "kill_cgroup"), "")
    if not any(os.path.exists(f"{folder}/{name}") for name in ("cgroup.freeze", "freezer.state")):
        return None
    group = Cgroup(name=facts["id"])
    group.folders = dict.fromkeys(group.folders, folder)
    return group


def layers_of(ours, facts: dict) -> list[str]:
    return [folder for chain in facts["chains"] if (folder := ours.chains.find(chain))]
