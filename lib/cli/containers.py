"""``run diff export``: one container, until chapter 5 brings those that live on."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from fractions import Fraction

import click

from lib import state
from lib.cli.errors import Failed, errors
from lib.cli.library import library
from lib.cli.streams import stdout
from lib.cli.variables import pairs
from lib.visible import visible


def cpus(context: click.Context, option: click.Option, value: str | None) -> float | None:
    """``1.5``, ``3/2``, ``1e-1``, as Docker takes them."""
    if value is None:
        return None
    try:
        if not re.fullmatch(r"[+-]?[\d.]{1,20}(/\d{1,20}|e[+-]?\d\d?)?", value, re.IGNORECASE):
            raise ValueError(value)
        return float(Fraction(value))
    except (ValueError, ZeroDivisionError):
        raise click.BadParameter(f"failed to parse {value} as a rational number") from None


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("image")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option("--rm", is_flag=True, help="Remove the container when it exits (they all are, until chapter 5).")
@click.option("-i", "--interactive", is_flag=True, help="Keep STDIN open.")
@click.option("-t", "--tty", is_flag=True, help="Allocate a pseudo-TTY.")
@click.option("--name", help="Assign a name to the container.")
@click.option("-h", "--hostname", help="Container host name.")
@click.option("-e", "--env", multiple=True, help="Set environment variables.")
@click.option("-w", "--workdir", help="Working directory inside the container.")
@click.option("-u", "--user", help="Username or UID (format: <name|uid>[:<group|gid>]).")
@click.option("-v", "--volume", "volumes", multiple=True, help="Bind mount a volume: /host:/container[:ro].")
@click.option("--tmpfs", multiple=True, help="Mount a tmpfs directory.")
@click.option("--entrypoint", help="Overwrite the default ENTRYPOINT of the image.")
@click.option("--network", type=click.Choice(["none", "host"]), default="none", help="Connect to a network (bridges come in chapter 4).")
@click.option("--read-only", is_flag=True, help="Mount the container's root filesystem as read only.")
@click.option("--init", is_flag=True, help="Run an init inside the container that reaps processes.")
@click.option("-m", "--memory", help="Memory limit.")
@click.option("--cpus", callback=cpus, help="Number of CPUs.")
@click.option("--pids-limit", type=int, help="Tune container pids limit.")
@click.option("--cap-add", multiple=True, help="Add Linux capabilities.")
@click.option("--cap-drop", multiple=True, help="Drop Linux capabilities.")
@click.option("--privileged", is_flag=True, help="Give extended privileges to this container.")
@click.option("--pull", type=click.Choice(["always", "missing", "never"]), default="missing", help="Pull image before running.")
def run(
    image: str, command: tuple[str, ...], rm: bool, interactive: bool, env: tuple, workdir, user, entrypoint, pull: str, **options
) -> None:
    """Run a command in a new container."""
    from lib.cli import launch as runner
    from lib.engine import resolve

    with errors(125):
        variables = pairs(env)
        ours = library()
        found = resolve.image(ours, image, pull)
        wishes = runner.Wishes(command, entrypoint, variables, workdir, user, {key: value for key, value in options.items() if value})
    with errors(125), runner.kept(found):
        sys.exit(foreground(ours, found, wishes, interactive))


def foreground(ours, found, wishes, interactive: bool) -> int:
    """Run it to its end; returns its exit code."""
    from lib.cli import launch as runner

    made = runner.container(ours, found, wishes)
    stdin = sys.stdin.buffer.read() if interactive and not sys.stdin.isatty() else b""
    return made.run(stdin=stdin).code


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
    from lib.process import Shield

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
