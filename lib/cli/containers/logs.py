"""``logs``: what a container has printed, byte for byte."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from lib.cli.attached.outputs import Text
from lib.cli.errors import Failed, errors
from lib.cli.flags import completing
from lib.cli.listing.moments import moment

EXAMPLES = '(e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)'


@click.command()
@completing.container
@click.option("-f", "--follow", is_flag=True, help="Follow log output.")
@click.option("--since", default="", help=f"Show logs since timestamp {EXAMPLES}.")
@click.option("--until", default="", help=f"Show logs before a timestamp {EXAMPLES}.")
@click.option("-n", "--tail", default="all", help='Number of lines to show from the end of the logs (default "all").')
@click.option("-t", "--timestamps", is_flag=True, help="Show timestamps.")
@click.option("--details", is_flag=True, help="Show extra details provided to logs.")
def logs(container: str, follow: bool, since: str, until: str, tail: str, timestamps: bool, details: bool) -> None:
    """Fetch the logs of a container."""
    from lib.engine import finding
    from lib.engine.log import reader
    from lib.state import kept

    with errors():
        facts = finding.find(container)
        if facts["log"]["driver"] == "none":
            raise Failed("configured logging driver does not support reading")
        place, show = kept.place(facts), Show(timestamps, details)
        window = moment("since", since) if since else "", moment("until", until) if until not in ("", "0") else reader.LATEST
        with kept.reading(place):
            for piece in reader.frames(place, *window, last(tail), (lambda: running(place)) if follow else None):
                show.piece(piece.stream, piece.data, piece.time)


def last(tail: str) -> int | None:
    """How many lines; None is all of them, which Docker also takes everything for that is no number."""
    try:
        return count if (count := int(tail)) >= 0 else None
    except ValueError:
        return None


def running(place: Path) -> bool:
    from lib.engine import finding
    from lib.state import kept

    try:
        return finding.now(kept.load(place))["state"]["status"] in kept.UP
    except FileNotFoundError:  # it has been removed
        return False


class Show:
    """Prints pieces of both streams, each to its own; with something before each line if that is wanted."""

    def __init__(self, timestamps: bool, details: bool):
        self.timestamps, self.details = timestamps, details
        self.within: set[str] = set()  # streams whose last line has not ended yet
        self.outputs = {"stdout": output(sys.stdout), "stderr": output(sys.stderr)}

    def piece(self, stream: str, data: bytes, time: str) -> None:
        if self.timestamps or self.details:
            before = f"{time} " if self.timestamps else ""
            before += " " if self.details else ""  # Docker's words for a log without any
            data = self.lines(stream, data, before.encode())
        self.outputs[stream].write(data)

    def lines(self, stream: str, data: bytes, before: bytes) -> bytes:
        """The piece with ``before`` at the beginning of each line that begins in it."""
        first = b"" if stream in self.within else before
        (self.within.discard if data.endswith(b"\n") else self.within.add)(stream)
        return first + data[:-1].replace(b"\n", b"\n" + before) + data[-1:]


def output(stream) -> Bytes | Text:
    """A place for bytes; a notebook's stream takes text only."""
    return Bytes(stream) if hasattr(stream, "buffer") else Text(stream)


class Bytes:
    """The command's own stream. Each piece is seen at once."""

    def __init__(self, stream):
        self.stream = stream

    def write(self, data: bytes) -> None:
        self.stream.buffer.write(data)
        self.stream.flush()
