"""What is being done, as it is shown: lines that are redrawn on a terminal, a line for each change elsewhere, JSON, or nothing.

All of them are told the same: what kind of thing, its name, and what becomes of it, in Docker's words.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from dataclasses import dataclass, field

import click

from lib.cli import text
from lib.cli.attached import terminal
from lib.cli.errors import Failed
from lib.visible import visible

KINDS = ("auto", "tty", "plain", "json", "quiet")
BUSY = ("Creating", "Starting", "Stopping", "Removing", "Killing", "Restarting", "Waiting", "Recreate", "Building", "Pulling", "Pushing")
HIDE, SHOW, REST_OF_LINE = "\033[?25l", "\033[?25h", "\033[K"  # the cursor, and what a line had before. See console_codes(4)
WARNINGS = ("Skipped", "Resource is still in use")
GREEN, YELLOW, RED, BLUE, PLAIN = "\033[32m", "\033[33m", "\033[31m", "\033[34m", "\033[0m"


class Teller:
    """Says nothing. Threads may share one."""

    def __init__(self, verb: str = ""):
        self.verb, self.lock = verb, threading.Lock()

    def __enter__(self) -> Teller:
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def tell(self, kind: str, name: str, word: str) -> None:
        """``Container``, ``web-1``, ``Starting``."""

    def note(self, kind: str, name: str, line: str) -> None:
        """What goes on meanwhile: a line of a build."""

    def close(self) -> None:
        """Nothing more comes."""


class Lines(Teller):
    """A line for each change, as Docker writes it where nobody watches."""

    def tell(self, kind: str, name: str, word: str) -> None:
        with self.lock:
            click.echo(visible(f" {kind} {name} {word} "), err=True)

    def note(self, kind: str, name: str, line: str) -> None:
        with self.lock:
            click.echo(visible(f" {name} | {line}"), err=True)


class Beside(Lines):
    """Where somebody reads what containers print, and sees by that that they were started."""

    def tell(self, kind: str, name: str, word: str) -> None:
        if word not in ("Starting", "Started"):
            super().tell(kind, name, word)


class Documents(Teller):
    """A JSON document for each change."""

    def tell(self, kind: str, name: str, word: str) -> None:
        status = "Working" if is_busy(word) else "Error" if word.startswith("Error") else "Done"
        with self.lock:
            click.echo(json.dumps({"id": f"{kind} {name}", "status": status, "text": word}, separators=(",", ":")), err=True)


def is_busy(word: str) -> bool:
    return word.partition(" ")[0] in BUSY


@dataclass
class Row:
    """A thing that is worked at, since when, and for how long it was."""

    kind: str
    name: str
    word: str = ""
    since: float = field(default_factory=time.monotonic)
    took: float | None = None

    def shown(self, width: int, columns: int) -> str:
        mark, colour = ("⠿", YELLOW) if self.took is None else end(self.word)
        took = f"{time.monotonic() - self.since if self.took is None else self.took:.1f}s"
        words = text.shorten(visible(f"{self.kind} {self.name}".ljust(width) + f"  {self.word}"), max(columns - len(took) - 5, 20))
        gap = " " * max(columns - len(words) - len(took) - 4, 1)
        return f" {colour}{mark}{PLAIN} {words}{gap}{BLUE}{took}{PLAIN}{REST_OF_LINE}"


def end(word: str) -> tuple[str, str]:
    """How it ended: a mark and its colour."""
    if word.startswith("Error"):
        return "✘", RED
    return ("!", YELLOW) if word.startswith(WARNINGS) else ("✔", GREEN)


class Live(Teller):
    """A line for each thing, in its place: they are drawn anew whenever one changes. As many as the terminal has room for."""

    def __init__(self, verb: str = ""):
        super().__init__(verb)
        self.rows: dict[tuple[str, str], Row] = {}
        self.drawn = 0

    def tell(self, kind: str, name: str, word: str) -> None:
        with self.lock:
            row = self.rows.setdefault((kind, name), Row(kind, name))
            if is_busy(word) and row.took is not None:
                row.since, row.took = time.monotonic(), None
            row.word = word
            if not is_busy(word):
                row.took = time.monotonic() - row.since
            self.draw()

    def draw(self) -> None:
        lines, columns = terminal.size(2) or (24, 80)
        shown = list(self.rows.values())[-max(lines - 2, 1) :]
        width = max(len(f"{row.kind} {row.name}") for row in shown)
        done = sum(row.took is not None for row in self.rows.values())
        told = [f"[+] {self.verb} {done}/{len(self.rows)}{REST_OF_LINE}", *(row.shown(width, columns) for row in shown)]
        back = f"\033[{self.drawn}A" if self.drawn else ""
        self.drawn = len(told)
        click.echo(HIDE + back + "\r" + "\n".join(told) + "\n" + SHOW, nl=False, err=True, color=True)

    def close(self) -> None:
        self.rows, self.drawn = {}, 0


def teller(kind: str, ansi: str, verb: str, beside: bool = False) -> Teller:
    """Raises ``Failed`` for a kind that there is not. What is to stand ``beside`` other lines redraws none."""
    if kind not in KINDS:
        raise Failed(f'unsupported --progress value "{kind}": there is {", ".join(KINDS)}')
    if kind == "auto":
        kind = "tty" if sys.stderr.isatty() and ansi != "never" else "plain"
    return {"tty": Beside if beside else Live, "plain": Lines, "json": Documents, "quiet": Teller}[kind](verb)
