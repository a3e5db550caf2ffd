"""``volume``: ``create inspect ls prune rm``."""

from __future__ import annotations

import re

import click

from lib import sizes
from lib.cli.errors import each, errors
from lib.cli.flags.groups import Verbs
from lib.cli.listing import templates
from lib.cli.listing.inspected import inspect_each
from lib.cli.networks.verbs import PAIR, labelled
from lib.cli.streams import agreed, tell
from lib.state import events

HEADS = {
    "Availability": "AVAILABILITY", "Driver": "DRIVER", "Group": "GROUP", "Labels": "LABELS", "Links": "LINKS", "Mountpoint": "MOUNTPOINT",
    "Name": "VOLUME NAME", "Scope": "SCOPE", "Size": "SIZE", "Status": "STATUS", "Label": lambda name: re.sub("[-_]", " ", name),
}  # fmt: skip
TABLE = "table {{.Driver}}\t{{.Name}}"
ANONYMOUS = "com.docker.volume.anonymous"  # the label that Docker shows; what we go by is written elsewhere


class VolumeVerbs(Verbs):
    homes = dict.fromkeys(("create", "inspect", "ls", "prune", "rm"), "volumes.verbs")
    other_names = {"list": "ls", "remove": "rm"}  # noqa: RUF012


@click.group(cls=VolumeVerbs, subcommand_metavar="COMMAND")
def volume() -> None:
    """Manage volumes."""


@click.command()
@click.option("-d", "--driver", default="local", help="Specify volume driver name.")
@click.option("--label", "labels", multiple=True, type=PAIR, help="Set metadata for a volume.")
@click.option("--name", "other", default="", hidden=True)
@click.option("-o", "--opt", "options", multiple=True, type=PAIR, help="Set driver specific options.")
@click.argument("name", metavar="VOLUME", required=False)
def create(name: str | None, other: str, driver: str, labels: tuple, options: tuple) -> None:
    """Create a volume."""
    from lib.engine import volumes

    with errors():
        if name and other:
            raise ValueError("conflicting options: cannot specify a volume-name through both --name and as a positional arg")
        name = name or other or None
        if driver != "local":
            raise ValueError(f'create {name or ""}: error looking up volume plugin {driver}: plugin "{driver}" not found: here it is local')
        click.echo(volumes.create(name, dict(labels), dict(options)).name)


@click.command()
@click.option("--cluster", is_flag=True, hidden=True)
@click.option("-f", "--filter", "filters", multiple=True, help='Provide filter values (e.g. "dangling=true").')
@click.option("--format", "template", help="Format output: 'table', 'table TEMPLATE', 'json' or 'TEMPLATE', as {{.Name}} {{.Driver}}.")
@click.option("-q", "--quiet", is_flag=True, help="Only display volume names.")
def ls(filters: tuple, template: str | None, quiet: bool, cluster: bool) -> None:
    """List volumes."""
    from lib.engine import volumes

    with errors():
        wanted = parsed(filters, LISTED)
        found = [row(one) for one in volumes.every() if fits(one, wanted)] if not cluster else []
        if template in (None, "", "table"):
            template = TABLE
        if told := templates.listed("{{.Name}}" if quiet else template, HEADS, found):
            tell(told.removesuffix("\n"))


def row(one) -> dict:
    labels = shown_labels(one)
    return {
        "Availability": "N/A", "Driver": "local", "Group": "N/A", "Labels": ",".join(f"{name}={value}" for name, value in labels.items()),
        "Links": "N/A", "Mountpoint": one.data, "Name": one.name, "Scope": "local", "Size": "N/A", "Status": "N/A",
        "Label": lambda name: labels.get(name, ""),
    }  # fmt: skip


def shown_labels(one) -> dict[str, str]:
    return dict(sorted({**one.labels, **({ANONYMOUS: ""} if one.anonymous else {})}.items()))


# -- filters ------------------------------------------------------------------------------------------------------------


