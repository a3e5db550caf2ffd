"""``network``: ``connect create disconnect inspect ls prune rm``, Docker's words; and ``doctor``, ours."""

from __future__ import annotations

import click

from lib.cli.errors import Failed, errors
from lib.cli.flags.groups import Verbs
from lib.cli.flags.kinds import WHOLE, Kind
from lib.cli.listing import templates
from lib.cli.listing.inspected import inspect_each
from lib.cli.networks.attachments import IP
from lib.cli.streams import agreed, tell
from lib.state import events
from lib.visible import visible

HEADS = {"ID": "NETWORK ID", "Name": "NAME", "Driver": "DRIVER", "Scope": "SCOPE", "IPv4": "IPV4", "IPv6": "IPV6", "Internal": "INTERNAL",
         "Labels": "LABELS", "CreatedAt": "CREATED AT"}  # fmt: skip
TABLE = "table {{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}"


def pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    if not name:
        raise ValueError(f"invalid label '{text}': empty name")
    return name, value


PAIR = Kind("list", pair)


class NetworkVerbs(Verbs):
    homes = dict.fromkeys(("connect", "create", "disconnect", "doctor", "ls", "inspect", "rm", "prune"), "networks.verbs")
    other_names = {"list": "ls", "remove": "rm"}  # noqa: RUF012


@click.group(cls=NetworkVerbs, subcommand_metavar="COMMAND")
def network() -> None:
    """Manage networks."""


@click.command()
@click.option("--attachable", type=click.BOOL, default=False, hidden=True)
@click.option("-d", "--driver", default="bridge", help="Driver to manage the Network.")
@click.option("--gateway", "gateways", multiple=True, help="IPv4 or IPv6 Gateway for the master subnet.")
@click.option("--internal", type=click.BOOL, default=False, metavar="", help="Restrict external access to the network.")
@click.option("--ip-range", "ranges", multiple=True, help="Allocate container ip from a sub-range.")
@click.option("--ipv4", type=click.BOOL, default=True, metavar="", help="Enable or disable IPv4 address assignment.")
@click.option("--ipv6", type=click.BOOL, default=False, metavar="", help="Enable or disable IPv6 address assignment.")
@click.option("--label", "labels", multiple=True, type=PAIR, help="Set metadata on a network.")
@click.option("-o", "--opt", "options", multiple=True, type=PAIR, help="Set driver specific options.")
@click.option("--subnet", "subnets", multiple=True, help="Subnet in CIDR format that represents a network segment.")
@click.argument("name", metavar="NETWORK")
def create(name: str, driver: str, attachable: bool, options: tuple, labels: tuple, **words) -> None:
    """Create a network."""
    from lib import network as networks

    with errors():
        if driver != "bridge":
            raise ValueError(f"could not find plugin {driver} in v2 plugin registry: the driver here is bridge")
        click.echo(networks.create(name, options=dict(options), labels=dict(labels), **words).id)


@click.command()
@click.option("-f", "--filter", "filters", multiple=True, help='Provide filter values (e.g. "driver=bridge").')
@click.option("--format", "template", help="Format output: 'table', 'table TEMPLATE', 'json' or 'TEMPLATE', as {{.ID}} {{.Name}}.")
@click.option("--no-trunc", is_flag=True, help="Do not truncate the output.")
@click.option("-q", "--quiet", is_flag=True, help="Only display network IDs.")
def ls(filters: tuple, template: str | None, no_trunc: bool, quiet: bool) -> None:
    """List networks."""
    from lib import network as networks

    with errors():
        found = [row(one, no_trunc) for one in networks.every() if fits(one, filters)]
        if template in (None, "", "table"):
            template = TABLE
        if told := templates.listed("{{.ID}}" if quiet else template, HEADS, found):
            tell(told.removesuffix("\n"))


def row(one, full: bool) -> dict:
    families = {":" in pool["subnet"] for pool in one.pools}
    return {
        "ID": one.id if full else one.id[:12], "Name": one.name, "Driver": one.driver, "Scope": "local",
        "IPv4": str(False in families).lower(), "IPv6": str(True in families).lower(), "Internal": str(one.internal).lower(),
        "CreatedAt": one.created,
        "Labels": ",".join(f"{name}={value}" for name, value in sorted(one.labels.items())),
    }  # fmt: skip


def fits(one, filters: tuple) -> bool:
    """All kinds of filters must agree, of one kind any will do; of labels all are needed. Raises ``ValueError``."""
    wanted: dict[str, list[str]] = {}
    for word in filters:
        name, equals, value = word.partition("=")
        if not equals:
            raise ValueError("bad format of filter (expected name=value)")
        wanted.setdefault(name, []).append(value)
    for name in wanted:
        if name not in TESTS:
            raise ValueError(f"invalid filter '{name}': there is {', '.join(TESTS)}")
    return all(TESTS[name](one, values) for name, values in wanted.items())


