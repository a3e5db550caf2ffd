"""Where a command's bytes come from and go to."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import click

from lib.cli.errors import Failed
from lib.visible import visible


def stdout() -> BinaryIO:
    """The standard output, for bytes; a terminal is refused, as Docker does."""
    if sys.stdout.isatty():
        raise Failed("cowardly refusing to save to a terminal. Use the -o flag or redirect")
    return sys.stdout.buffer


def tell(words: str) -> None:
    """A document with a stranger's words in it: visible text on a terminal, for programs just as it is."""
    click.echo(visible(words) if sys.stdout.isatty() else words)


@contextmanager
def opened(source: str | None) -> Iterator[BinaryIO]:
    """A file by its name; without one, or for ``-``, the standard input."""
    if source in (None, "-"):
        yield sys.stdin.buffer
    else:
        with open(source, "rb") as file:
            yield file
