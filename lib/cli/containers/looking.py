"""``ps inspect port``: what containers there are, and what is known of each."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import partial

import click

from lib.cli.errors import Failed, errors
from lib.cli.flags import completing
from lib.cli.flags.kinds import WHOLE, Kind
from lib.cli.listing import rows, templates
from lib.cli.listing.inspected import inspect_each
from lib.cli.streams import tell


def filter_words(text: str) -> str:
    """``name=value``; an empty word is no filter."""
    if text and "=" not in text:
        raise ValueError("bad format of filter (expected name=value)")
    return text


FILTER = Kind("filter", filter_words)


@click.command()
@click.option("-a", "--all", "every", is_flag=True, help="Show all containers (default shows just running).")
@click.option("-f", "--filter", "filters", multiple=True, type=FILTER, help="Filter output based on conditions provided: name=value.")
@click.option("--format", "template", help="Format output: 'table', 'table TEMPLATE', 'json' or 'TEMPLATE', as {{.ID}} {{.Names}}.")
@click.option("-n", "--last", type=WHOLE, default=-1, help="Show n last created containers (includes all states).")
@click.option("-l", "--latest", is_flag=True, help="Show the latest created container (includes all states).")
@click.option("--no-trunc", is_flag=True, help="Don't truncate output.")
@click.option("-q", "--quiet", is_flag=True, help="Only display container IDs.")
@click.option("-s", "--size", is_flag=True, help="Display total file sizes.")
def ps(every: bool, filters: tuple, template: str | None, last: int, latest: bool, no_trunc: bool, quiet: bool, size: bool) -> None:
    """List containers."""
    if template and quiet:
        click.echo("WARNING: Ignoring custom format, because both --format and --quiet are set.", err=True)
    with errors():
        most = 1 if latest and last == -1 else last
        found = listed(filters, every, most)
        if template in (None, "", "table"):
            template = rows.TABLE + "\t{{.Size}}" * size
        if told := templates.listed("{{.ID}}" if quiet else template, rows.HEADS, lines(found, no_trunc)):
            tell(told.removesuffix("\n"))


def listed(words: tuple, every: bool, most: int) -> list[dict]:
    """The containers that are asked for, the newest first, each as it is now."""
    from lib.cli.listing import filters
    from lib.engine import finding
    from lib.state import kept

    wanted = filters.parsed(words)
    there = [finding.now(facts) for facts in kept.every()]
    if not (every or most > 0 or "status" in wanted):
        there = [facts for facts in there if facts["state"]["status"] in ("running", "paused", "restarting")]
    found = filters.chosen(there, wanted)
    return found[:most] if most > 0 else found


def lines(found: list[dict], full: bool) -> list[rows.Row]:
    if not found:
        return []
    from lib.cli.listing.imagenames import ImageNames
    from lib.images.store import Store

    names = ImageNames(Store())
    return [rows.Row(facts, names.shown(facts, full), full, measured) for facts in found]


def measured(facts: dict) -> tuple[int, int]:
    """Bytes that a container has written, and with those of the layers below, whose image may have gone."""
    from lib.cli import reports
    from lib.cli.library import library
    from lib.state import kept

    ours, written = library(), 0
    with suppress(FileNotFoundError):  # it is being removed
        written = reports.files(str(kept.place(facts) / "upper"))
    return written, written + sum(reports.unpacked_size(ours, chain) or 0 for chain in facts["chains"])


TYPES = ("container", "image", "network", "volume")


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME|ID...")
@click.option("-f", "--format", "template", help="Format output: 'json', or a template as {{.State.Pid}} or {{json .Config}}.")
@click.option("--type", "kind", help="Only inspect objects of the given type: container, image, network or volume.")
@click.option("-s", "--size", is_flag=True, help="Display total file sizes if the type is container.")
def inspect(names: tuple[str, ...], template: str | None, kind: str | None, size: bool) -> None:
    """Return low-level information on containers, images, networks and volumes."""
    check_type(kind)
    inspect_each(names, template, lambda name: document_of(name, kind, size))


def only(kind: str) -> click.Command:
    """``container inspect`` and ``image inspect``: the same for one kind of things."""
    params = [one for one in inspect.params if one.name != "kind" and (one.name != "size" or kind == "container")]
    called = partial(inspect.callback, kind=kind, **({} if kind == "container" else {"size": False}))
    return click.Command(f"{kind}-inspect", params=params, callback=called, help=f"Display detailed information on one or more {kind}s.")


of_containers, of_images = only("container"), only("image")


def check_type(kind: str | None) -> None:
    there = ", ".join(f'"{one}"' for one in TYPES)
    if kind == "":
        raise Failed(f"type is empty: must be one of {there}")
    if kind not in (None, *TYPES):
        raise Failed(f'unknown type: "{kind}": must be one of {there}')


def document_of(name: str, kind: str | None, size: bool) -> dict:
    """Of the container that is called so, or else of the image, the network, the volume. Raises ``LookupError``, ``NetworkError``."""
    from lib.engine import finding

    if kind in (None, "container"):
        try:
            return of_container(finding.current(name), size)
        except LookupError:
            if kind:
                raise
    if size:
        click.echo(f"WARNING: --size ignored for {kind or 'image'}", err=True)
    if kind in ("network", "volume"):
        return of_network(name) if kind == "network" else of_volume(name)
    return of_image(name, kind)


def of_container(facts: dict, size: bool) -> dict:
    from lib.cli.listing.document import document
    from lib.state import kept

    return document(facts, kept.place(facts)) | (dict(zip(("SizeRw", "SizeRootFs"), measured(facts), strict=True)) if size else {})


def of_image(name: str, kind: str | None) -> dict:
    from lib.cli import reports
    from lib.cli.library import library
    from lib.images.references import BadReference
    from lib.images.store import StoreError

    ours = library()
    try:
        return reports.document(ours, ours.find(name))
    except (StoreError, BadReference):
        if kind:
            raise
    return of_others(name)


def of_others(name: str) -> dict:
    """Of the network or the volume that is called so. Raises ``LookupError``."""
    from lib.engine.volumes.store import NoSuchVolume
    from lib.network.definitions import NetworkError

    with suppress(NetworkError):
        return of_network(name)
    try:
        return of_volume(name)
    except (NoSuchVolume, ValueError):
        raise LookupError(f"no such object: {name}") from None


def of_network(name: str) -> dict:
    from lib import network
    from lib.network.document import document

    return document(network.find(name))


def of_volume(name: str) -> dict:
    from lib.cli.volumes.verbs import document
    from lib.engine import volumes

    return document(volumes.find(name))


@click.command()
@completing.container
@click.argument("private", required=False, metavar="[PRIVATE_PORT[/PROTO]]")
def port(container: str, private: str | None) -> None:
    """List port mappings or a specific mapping for the container."""
    from lib.engine import finding

    with errors():
        facts = finding.current(container)
        ports = finding.ways_in(facts) or []
        if private is not None:
            number, protocol = wanted_port(private)
            ports = [one for one in ports if (one["port"], one["protocol"]) == (number, protocol)]
            if not ports:
                raise LookupError(f"no public port '{private}' published for {container}")
        ports = sorted(ports, key=lambda one: (one["port"], one["protocol"]))
        for one, ip in ((each, ip) for each in ports for ip in rows.ANY.get(each["ip"], (each["ip"],))):
            where = f"{rows.address(ip)}:{one['host']}"
            click.echo(where if private is not None else f"{one['port']}/{one['protocol']} -> {where}")


def wanted_port(text: str) -> tuple[int, str]:
    """``80``, ``53/udp``. Raises ``ValueError``."""
    number, _, protocol = text.partition("/")
    if not re.fullmatch(r"\d{1,5}(/(tcp|udp|sctp)?)?", text, re.ASCII | re.IGNORECASE) or int(number) >= 1 << 16:
        raise ValueError(f"invalid port '{text}': a number up to 65535, and /tcp, /udp or /sctp")
    return int(number), protocol.lower() or "tcp"