def labelled(one, values: list[str]) -> bool:
    pairs = (value.partition("=") for value in values)
    return all(name in one.labels and (not equals or one.labels[name] == value) for name, equals, value in pairs)


TESTS = {
    "dangling": lambda one, values: (one.user_defined and not one.members) == (values[-1] in ("true", "1")),
    "driver": lambda one, values: one.driver in values,
    "id": lambda one, values: any(value in one.id for value in values),
    "label": labelled,
    "name": lambda one, values: any(value in one.name for value in values),
    "scope": lambda one, values: "local" in values,
    "type": lambda one, values: ("custom" if one.user_defined else "builtin") in values,
}


@click.command()
@click.option("-f", "--format", "template", help="Format output: 'json', or a template as {{.Name}} or {{json .Containers}}.")
@click.option("-v", "--verbose", is_flag=True, hidden=True)
@click.argument("names", nargs=-1, required=True, metavar="NETWORK [NETWORK...]")
def inspect(names: tuple[str, ...], template: str | None, verbose: bool) -> None:
    """Display detailed information on one or more networks."""
    from lib import network as networks
    from lib.network.document import document

    inspect_each(names, template, lambda name: document(networks.find(name)))


@click.command()
@click.option("-f", "--force", is_flag=True, help="Do not error if the network does not exist.")
@click.argument("names", nargs=-1, required=True, metavar="NETWORK [NETWORK...]")
def rm(names: tuple[str, ...], force: bool) -> None:
    """Remove one or more networks."""
    from lib import network as networks

    failed = []
    for name in names:
        try:
            with errors():
                networks.remove(networks.find(name))
            click.echo(name)
        except Failed as error:
            if not (force and error.message.endswith("not found")):
                failed.append(error.message)
    if failed:
        raise Failed("\n".join(failed))


@click.command()
@click.option("--filter", "words", multiple=True, help='Provide filter values (e.g. "until=<timestamp>").')
@click.option("-f", "--force", is_flag=True, help="Do not prompt for confirmation.")
def prune(words: tuple[str, ...], force: bool) -> None:
    """Remove all unused networks."""
    with errors():
        if agreed("This will remove all custom networks not used by at least one container.", force):
            remove_idle(words)


def remove_idle(words: tuple[str, ...]) -> None:
    """Those that somebody has made, and nobody is on, if the filters let them through."""
    from lib import network as networks
    from lib.cli.listing.prunable import Filters, told

    wanted = Filters(words)
    told("Networks", [one.name for one in networks.prune(lambda one: wanted.let_through(one.created, one.labels))])
    events.of_prune("network", 0)


@click.command()
@click.option("--alias", "aliases", multiple=True, help="Add network-scoped alias for the container.")
@click.option("--driver-opt", "driver", multiple=True, help="driver options for the network.")
@click.option("--gw-priority", "priority", type=WHOLE, default=0, help="Highest gw-priority provides the default gateway.")
@click.option("--ip", "ipv4", type=IP, help='IPv4 address (e.g., "172.30.100.104").')
@click.option("--ip6", "ipv6", type=IP, help='IPv6 address (e.g., "2001:db8::33").')
@click.argument("name", metavar="NETWORK")
@click.argument("container")
def connect(name: str, container: str, driver: tuple[str, ...], **words) -> None:
    """Connect a container to a network."""
    from lib.cli.networks.attachments import Attachment, one_field
    from lib.engine import finding
    from lib.engine.networks import connecting
    from lib.network import Wish

    with errors():
        one = Attachment(name, **{key: value for key, value in words.items() if value})
        for word in driver:
            one = one._replace(**one_field(one, "driver-opt", word))
        connecting.connect(finding.current(container), Wish(**one._asdict()))


@click.command()
@click.option("-f", "--force", is_flag=True, help="Force the container to disconnect from a network.")
@click.argument("name", metavar="NETWORK")
@click.argument("container")
def disconnect(name: str, container: str, force: bool) -> None:
    """Disconnect a container from a network."""
    from lib.engine import finding
    from lib.engine.networks import connecting

    with errors():
        connecting.disconnect(finding.current(container), name)


@click.command()
@click.option("--repair", is_flag=True, help="Make again what of ours somebody has taken away.")
def doctor(repair: bool) -> None:
    """Look for what keeps containers from their network, and say what to type."""
    from lib.cli.text import table
    from lib.network import checking

    with errors():
        if repair:
            checking.repair()
        rows = checking.rows()
    tell(table(["", "LOOKED AT", "FOUND"], [["ok" if one.fine else "WRONG", one.what, visible(one.found)] for one in rows]))
    if ill := [one for one in rows if not one.fine]:
        tell("\nWhat to type:")
        for cure in dict.fromkeys(one.cure for one in ill):
            tell(f"  {cure}")
        raise SystemExit(1)
