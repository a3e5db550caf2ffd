"""``logs``: what the containers of services have printed, line by line in the order of time, and what they print."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import click

from lib.cli.compose import members, options
from lib.cli.compose.asked import Asked
from lib.cli.containers.logs import last
from lib.cli.errors import errors
from lib.cli.flags.kinds import WHOLE
from lib.cli.listing.moments import moment

EXAMPLES = "(e.g. 2013-01-02T13:23:37Z) or relative (e.g. 42m for 42 minutes)"


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Follow log output")
@click.option("--index", type=WHOLE, default=0, help="index of the container if service has multiple replicas")
@click.option("--no-color", is_flag=True, help="Produce monochrome output")
@click.option("--no-log-prefix", is_flag=True, help="Don't print prefix in logs")
@click.option("--since", default="", help=f"Show logs since timestamp {EXAMPLES}")
@click.option("--until", default="", help=f"Show logs before a timestamp {EXAMPLES}")
@click.option("-n", "--tail", default="all", help='Number of lines to show from the end of the logs for each container (default "all")')
@click.option("-t", "--timestamps", is_flag=True, help="Show timestamps")
@options.services
@click.pass_obj
def logs(asked: Asked, services: tuple[str, ...], follow: bool, index: int, no_color: bool, no_log_prefix: bool, since: str, until: str,
         tail: str, timestamps: bool) -> None:  # fmt: skip
    """View output from containers."""
    from lib.cli.compose.logs.prefixes import prefixes
    from lib.engine.log.reader import LATEST

    with errors():
        there = [one for one in members.meant(asked, services) if not index or members.number(one) == index]
        there = [one for one in there if one["log"]["driver"] != "none"]
        window = moment("since", since) if since else "", moment("until", until) if until not in ("", "0") else LATEST
        begin = prefixes({one["id"]: members.label(one) for one in there}, asked.coloured(no_color), not no_log_prefix, timestamps)
        if follow:
            return followed(asked, there, begin, window, last(tail))
        for line in merged(there, begin, window, last(tail)):
            write(line)


def write(line: bytes) -> None:
    import sys

    from lib.cli.containers.logs import output

    output(sys.stdout).write(line)


def merged(those: list[dict], begin: dict, window: tuple[str, str], tail: int | None) -> Iterator[bytes]:
    """The lines of all, the oldest first."""
    ways = [of_one(facts, begin[facts["id"]], window, tail) for facts in those]
    return (line for _, line in heapq.merge(*ways, key=lambda one: one[0]))


def of_one(facts: dict, prefix, window: tuple[str, str], tail: int | None) -> Iterator[tuple[str, bytes]]:
    from lib.engine.log import reader
    from lib.state import kept

    time = ""
    with kept.reading(kept.place(facts)):
        for piece in reader.frames(kept.place(facts), *window, tail):
            time = piece.time
            if lines := prefix.lines(piece.stream, piece.data, time):
                yield time, lines
    for _, line in prefix.rests():
        yield time, line


def followed(asked: Asked, those: list[dict], begin: dict, window: tuple[str, str], tail: int | None) -> None:
    """Until the last one has ended. Ctrl-C ends us, and nothing else."""
    from lib.cli.attached.relay import Relay
    from lib.cli.attached.session import Session
    from lib.cli.compose.logs.prefixes import Lines
    from lib.cli.compose.logs.together import ServiceLog
    from lib.state import kept

    sources = []
    try:
        for facts in those:
            prefix = begin[facts["id"]]
            log = Lines(kept.place(facts), prefix, *window, tail)
            sources.append(ServiceLog(facts, log, prefix, lambda facts, code: ""))
        with Relay(proxy=False) as relay:
            Session(list(sources), relay, lambda number: None, outputs=one_output()).run()
    finally:
        for one in sources:
            one.close()


def one_output() -> dict:
    """Both streams of all containers go to our standard output, as with Docker."""
    from lib.cli.attached.outputs import outputs

    out = outputs()["stdout"]
    return {"stdout": out, "stderr": out}
