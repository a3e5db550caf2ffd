"""Where a command's bytes come from and go to."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import BinaryIO

import click

from lib.cli.errors import Failed
from lib.visible import visible

HEAD = 512  # bytes that tell a tar file from a text


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


def context(folder: str, file: str | None, undo: ExitStack) -> dict:
    """What a build is made from, as ``Options`` has it. Raises ``ValueError``, ``LayerError``.

    ``-`` as the folder is a tar file of one on the standard input, packed or not, or else a Dockerfile that needs none; as the file it is
    the Dockerfile. What is unpacked goes with ``undo``.
    """
    if folder != "-":
        told = file == "-"
        return {"context": folder, "file": None if told else file, "text": sys.stdin.read() if told else None, "passing": False}
    if file == "-":
        raise ValueError("invalid argument: can't use stdin for both build context and dockerfile")
    from lib.process import scratch

    place = undo.enter_context(scratch("context"))
    text = unpacked(sys.stdin.buffer, place)
    return {"context": place, "file": within(place, file) if file and text is None else None, "text": text, "passing": True}


def unpacked(file: BinaryIO, place: str) -> str | None:
    """A tar file, unpacked into the folder ``place``; anything else is a text, and returned."""
    from lib.build import copying
    from lib.images.compression import Rest
    from lib.images.unpack import unpack

    head = file.read(HEAD)
    if kind := copying.archive_kind(io.BytesIO(head)):
        unpack(copying.reader(Rest(file, head), kind), place)
        return None
    return (head + file.read()).decode()


def within(folder: str, path: str) -> str:
    """A file in a folder of a stranger's, whose links may lead anywhere. Raises ``ValueError`` for one outside."""
    found = os.path.realpath(f"{folder}/{path}")
    if os.path.commonpath([found, os.path.realpath(folder)]) != os.path.realpath(folder):
        raise ValueError(f"failed to read dockerfile: {path} leads out of the build context")
    return found
