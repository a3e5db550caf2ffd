"""``top stats``: what runs in a container, and what it uses up."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

import click

from lib import sizes
from lib.cli import text
from lib.cli.errors import errors
from lib.cli.flags import completing
from lib.cli.streams import tell

WIDTH = 20  # columns of a terminal that each column of ``top`` takes at least, in Docker
PERIOD = 1  # second between two looks of ``stats``


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@completing.container
@click.argument("words", nargs=-1, metavar="[ps OPTIONS]", type=click.UNPROCESSED)
def top(container: str, words: tuple[str, ...]) -> None:
    """Display the running processes of a container."""
    from lib.engine import finding, usage
    from lib.engine.vitality import alive

    with errors():
        facts = finding.current(container)
        if not alive(facts):
            from lib.engine.ending import Conflict  # it loads what ends and removes containers, a fifth of the time that this takes

            raise Conflict(f"container {facts['id']} is not running")
        pids = usage.pids(facts)
        head, rows = chosen(listed(words or ("-ef",), pids), set(pids))
        tell(text.table(head, rows, WIDTH))


def listed(words: Sequence[str], pids: Sequence[int]) -> str:
    """What the machine's ps(1) says of these processes, or, where its words do not go with ``-q``, of all. Raises ``ValueError``."""
    for more in ([f"-q{','.join(map(str, pids))}"], []):
        done = subprocess.run(["ps", *words, *more], capture_output=True, text=True, stdin=subprocess.DEVNULL, errors="replace")
        if done.returncode == 0:
            return done.stdout
    raise ValueError(f"Error running ps: {done.stderr.strip().partition(chr(10))[0] or f'exit status {done.returncode}'}")


def chosen(told: str, pids: set[int]) -> tuple[list[str], list[list[str]]]:
    """The heads, and the rows of those that are meant: who is who, is said by the column PID. Raises ``ValueError``."""
    head, *lines = [line.split() for line in told.split("\n")]
    if "PID" not in head:
        raise ValueError("Couldn't find PID field in ps output")
    at = head.index("PID")
    rows = [line for line in lines if len(line) > at and line[at].isdigit() and int(line[at]) in pids]
    last = len(head) - 1
    return head, [[*row[:last], " ".join(row[last:])] for row in rows]  # the command is the rest, with its spaces


# -- stats ------------------------------------------------------------------------------------------------------------

HEADS = {
    "Container": "CONTAINER", "ID": "CONTAINER ID", "Name": "NAME", "CPUPerc": "CPU %", "MemUsage": "MEM USAGE / LIMIT", "MemPerc": "MEM %",
    "NetIO": "NET I/O", "BlockIO": "BLOCK I/O", "PIDs": "PIDS",
}  # fmt: skip
TABLE = "table {{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}"
NOTHING = {"CPUPerc": "--", "MemUsage": "-- / --", "MemPerc": "--", "NetIO": "--", "BlockIO": "--", "PIDs": "--"}
HOME, REST_OF_LINE, REST = "\033[H", "\033[K", "\033[J"  # where a terminal writes on, and what it clears. See console_codes(4)


@click.command()
@click.option("-a", "--all", "every", is_flag=True, help="Show all containers (default shows just running).")
@click.option("--format", "template", help="Format output: 'table', 'table TEMPLATE', 'json' or 'TEMPLATE', as {{.Name}} {{.CPUPerc}}.")
@click.option("--no-stream", is_flag=True, help="Disable streaming stats and only pull the first result.")
@click.option("--no-trunc", is_flag=True, help="Do not truncate output.")
@click.argument("names", nargs=-1, metavar="[CONTAINER...]")
def stats(names: tuple[str, ...], every: bool, template: str | None, no_stream: bool, no_trunc: bool) -> None:
    """Display a live stream of container(s) resource usage statistics."""
    from lib.cli.listing import templates  # ``top`` has none

    with errors():
        template = TABLE if template in (None, "", "table") else template
        templates.read(template)
        for rows in looks(names, every, no_trunc):
            told = templates.listed(template, HEADS, rows)
            if no_stream:
                return tell(told.removesuffix("\n"))
            redraw(told) if sys.stdout.isatty() else click.echo(told, nl=False)


def redraw(told: str) -> None:
    """In the place of what stood there before."""
    click.echo(HOME + told.replace("\n", f"{REST_OF_LINE}\n") + REST, nl=False, color=True)


def looks(names: Sequence[str], every: bool, full: bool) -> Iterator[list[dict]]:
    """The rows, a second after the last ones: how busy a processor was is only seen between two looks."""
    from lib.engine import usage

    before: dict[str, usage.Usage | None] = {}
    while True:
        there = meant(names, every)
        now = {facts["id"]: usage.measured(facts) for facts in there}
        if before or not there:
            yield [row(facts, before.get(facts["id"]), now[facts["id"]], full) for facts in there]
        before = now
        time.sleep(PERIOD)


def meant(names: Sequence[str], every: bool) -> list[dict]:
    """The containers that are asked for, the newest first; those that are named whether they run or not. Raises ``NoSuchContainer``."""
    from lib.engine import finding
    from lib.engine.vitality import alive
    from lib.state import kept

    return [finding.current(name) for name in names] or [one for one in kept.every() if every or alive(one)]


def row(facts: dict, before, now, full: bool) -> dict:
    ident = facts["id"] if full else facts["id"][:12]
    return {"Container": ident, "ID": ident, "Name": facts["name"]} | (NOTHING if now is None else figures(before or now, now))


def figures(before, now) -> dict:
    from lib.engine.usage import cpu_percent

    return {
        "CPUPerc": f"{cpu_percent(before, now):.2f}%",
        "MemUsage": f"{sizes.binary(now.memory)} / {sizes.binary(now.limit)}",
        "MemPerc": f"{now.memory / now.limit * 100:.2f}%",
        "NetIO": f"{sizes.human(now.received)} / {sizes.human(now.sent)}",
        "BlockIO": f"{sizes.human(now.read)} / {sizes.human(now.written)}",
        "PIDs": str(now.pids),
    }
