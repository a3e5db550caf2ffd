"""``top stats events`` of a project's containers."""

from __future__ import annotations

import json
from contextlib import suppress

import click

from lib.cli import text
from lib.cli.compose import members, options
from lib.cli.compose.asked import Asked
from lib.cli.containers import observing
from lib.cli.errors import errors
from lib.cli.streams import tell

NARROW, CLOSE = 4, 2  # columns of a terminal that each column of ``top`` takes at least, and that lie between two of them


@click.command()
@options.services
@click.pass_obj
def top(asked: Asked, services: tuple[str, ...]) -> None:
    """Display the running processes."""
    from lib.engine import usage

    with errors():
        head, found = [], []
        for facts in members.going_on(there(asked, services)):
            pids = usage.pids(facts)
            head, rows = observing.chosen(observing.listed(("-ef",), pids), set(pids))
            found += [[members.service(facts), str(members.number(facts)), *row] for row in rows]
        if found:
            tell(text.table(["SERVICE", "#", *head], found, NARROW, CLOSE))


def there(asked: Asked, services: tuple[str, ...]) -> list[dict]:
    """As Docker has it, a service that there is not has no containers, and that is all."""
    return [one for one in members.of(asked.called) if not services or members.service(one) in services]


@click.command()
@click.option("-a", "--all", "every", is_flag=True, help="Show all containers (default shows just running)")
@click.option(
    "--format", "template", default="", help="Format output: 'table', 'table TEMPLATE', 'json' or 'TEMPLATE', as {{.Name}} {{.CPUPerc}}"
)
@click.option("--no-stream", is_flag=True, help="Disable streaming stats and only pull the first result")
@click.option("--no-trunc", is_flag=True, help="Do not truncate output")
@click.argument("service", required=False, shell_complete=options.services_there)
@click.pass_obj
def stats(asked: Asked, service: str | None, every: bool, template: str, no_stream: bool, no_trunc: bool) -> None:
    """Display a live stream of container(s) resource usage statistics."""
    with errors():
        found = there(asked, (service,) if service else ())
        if names := tuple(one["name"] for one in (found if every else members.going_on(found))):
            observing.stats.callback(names=names, every=every, template=template, no_stream=no_stream, no_trunc=no_trunc)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Output events as a stream of json objects")
@click.option("--since", default="", help="Show all events created since timestamp")
@click.option("--until", default="", help="Stream events until this timestamp")
@options.services
@click.pass_obj
def events(asked: Asked, services: tuple[str, ...], as_json: bool, since: str, until: str) -> None:
    """Receive real time events from containers."""
    from lib.cli.system import events as all_events

    with errors():
        asked.check(services)
        known: dict[str, str] = {}
        for event in all_events.happening(all_events.moment("since", since), all_events.moment("until", until)):
            service = whose(asked.called, event["Actor"]["ID"], known) if event["Type"] == "container" else ""
            if service and (not services or service in services):
                tell(document(event, service) if as_json else line(event))


def whose(project: str, ident: str, known: dict[str, str]) -> str:
    """The service of a container, if it is one of the project's. Of one that has gone we know it if we have seen it."""
    from lib.state import kept

    if ident not in known:
        with suppress(FileNotFoundError, kept.Unreadable):
            about = members.about(kept.load(kept.place(ident)))
            known[ident] = about["service"] if about.get("project") == project else ""
    return known.get(ident, "")


def shown(event: dict) -> dict[str, str]:
    """What is said of it besides: less the labels that every container of a project has."""
    return {name: value for name, value in event["Actor"]["Attributes"].items() if not name.startswith("com.docker.compose.")}


def document(event: dict, service: str) -> str:
    from lib.engine import moments

    about = {"action": event["Action"], "attributes": shown(event), "id": event["Actor"]["ID"], "service": service}
    return json.dumps(about | {"time": moments.of(event["timeNano"]), "type": "container"}, separators=(",", ":"))


def line(event: dict) -> str:
    """``2026-11-29 20:00:00.123456 container start 4b5c… (image=busybox, name=box)``."""
    import time

    seconds, rest = divmod(event["timeNano"], 10**9)
    more = ", ".join(f"{name}={value}" for name, value in sorted(shown(event).items()))
    stamp = f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(seconds))}.{rest // 1000:06d}"
    return f"{stamp} container {event['Action']} {event['Actor']['ID']} ({more})\n"
