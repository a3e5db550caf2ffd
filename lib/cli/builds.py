"""``build`` and ``builder-prune``."""

from __future__ import annotations

from contextlib import ExitStack

import click

from lib.cli import streams
from lib.cli.errors import errors
from lib.cli.library import library


@click.command()
@click.argument("context")
@click.option("-f", "--file", help='Name of the Dockerfile (default: "CONTEXT/Dockerfile"); - is STDIN.')
@click.option("-t", "--tag", "tags", multiple=True, help='Name and optionally a tag ("name:tag").')
@click.option("--target", help="Set the target build stage to build.")
@click.option("--build-context", "contexts", multiple=True, help="Additional build contexts: name=folder, name=docker-image://NAME.")
@click.option("--build-arg", "build_args", multiple=True, help="Set build-time variables.")
@click.option("--label", "labels", multiple=True, help="Set metadata for an image.")
@click.option("--secret", "secrets", multiple=True, help="Secret to expose to the build: id=mysecret,src=/local/secret.")
@click.option("--ssh", multiple=True, help="SSH agent socket to expose to the build: default, or default=/path/of/the/socket.")
@click.option("--no-cache", is_flag=True, help="Do not use cache when building the image.")
@click.option("--pull", is_flag=True, help="Always attempt to pull a newer version of the image.")
@click.option("--platform", help="Set platform, for example linux/arm64.")
@click.option("--network", default="default", help="The network of RUN: default (the bridge, as for run), none or host.")
@click.option("--allow", multiple=True, type=click.Choice(["network.host"]), help="What RUN may ask for: the machine's own network.")
@click.option("--cache-from", multiple=True, help="External cache sources: type=local,src=FOLDER or a name in a registry.")
@click.option("--cache-to", multiple=True, help="Cache export destinations: type=local,dest=FOLDER or a name in a registry.")
@click.option("--progress", type=click.Choice(["auto", "plain", "quiet"]), default="auto", help="plain shows what the commands print.")
@click.option("-q", "--quiet", is_flag=True, help="Suppress the build output and print image ID on success.")
@click.option("--explain", is_flag=True, help="Say why a step was not cached, and what to reorder.")
@click.option("--iidfile", type=click.Path(dir_okay=False), help="Write the image ID to the file.")
def build(context: str, **options) -> None:
    """Build an image from a Dockerfile. CONTEXT is a folder; or - for a tar file of one, or for a Dockerfile alone, on STDIN."""
    from lib.cli import building

    with errors(), ExitStack() as undo:
        building.build(library(), **streams.context(context, options.pop("file"), undo), **options)


@click.command("builder-prune")
def builder_prune() -> None:
    """Remove the build cache (docker builder prune)."""
    from lib.cli.system.prunes import reclaimed, remove_cache

    with errors():
        reclaimed(remove_cache())
