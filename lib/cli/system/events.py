"""``events``: what happens on this machine, as it happens."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

import click

from lib.cli.containers.looking import FILTER
from lib.cli.errors import errors
from lib.cli.listing import templates
from lib.cli.listing.moments import nanoseconds
from lib.cli.streams import tell

KINDS = ("container", "image", "network", "volume")


@click.command()
@click.option("-f", "--filter", "words", multiple=True, type=FILTER, help="Filter output based on conditions provided.")
@click.option("--format", "template", help="Format output: 'json', or a template as {{.Type}} {{.Action}} {{json .Actor}}.")
@click.option("--since", default="", help="Show all events created since timestamp.")
@click.option("--until", default="", help="Stream events until this timestamp.")
def events(words: tuple[str, ...], template: str | None, since: str, until: str) -> None:
    """Get real time events of containers, images, networks and volumes."""
    with errors():
        pieces = templates.read("{{json .}}" if template == "json" else template or "")
        wanted, begin, end = tests(words), moment("since", since), moment("until", until)
        for event in happening(begin, end):
            if all(test(event) for test in wanted):
                tell(templates.laid_over(pieces, event) if template else in_words(event))


def moment(option: str, text: str) -> int | None:
    """Nanoseconds since 1970. Raises ``ValueError``."""
    try:
        return nanoseconds(text) if text else None
    except (ValueError, OverflowError):
        raise ValueError(f'invalid value for "{option}": failed to parse value as time or duration: "{text}"') from None


def happening(begin: int | None, end: int | None) -> Iterator[dict]:
    """Those from ``begin`` on, else from now on, until ``end``; without it for ever."""
    from lib.state import events as written

    begin = time.time_ns() if begin is None else begin
    with closing(written.Reader()) as reader:
        while True:
            for event in reader.read():
                if end is not None and event["timeNano"] > end:
                    return
                if event["timeNano"] >= begin:
                    yield event
            left = None if end is None else (end - time.time_ns()) / 1e9
            if left is not None and left <= 0:
                return
            reader.wait(left)


def tests(words: Sequence[str]) -> list[Callable[[dict], bool]]:
    """Of several values of one filter any will do; all filters must agree. Raises ``ValueError``."""
    wanted: dict[str, list[str]] = {}
    for word in filter(None, words):
        name, _, value = word.partition("=")
        wanted.setdefault(name, []).append(value)
    for name in wanted:
        if name not in (*KINDS, "type", "event", "label", "scope"):
            raise ValueError(f"invalid filter '{name}': there is {', '.join((*KINDS, 'type', 'event', 'label', 'scope'))}")
    return [test(name, values) for name, values in wanted.items()]


def test(name: str, values: list[str]) -> Callable[[dict], bool]:
    match name:
        case "type" | "scope":
            return lambda event: event["Type" if name == "type" else "scope"] in values
        case "event":
            return lambda event: event["Action"] in values or event["Action"].partition(":")[0] in values
        case "label":
            pairs = [value.partition("=") for value in values]
            return lambda event: any(has(event["Actor"]["Attributes"], *pair) for pair in pairs)
    return lambda event: event["Type"] == name and any(is_called(event["Actor"], value) for value in values)


def has(attributes: dict, name: str, equals: str, value: str) -> bool:
    return name in attributes and (not equals or attributes[name] == value)


def is_called(actor: dict, value: str) -> bool:
    return actor["ID"] == value or actor["Attributes"].get("name") == value or bool(len(value) > 3 and actor["ID"].startswith(value))


def in_words(event: dict) -> str:
    """``2026-11-29T20:00:00.123456789+01:00 container start 4b5c… (image=busybox, name=box)``, in local time."""
    seconds, rest = divmod(event["timeNano"], 10**9)
    when = time.localtime(seconds)
    zone = re.sub(r"(\d\d)(\d\d)$", r"\1:\2", time.strftime("%z", when)).replace("+00:00", "Z")
    more = ", ".join(f"{name}={value}" for name, value in sorted(event["Actor"]["Attributes"].items()))
    stamp = f"{time.strftime('%Y-%m-%dT%H:%M:%S', when)}.{rest:09d}{zone}"
    return f"{stamp} {event['Type']} {event['Action']} {event['Actor']['ID']}" + (f" ({more})" if more else "")
