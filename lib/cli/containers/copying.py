"""``cp``: files between a container and this machine."""

from __future__ import annotations

import os
import stat
import sys

import click

from lib import sizes
from lib.cli.errors import errors
from lib.cli.library import library
from lib.visible import visible


@click.command()
@click.option("-a", "--archive", is_flag=True, help="Archive mode (copy all uid/gid information).")
@click.option("-L", "--follow-link", "follow", is_flag=True, help="Always follow symlinks in SRC_PATH.")
@click.option("-q", "--quiet", type=click.BOOL, metavar="", help="Suppress the words at the end; so does an output that is no terminal.")
@click.argument("source", metavar="CONTAINER:SRC_PATH|SRC_PATH|-")
@click.argument("destination", metavar="DEST_PATH|-|CONTAINER:DEST_PATH")
def cp(source: str, destination: str, archive: bool, follow: bool, quiet: bool | None) -> None:
    """Copy files/folders between a container and the local filesystem.

    Use '-' as the source to read a tar archive from stdin and extract it to a directory destination in a container.
    Use '-' as the destination to stream a tar archive of a container source to stdout.
    """
    with errors():
        for word, what in ((source, "source"), (destination, "destination")):
            if not word:
                raise ValueError(f"{what} can not be empty")
        (from_, path), (to, target) = split(source), split(destination)
        if from_ and to:
            raise ValueError("copying between containers is not supported")
        if not (from_ or to):
            raise ValueError("must specify at least one container source")
        quiet = not sys.stdout.isatty() if quiet is None else quiet
        if from_:
            out(from_, path, target, follow, quiet)
        else:
            into(path, to, target, follow, archive, quiet)


def split(word: str) -> tuple[str, str]:
    """Container and path. A name of this machine's with a colon in it is written as ``./a:b`` or from the root on."""
    container, colon, path = word.partition(":")
    return ("", word) if word.startswith("/") or not colon or container.startswith(".") else (container, path)


def out(container: str, path: str, local: str, follow: bool, quiet: bool) -> None:
    from lib.engine import finding
    from lib.engine.transfer import deed

    if local == "-":
        if sys.stdout.isatty():
            raise ValueError("a tar archive says nothing on a terminal: send it to a file (> FILE), or to tar (| tar x)")
        return deed.stream_out(library(), finding.current(container), container, path, sys.stdout.buffer, follow)
    check_output(local)
    done = deed.out(library(), finding.current(container), container, path, local, follow)
    for name in done.left_out:
        click.echo(f"WARNING: {visible(name)} is a device: it is not made here, where it would work", err=True)
    tell(quiet, done, full(local))


def check_output(path: str) -> None:
    """Raises ``ValueError``, in Docker's words, before anything is looked for."""
    place = os.path.abspath(path)
    above = os.path.dirname(place)
    if not os.path.exists(above):
        raise ValueError(f'invalid output path: directory "{above}" does not exist')
    if os.path.exists(place) and stat.S_IFMT(os.stat(place).st_mode) in (stat.S_IFCHR, stat.S_IFBLK):
        raise ValueError(f'invalid output path: "{place}" must be a directory or a regular file: got a device')


def into(local: str, container: str, path: str, follow: bool, archive: bool, quiet: bool) -> None:
    from lib.engine import finding
    from lib.engine.transfer import deed

    if local == "-":
        facts = finding.current(container)
        return deed.stream_into(library(), facts, container, unpacked(), path, archive)
    if not os.path.lexists(local):
        raise ValueError(f"lstat {os.path.abspath(local)}: no such file or directory")
    done = deed.into(library(), finding.current(container), container, local, path, follow, archive)
    tell(quiet, done, f"{container}:{path}")


def unpacked():
    """The standard input as a tar file, whatever it is packed with. Nothing of the container's is run for that."""
    import io

    from lib.build import copying
    from lib.cli.streams import HEAD
    from lib.images.compression import Rest

    file = sys.stdin.buffer
    head = file.read(HEAD)
    kind = copying.archive_kind(io.BytesIO(head)) or "tar"
    return copying.reader(Rest(file, head), kind)


def full(path: str) -> str:
    """From the root on; a slash or ``/.`` at the end stays."""
    end = "/." if os.path.basename(path) == "." and path != "." else "/" if path.endswith("/") else ""
    return os.path.abspath(path).rstrip("/") + end or "/"


def tell(quiet: bool, done, where: str) -> None:
    if quiet:
        return
    sent = f" (transferred {sizes.human(done.sent)})" if done.sent != done.content else ""
    click.echo(f"Successfully copied {sizes.human(done.content)}{sent} to {where}", err=True)
