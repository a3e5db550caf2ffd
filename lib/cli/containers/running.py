"""``create run start``: a new container, and its start."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from lib.cli.containers import options
from lib.cli.errors import Failed, errors
from lib.cli.flags import completing
from lib.cli.library import library
from lib.shield import Shield


@click.command(context_settings={"allow_interspersed_args": False})
@options.creating
@completing.image
@click.argument("command", nargs=-1, metavar="[COMMAND] [ARG...]", type=click.UNPROCESSED)
def create(**values) -> None:
    """Create a new container."""
    with errors(), Shield() as shield:
        click.echo(made(library(), values, shield)["id"])


@click.command(context_settings={"allow_interspersed_args": False})
@options.creating
@options.running
@completing.image
@click.argument("command", nargs=-1, metavar="[COMMAND] [ARG...]", type=click.UNPROCESSED)
def run(detach_keys: str, sig_proxy: bool, **values) -> None:
    """Create and run a new container from an image."""
    from lib.cli.attached import terminal
    from lib.cli.attached.detaching import parsed

    with errors(125):
        parsed(detach_keys)
        if values["detach"] and values["attach"]:
            raise Failed("conflicting options: cannot specify both --attach and --detach")
        if not values["detach"]:
            terminal.check(values["interactive"], values["tty"])
        ours = library()
        with Shield() as shield:  # an interrupt must not come between a container and whoever is to remove it
            facts = made(ours, values, shield)
            with removed_if_it_cannot_start(facts), shield.opened():
                if values["detach"]:
                    in_background(ours, facts)
                else:
                    sys.exit(in_foreground(ours, facts, detach_keys, sig_proxy))


def made(ours, values: dict, shield: Shield) -> dict:
    """The container that the words ask for, written down. Raises ``ValueError``, ``ImageError``, ``LookupError``."""
    from lib.cli.containers.cidfile import cidfile
    from lib.cli.containers.wished import check, wished
    from lib.engine import lifecycle, wishes

    check(values)
    with cidfile(values["cidfile"]) as write:
        with shield.opened():
            image = found(ours, values)
            go_to_the_users_network()
        with wishes.kept(image):
            name = values["name"].removeprefix("/") or None
            facts = lifecycle.create(ours, wished(values, image), name, shield.opened, tell=warned)
            write(facts["id"])
    if facts.get("mounts"):
        from lib.cli.volumes import mounting

        mounting.tell_of_uncovered(facts, image)
    return facts


def warned(text: str) -> None:
    click.echo(f"WARNING: {text}", err=True)


def go_to_the_users_network() -> None:
    """His containers' one. Not before their image is here: a registry on the machine's loopback cannot be reached from there."""
    if os.geteuid():
        from lib.engine.networks import rootless

        rootless.enter(begin=True)


def found(ours, values: dict):
    """The image, pulled if need be."""
    from lib.engine.naming import resolve
    from lib.images.image import parse_platform

    how = {"platform": parse_platform(values["platform"])} if values["platform"] else {}
    if values["quiet"]:
        how["tell"] = lambda text: None
    return resolve.image(ours, values["image"], values["pull"] or "missing", **how)


@contextmanager
def removed_if_it_cannot_start(facts: dict) -> Iterator[None]:
    """With ``--rm``, what never ran goes too, also if it was interrupted."""
    from lib.engine import ending
    from lib.state import kept

    try:
        yield
    except BaseException:
        place = kept.place(facts)
        if facts["auto_remove"] and place.exists() and kept.load(place)["state"]["status"] == "created":
            ending.remove(facts)
        raise


def in_background(ours, facts: dict) -> None:
    from lib.engine import lifecycle
    from lib.state import kept

    click.echo(facts["id"])
    lifecycle.start(ours, kept.place(facts))


def in_foreground(ours, facts: dict, keys: str, proxy: bool) -> int:
    from lib.cli.attached import staying

    streams = facts["config"]["attach"]
    return staying.started(ours, facts, "stdin" in streams and facts["config"]["open_stdin"], keys, proxy, streams)


@click.command()
@options.starting
@completing.containers
def start(attach: bool, interactive: bool, detach_keys: str, containers: tuple[str, ...]) -> None:
    """Start one or more stopped containers."""
    from lib.cli.attached.detaching import parsed
    from lib.engine import finding

    with errors():
        parsed(detach_keys)
        if not (attach or interactive):
            return start_all(containers)
        if len(containers) > 1:
            raise ValueError("you cannot start and attach multiple containers at once")
        from lib.cli.attached import staying, terminal
        from lib.process import StepError

        facts = finding.current(containers[0])
        config = facts["config"]
        types = interactive and config["open_stdin"]
        terminal.check(types, config["tty"])
        if facts["state"]["status"] == "running":
            sys.exit(staying.attached(facts, types, detach_keys, not config["tty"]))
        try:
            sys.exit(staying.started(library(), facts, types, detach_keys, not config["tty"]))
        except StepError as error:  # 126 and 127 are words of run's
            raise ValueError(str(error)) from None


def start_all(names: tuple[str, ...]) -> None:
    from lib.engine import finding, lifecycle
    from lib.state import kept

    failed = []
    for name in names:
        try:
            with errors():
                lifecycle.start(library(), kept.place(finding.current(name)))
            click.echo(name)
        except Failed as error:
            error.show()
            failed.append(name)
    if failed:
        raise ValueError(f"failed to start containers: {', '.join(failed)}")
