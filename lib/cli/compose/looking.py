"""``ps ls images volumes port version``: what there is of a project."""

from __future__ import annotations

import json
import re

import click

from lib.cli import text
from lib.cli.compose import members, options
from lib.cli.compose.asked import Asked
from lib.cli.containers.looking import FILTER
from lib.cli.errors import VERSION, errors
from lib.cli.flags.kinds import WHOLE
from lib.cli.listing import rows, templates
from lib.cli.streams import tell

HEADS = rows.HEADS | {"ExitCode": "EXIT CODE", "Health": "HEALTH", "Name": "NAME", "Project": "PROJECT", "Service": "SERVICE"}
TABLE = "table {{.Name}}\t{{.Image}}\t{{.Command}}\t{{.Service}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}"
FIELDS = (
    "Command", "CreatedAt", "Engine", "ExitCode", "Health", "ID", "Image", "Labels", "LocalVolumes", "Mounts", "Name", "Names", "Networks",
    "Ports", "Project", "Publishers", "RunningFor", "Service", "Size", "State", "Status",
)  # fmt: skip
STATES = ("paused", "restarting", "removing", "running", "dead", "created", "exited")
WIDE = 20  # columns of the older tables
JSON_OR_TABLE = ("table", "json")
FORMAT = "Format output: 'table', 'table TEMPLATE', 'json' or 'TEMPLATE', as {{.Name}} {{.State}}"


class Row(rows.Row):
    """A container as ``docker ps`` has it, and what it is in its project."""

    def __iter__(self):
        return iter(FIELDS)

    def __len__(self) -> int:
        return len(FIELDS)

    def __contains__(self, name: object) -> bool:
        return name in FIELDS or name in HEADS

    def name(self) -> str:
        return self.facts["name"]

    def service(self) -> str:
        return members.service(self.facts)

    def project(self) -> str:
        return members.about(self.facts)["project"]

    def engine(self) -> str:
        return ""

    def health(self) -> str:
        return self.health_status() if self.facts["state"]["status"] in ("running", "paused") else ""

    def exit_code(self) -> int:
        return self.facts["state"]["exit_code"] or 0

    def publishers(self) -> list[dict]:
        return [
            {"URL": ip, "TargetPort": port, "PublishedPort": host, "Protocol": protocol}
            for protocol, ip, host, port in rows.doors(self.facts)
        ]


@click.command()
@click.option("-a", "--all", "every", is_flag=True, help="Show all stopped containers (including those created by the run command)")
@click.option("--filter", "filters", multiple=True, type=FILTER, help="Filter services by a property (supported filters: status)")
@click.option("--format", "template", default="table", help=FORMAT)
@click.option("--no-trunc", is_flag=True, help="Don't truncate output")
@click.option("--orphans", type=click.BOOL, default=True, metavar="", help="Include orphaned services (default true)")
@click.option("-q", "--quiet", is_flag=True, help="Only display IDs")
@click.option("--services", "only_services", is_flag=True, help="Display services")
@click.option("--status", "statuses", multiple=True, help=f"Filter services by status. Values: [{' | '.join(STATES)}]")
@options.services
@click.pass_obj
def ps(asked: Asked, services: tuple[str, ...], every: bool, filters: tuple[str, ...], template: str, no_trunc: bool, orphans: bool,
       quiet: bool, only_services: bool, statuses: tuple[str, ...]) -> None:  # fmt: skip
    """List containers."""
    with errors():
        wanted = {*statuses, *(status_of(word) for word in filters if word)}
        there = members.meant(asked, services, oneoffs=every)
        if not orphans and asked.known:
            there = [one for one in there if members.service(one) in asked.known.services]
        if wanted:
            there = [one for one in there if one["state"]["status"] in wanted]
        elif not every:
            there = members.going_on(there)
        if quiet or only_services:
            words = (one["id"] for one in there) if quiet else sorted({members.service(one) for one in there})
            return click.echo("".join(f"{word}\n" for word in words), nl=False)
        there.sort(key=lambda one: one["name"])
        told = templates.listed(TABLE if template in ("", "table") else template, HEADS, lines(there, no_trunc))
        tell(told.removesuffix("\n")) if told else None


