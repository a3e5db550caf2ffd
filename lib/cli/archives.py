"""``save load import``: images as tar archives."""

from __future__ import annotations

import click

from lib.atomicfile import atomic_file
from lib.cli.errors import errors
from lib.cli.library import library
from lib.cli.streams import opened, stdout
from lib.images import archive, references


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="IMAGE...")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Write to a file, instead of STDOUT.")
def save(names: tuple[str, ...], output: str | None) -> None:
    """Save one or more images to a tar archive."""
    with errors():
        ours = library()
        for name in names:
            ours.find(name)  # before a file is made
        if output is None:
            archive.save(ours, names, stdout())
            return
        with atomic_file(output) as file:
            archive.save(ours, names, file)


@click.command()
@click.option("-i", "--input", "source", type=click.Path(), help="Read from a tar archive file, instead of STDIN.")
@click.option("-q", "--quiet", is_flag=True, help="Suppress the load output.")
def load(source: str | None, quiet: bool) -> None:
    """Load images from a tar archive or STDIN."""
    with errors(), opened(source) as file:
        for one in archive.load(library(), file):
            for name in one.names:
                if not quiet:
                    click.echo(f"Loaded image: {references.parse(name).familiar}")
            if not one.names and not quiet:
                click.echo(f"Loaded image ID: {one.id}")


@click.command("import")
@click.argument("source")
@click.argument("name", required=False)
@click.option("-m", "--message", default="", help="Set commit message for imported image.")
@click.option("-c", "--change", "changes", multiple=True, help="Apply a Dockerfile instruction, like CMD or ENV.")
def import_(source: str, name: str | None, message: str, changes: tuple[str, ...]) -> None:
    """Import the contents of a tarball (a file, or - for STDIN) to create a filesystem image."""
    from lib.build.imageconfig import config_of

    with errors(), opened(source) as file:
        click.echo(archive.import_(library(), file, name, config_of(changes), message).id)
