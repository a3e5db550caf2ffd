"""``images history tag rmi prune``: what is here, by which names, and how to be rid of it."""

from __future__ import annotations

import click

from lib import sizes
from lib.cli import reports, text
from lib.cli.errors import NAME, Failed, errors
from lib.cli.flags import completing
from lib.cli.library import disk, in_use, library
from lib.images import references


@click.command()
@click.argument("repository", required=False)
@click.option("-q", "--quiet", is_flag=True, help="Only image IDs.")
@click.option("--digests", "with_digests", is_flag=True, help="Show digests.")
@click.option("--no-trunc", is_flag=True, help="Do not truncate IDs.")
@click.option("-a", "--all", "every", is_flag=True, help="Show images without a name, too.")
def images(repository: str | None, quiet: bool, with_digests: bool, no_trunc: bool, every: bool) -> None:
    """List images."""
    with errors():
        ours = library()
        found = [one for one in ours.images() if one.names or every or not repository]
        if repository:
            wanted = references.parse(repository)
            tag = wanted.tag if ":" in repository.rpartition("/")[2] else None
            found = [one for one in found if any(matches(name, wanted, tag) for name in one.names)]
        rows = reports.image_rows(ours, found, no_trunc, with_digests)
        if quiet:
            click.echo("\n".join(dict.fromkeys(row[-3] for row in rows)), nl=bool(rows))
        else:
            click.echo(text.table(["REPOSITORY", "TAG", *["DIGEST"] * with_digests, "IMAGE ID", "CREATED", "SIZE"], rows))


def matches(name: str, wanted, tag: str | None) -> bool:
    there = references.parse(name)
    return (there.registry, there.repository) == (wanted.registry, wanted.repository) and tag in (None, there.tag)


@click.command()
@completing.image
@click.option("--no-trunc", is_flag=True, help="Don't truncate output.")
@click.option("-q", "--quiet", is_flag=True, help="Only show image IDs.")
def history(image: str, no_trunc: bool, quiet: bool) -> None:
    """Show the history of an image."""
    with errors():
        ours = library()
        rows = reports.history_rows(ours, ours.find(image), no_trunc)
        table = text.table(["IMAGE", "CREATED", "CREATED BY", "SIZE", "COMMENT"], rows)
        click.echo("\n".join(row[0] for row in rows) if quiet else table)


@click.command()
@click.argument("source")
@click.argument("target")
def tag(source: str, target: str) -> None:
    """Create a tag TARGET that refers to SOURCE."""
    with errors():
        library().tag(source, target)


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="IMAGE...")
@click.option("-f", "--force", is_flag=True, help="Force removal of the image.")
def rmi(names: tuple[str, ...], force: bool) -> None:
    """Remove one or more images."""
    ours, failed = library(), []
    for name in names:
        try:
            with errors():
                click.echo("\n".join(ours.remove(name, force, in_use(), left)))
        except Failed as error:
            failed.append(error)
    if failed:
        raise Failed("\n".join(one.message for one in failed))


def left() -> None:
    click.echo(f"A pull, load or build is at work here: the bytes go with the next {NAME} prune", err=True)


def waits() -> None:
    click.echo("Waiting: a pull, load or build is at work here, and what it has brought so far has no name yet", err=True)


@click.command()
def prune() -> None:
    """Remove images without a name (docker image prune)."""
    with errors():
        ours = library()
        before = disk(ours)
        for one in ours.prune(in_use(), waits):
            click.echo(f"deleted: {one}")
        click.echo(f"Total reclaimed space: {sizes.human(max(0, before - disk(ours)))}")
