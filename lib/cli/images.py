"""``images history tag rmi prune``: what is here, by which names, and how to be rid of it."""

from __future__ import annotations

import click

from lib import sizes
from lib.cli import reports
from lib.cli.errors import NAME, Failed, errors
from lib.cli.flags import completing
from lib.cli.library import disk, in_use, library
from lib.cli.listing import templates
from lib.cli.streams import tell
from lib.images import references

HEADS = {"Repository": "REPOSITORY", "Tag": "TAG", "Digest": "DIGEST", "ID": "IMAGE ID", "CreatedSince": "CREATED",
         "CreatedAt": "CREATED AT", "Size": "SIZE"}  # fmt: skip
STEPS = {"ID": "IMAGE", "CreatedSince": "CREATED", "CreatedAt": "CREATED AT", "CreatedBy": "CREATED BY", "Size": "SIZE",
         "Comment": "COMMENT"}  # fmt: skip
FORMAT = "Format output: 'table', 'table TEMPLATE', 'json' or 'TEMPLATE', as {{.ID}} {{.Size}}."
TEMPLATE = click.option("--format", "template", help=FORMAT)


def listed(template: str | None, names: list[str], heads: dict, rows: list[dict]) -> None:
    """By the user's template, or as a table of these fields. Raises ``ValueError``."""
    if template in (None, "", "table"):
        template = "table " + "\t".join(f"{{{{.{name}}}}}" for name in names)
    if told := templates.listed(template, heads, rows):
        tell(told.removesuffix("\n"))


@click.command()
@click.argument("repository", required=False)
@click.option("-q", "--quiet", is_flag=True, help="Only image IDs.")
@click.option("--digests", "with_digests", is_flag=True, help="Show digests.")
@TEMPLATE
@click.option("--no-trunc", is_flag=True, help="Do not truncate IDs.")
@click.option("-a", "--all", "every", is_flag=True, help="Show images without a name, too.")
def images(repository: str | None, quiet: bool, with_digests: bool, template: str | None, no_trunc: bool, every: bool) -> None:
    """List images."""
    with errors():
        ours = library()
        found = [one for one in ours.images() if one.names or every or not repository]
        if repository:
            wanted = references.parse(repository)
            tag = wanted.tag if ":" in repository.rpartition("/")[2] else None
            found = [one for one in found if any(matches(name, wanted, tag) for name in one.names)]
        rows = reports.image_rows(ours, found, no_trunc)
        if quiet:
            click.echo("\n".join(dict.fromkeys(row["ID"] for row in rows)), nl=bool(rows))
        else:
            listed(template, ["Repository", "Tag", *["Digest"] * with_digests, "ID", "CreatedSince", "Size"], HEADS, rows)


def matches(name: str, wanted, tag: str | None) -> bool:
    there = references.parse(name)
    return (there.registry, there.repository) == (wanted.registry, wanted.repository) and tag in (None, there.tag)


@click.command()
@completing.image
@TEMPLATE
@click.option("--no-trunc", is_flag=True, help="Don't truncate output.")
@click.option("-q", "--quiet", is_flag=True, help="Only show image IDs.")
def history(image: str, template: str | None, no_trunc: bool, quiet: bool) -> None:
    """Show the history of an image."""
    with errors():
        ours = library()
        rows = reports.history_rows(ours, ours.find(image), no_trunc)
        if quiet:
            click.echo("\n".join(row["ID"] for row in rows))
        else:
            listed(template, ["ID", "CreatedSince", "CreatedBy", "Size", "Comment"], STEPS, rows)


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
