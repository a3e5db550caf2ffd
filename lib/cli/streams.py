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
    from lib.dockerfile.syntax import LARGEST

    if folder != "-":
        told = file == "-"
        return {"context": folder, "file": None if told else file, "text": sys.stdin.read(LARGEST + 1) if told else None, "passing": False}
    if file == "-":
        raise ValueError("invalid argument: can't use stdin for both build context and dockerfile")
    place = undo.enter_context(apart())
    said = unpacked(sys.stdin.buffer, place)
    return {"context": place, "file": within(place, file) if file and said is None else None, "text": said, "passing": True}


@contextmanager
def apart() -> Iterator[str]:
    """A folder for a stranger's files, in the store, where nobody else of this machine comes in: programs that run as root may be among
    them (setuid). It is on record: if we are killed, the next one of us removes it.
    """
    from lib import state
    from lib.shield import Shield

    place = state.folder("containers") / f"context-{state.new_id()}"
    with Shield() as shield:  # nothing may come between the folder, its record and their end
        record = state.new_record(place.name, [("rmtree", str(place))])
        try:
            place.mkdir(mode=0o700)
            with shield.opened():
                yield str(place)
        finally:
            state.rmtree(str(place))
            record.remove()


def unpacked(file: BinaryIO, place: str) -> str | None:
    """A tar file, unpacked into the folder ``place``; anything else is a text, and returned."""
    from lib.build import copying
    from lib.dockerfile.syntax import LARGEST
    from lib.images.compression import Rest
    from lib.images.unpack import unpack

    head = file.read(HEAD)
    if kind := copying.archive_kind(io.BytesIO(head)):
        unpack(copying.reader(Rest(file, head), kind), place)
        return None
    return (head + file.read(4 * LARGEST + 1)).decode()  # of one that is too large, as much as shows that it is


def within(folder: str, path: str) -> str:
    """A file in a folder of a stranger's, whose links may lead anywhere. Raises ``ValueError`` for one outside."""
    found = os.path.realpath(f"{folder}/{path}")
    if os.path.commonpath([found, os.path.realpath(folder)]) != os.path.realpath(folder):
        raise ValueError(f"failed to read dockerfile: {path} leads out of the build context")
    return found


def agreed(warning: str, force: bool) -> bool:
    """Does the user want that? Asked in Docker's words."""
    if force:
        return True
    click.echo(f"WARNING! {warning}")
    return click.confirm("Are you sure you want to continue?", prompt_suffix=" [y/N] ", show_default=False)