def parsed(words: tuple, there: dict) -> dict[str, list[str]]:
    """``name=value`` as often as it is said; ``label!=a`` is the filter ``label!``. Raises ``ValueError``."""
    found: dict[str, list[str]] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise ValueError("bad format of filter (expected name=value)")
        if name not in there:
            raise ValueError(f"invalid filter '{name}': there is {', '.join(there)}")
        found.setdefault(name, []).append(value.strip())
    return found


def fits(one, wanted: dict[str, list[str]]) -> bool:
    return all(TESTS[name](one, values) for name, values in wanted.items())


def is_dangling(one, values: list[str]) -> bool:
    from lib.engine.volumes import store

    return (not store.users(one.name)) == truth("dangling", values[-1])


def truth(name: str, value: str) -> bool:
    if value not in ("1", "true", "0", "false"):
        raise ValueError(f"invalid filter '{name}={value}': it is true or false")
    return value in ("1", "true")


TESTS = {
    "dangling": is_dangling,
    "driver": lambda one, values: "local" in values,
    "label": labelled,
    "label!": lambda one, values: not labelled(one, values),
    "name": lambda one, values: any(value in one.name for value in values),
}
LISTED = {name: TESTS[name] for name in ("dangling", "driver", "label", "name")}
PRUNED = {"all": None, **{name: TESTS[name] for name in ("label", "label!")}}

# -- one, and their end -------------------------------------------------------------------------------------------------


@click.command()
@click.option("-f", "--format", "template", help="Format output: 'json', or a template as {{.Mountpoint}} or {{json .Labels}}.")
@click.argument("names", nargs=-1, required=True, metavar="VOLUME [VOLUME...]")
def inspect(names: tuple[str, ...], template: str | None) -> None:
    """Display detailed information on one or more volumes."""
    from lib.engine import volumes

    inspect_each(names, template, lambda name: document(volumes.find(name)))


def document(one) -> dict:
    """As Docker's API tells of it."""
    return {
        "CreatedAt": f"{one.created[:19]}Z",
        "Driver": "local",
        "Labels": shown_labels(one) or None,
        "Mountpoint": one.data,
        "Name": one.name,
        "Options": dict(sorted(one.options.items())) or None,
        "Scope": "local",
    }


@click.command()
@click.option("-f", "--force", is_flag=True, help="Force the removal of one or more volumes.")
@click.argument("names", nargs=-1, required=True, metavar="VOLUME [VOLUME...]")
def rm(names: tuple[str, ...], force: bool) -> None:
    """Remove one or more volumes. You cannot remove a volume that is in use by a container."""
    from lib.engine import volumes

    def take_away(name: str) -> None:
        try:
            volumes.remove(name)
        except volumes.NoSuchVolume:
            if not force:
                raise
        click.echo(name)

    each(names, take_away)


@click.command()
@click.option("-a", "--all", "every", is_flag=True, help="Remove all unused volumes, not just anonymous ones.")
@click.option("--filter", "filters", multiple=True, help='Provide filter values (e.g. "label=<label>").')
@click.option("-f", "--force", is_flag=True, help="Do not prompt for confirmation.")
def prune(every: bool, filters: tuple, force: bool) -> None:
    """Remove unused local volumes."""
    from lib.cli.listing.prunable import told
    from lib.engine import volumes

    with errors():
        wanted = parsed(filters, PRUNED)
        said = wanted.pop("all", None)
        if every and said:
            raise ValueError("conflicting options: cannot specify both --all and --filter all=1")
        which = "all local volumes" if every else "anonymous local volumes"
        if not agreed(f"This will remove {which} not used by at least one container.", force):
            return
        gone = volumes.prune(every or (bool(said) and truth("all", said[-1])), lambda one: fits(one, wanted))
        told("Volumes", gone.names)
        click.echo(f"Total reclaimed space: {sizes.human(gone.size)}")
        events.of_prune("volume", gone.size)