def status_of(word: str) -> str:
    name, _, value = word.partition("=")
    if name != "status":
        raise ValueError(f"unknown filter {name}")
    return value


def lines(found: list[dict], full: bool) -> list[Row]:
    """A service's image is told as the file has it, unless that is another one now."""
    from lib.cli.containers.looking import measured
    from lib.cli.listing.imagenames import ImageNames
    from lib.images.store import Store

    names = ImageNames(Store())
    return [Row(facts, names.shown(facts, full), full, measured) for facts in found]


# -- projects -----------------------------------------------------------------------------------------------------------


@click.command()
@click.option("-a", "--all", "every", is_flag=True, help="Show all stopped Compose projects")
@click.option("--filter", "filters", multiple=True, type=FILTER, help="Filter output based on conditions provided")
@click.option("--format", "template", default="table", help='Format the output. Values: [table | json] (default "table")')
@click.option("-q", "--quiet", is_flag=True, help="Only display project names")
def ls(every: bool, filters: tuple[str, ...], template: str, quiet: bool) -> None:
    """List running compose projects."""
    with errors():
        check_format(template)
        wanted = patterns(filters)
        found = [one for one in projects(every) if all(re.search(pattern, one["Name"]) for pattern in wanted)]
        if quiet:
            return click.echo("".join(f"{one['Name']}\n" for one in found), nl=False)
        if template == "json":
            return tell(json.dumps(found, separators=(",", ":")))
        tell(text.table(["NAME", "STATUS", "CONFIG FILES"], [list(one.values()) for one in found], WIDE))


def check_format(word: str) -> None:
    if word not in JSON_OR_TABLE:
        raise ValueError(f'format value "{word}" could not be parsed: there is {" and ".join(JSON_OR_TABLE)}')


def patterns(filters: tuple[str, ...]) -> list[str]:
    found = []
    for word in filter(None, filters):
        name, _, value = word.partition("=")
        if name != "name":
            raise ValueError(f"invalid filter '{name}': there is name")
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"invalid filter 'name={value}': {error}") from None
        found.append(value)
    return found


def projects(every: bool) -> list[dict]:
    """Those of which something runs, or all; how many of their containers are what."""
    from lib.engine import finding
    from lib.state import kept

    there: dict[str, list[dict]] = {}
    for facts in kept.every():
        if members.about(facts):
            there.setdefault(members.about(facts)["project"], []).append(finding.now(facts))
    shown = []
    for name, ones in sorted(there.items()):
        if not every and not (ones := [one for one in ones if one["state"]["status"] == "running"]):
            continue
        states = [one["state"]["status"] for one in ones]
        files = {",".join(members.about(one).get("files") or ()) for one in ones}
        told = ", ".join(f"{state}({states.count(state)})" for state in sorted(set(states)))
        shown.append({"Name": name, "Status": told, "ConfigFiles": ",".join(sorted(filter(None, files)))})
    return shown


# -- images and volumes -------------------------------------------------------------------------------------------------


@click.command()
@click.option("--format", "template", default="table", help='Format the output. Values: [table | json] (default "table")')
@click.option("-q", "--quiet", is_flag=True, help="Only display IDs")
@options.services
@click.pass_obj
def images(asked: Asked, services: tuple[str, ...], template: str, quiet: bool) -> None:
    """List images used by the created containers."""
    with errors():
        check_format(template)
        there = [one for one in members.of(asked.called) if not services or members.service(one) in services]
        there.sort(key=lambda one: one["name"])
        if quiet:
            return click.echo("".join(f"{one.partition(':')[2]}\n" for one in dict.fromkeys(one["image"] for one in there)), nl=False)
        found = [of_image(facts) for facts in there]
        if template == "json":
            return tell(json.dumps(found, separators=(",", ":")))
        tell(text.table(IMAGE_HEADS, [image_row(one) for one in found], WIDE))


IMAGE_HEADS = ["CONTAINER", "REPOSITORY", "TAG", "PLATFORM", "IMAGE ID", "SIZE", "CREATED"]


def of_image(facts: dict) -> dict:
    """What a container stands on; an image that has gone still has its id."""
    from lib.cli import reports
    from lib.cli.library import library
    from lib.images import references
    from lib.images.store import StoreError

    ours = library()
    name = None if facts["image_name"].startswith("sha256:") else references.parse(facts["image_name"])
    about = {
        "ID": facts["image"], "ContainerName": facts["name"],
        "Repository": name._replace(tag=None, digest=None).familiar if name else "<none>", "Tag": (name and name.tag) or "<none>",
        "Platform": facts["platform"], "Size": 0, "Created": "",
    }  # fmt: skip
    try:
        image = ours.find(facts["image"])
    except StoreError:
        return about
    return about | {"Size": sum(reports.layer_sizes(ours, image)), "Created": str(image.config.get("created") or "")}


def image_row(one: dict) -> list[str]:
    from lib import sizes

    short = one["ID"].partition(":")[2][:12]
    return [one["ContainerName"], one["Repository"], one["Tag"], one["Platform"], short, sizes.human(one["Size"]), text.age(one["Created"])]


@click.command()
@click.option("--format", "template", default="table", help=FORMAT)
@click.option("-q", "--quiet", is_flag=True, help="Only display volume names")
@options.services
@click.pass_obj
def volumes(asked: Asked, services: tuple[str, ...], template: str, quiet: bool) -> None:
    """List volumes."""
    from lib.cli.volumes import verbs
    from lib.compose.services import naming
    from lib.engine import finding
    from lib.engine import volumes as there

    with errors():
        used = {mount.get("name") for one in members.meant(asked, services) for mount in finding.mounts(one)}
        own = [one for one in there.every() if one.labels.get(f"{naming.LABEL}.project") == asked.called]
        found = [verbs.row(one) for one in own if one.name in used or not services]
        template = verbs.TABLE if template in ("", "table") else template
        if told := templates.listed("{{.Name}}" if quiet else template, verbs.HEADS, found):
            tell(told.removesuffix("\n"))


# -- ports, version -----------------------------------------------------------------------------------------------------


@click.command()
@options.index
@click.option("--protocol", default="tcp", help='tcp or udp (default "tcp")')
@options.service
@click.argument("private", required=False, metavar="[PRIVATE_PORT]", type=WHOLE)
@click.pass_obj
def port(asked: Asked, service: str, private: int | None, index: int, protocol: str) -> None:
    """List port mappings or print the public port for a specific mapping for the service."""
    from lib.engine import finding

    with errors():
        facts = members.chosen(asked, service, index)
        ports = sorted(finding.ways_in(facts) or [], key=lambda one: (one["port"], one["protocol"]))
        if private is not None:
            there = ", ".join(f"{one['port']}/{one['protocol']}" for one in ports)
            ports = [one for one in ports if (one["port"], one["protocol"]) == (private, protocol.lower())]
            if not ports:
                raise LookupError(f"no port {private}/{protocol} for container {facts['name']}: {there}")
            one = ports[0]
            return click.echo(where(rows.ANY.get(one["ip"], (one["ip"],))[0], one))
        for one in ports:
            for ip in rows.ANY.get(one["ip"], (one["ip"],)):
                click.echo(f"{one['port']}/{one['protocol']} -> {where(ip, one)}")


def where(ip: str, one: dict) -> str:
    return f"{rows.address(ip)}:{one['host']}"


@click.command()
@click.option("-f", "--format", "template", default="pretty", help="Format the output. Values: [pretty | json]. (Default: pretty)")
@click.option("--short", is_flag=True, help="Shows only Compose's version number")
def version(template: str, short: bool) -> None:
    """Show the Docker Compose version information."""
    click.echo(VERSION if short else f'{{"version":"v{VERSION}"}}' if template == "json" else f"Suitcase Compose version v{VERSION}")
