"""``publish``: the project's files into a registry, as they are written, for others to run with ``-f oci://…``."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import click

from lib.cli.compose.asked import Asked
from lib.cli.errors import errors
from lib.visible import visible

if TYPE_CHECKING:
    from lib.cli.compose.artifact import Layer

TELLING = re.compile(r"pass(word|wd|phrase)?|secret|token|api_?key|private_?key|credential", re.IGNORECASE)


@click.command()
@click.option("--insecure-registry", "insecure", is_flag=True, hidden=True, help="Use insecure registry")
@click.option(
    "--oci-version",
    type=click.Choice(["1.0", "1.1"]),
    help="OCI image/artifact specification version (automatically determined by default)",
)
@click.option("--resolve-image-digests", "pin", is_flag=True, help="Pin image tags to digests")
@click.option("--with-env", is_flag=True, help="Include environment variables in the published OCI artifact")
@click.option("-y", "--yes", is_flag=True, help='Assume "yes" as answer to all prompts')
@click.argument("name", metavar="REPOSITORY[:TAG]")
@click.pass_obj
def publish(asked: Asked, name: str, insecure: bool, oci_version: str | None, pin: bool, with_env: bool, yes: bool) -> None:
    """Publish compose application."""
    from lib.cli.compose import artifact
    from lib.engine import moments
    from lib.images import references

    with errors():
        layers = files(asked, with_env)
        if (warnings := [*risks(asked, with_env)]) and not yes:
            click.echo("\n".join(visible(f"WARNING! {one}") for one in warnings), err=True)
            if not click.confirm("Are you ok to publish these declarations?", prompt_suffix=" [y/N] ", show_default=False, err=True):
                raise ValueError("nothing was published: -y says yes to all of this")
        where = references.parse(name).registry
        layers += [digests(asked, where if insecure else "")] if pin else []
        with asked.teller("publish") as teller:
            teller.tell("", name, "publishing")
            if not asked.dry_run:
                trusted = {*asked.insecure, *((where,) if insecure else ())}
                digest = artifact.sent(name, layers, trusted, oci_version or "1.1", f"{moments.now()[:19]}Z")
            teller.tell("", name, "published" if asked.dry_run else f"published {digest}")


def files(asked: Asked, with_env: bool) -> list:
    """The Compose files, those that they extend or include, and, if they are to go along, the files of variables."""
    from lib.cli.compose.artifact import ENV_FILE, FILE, Layer, beside

    project = asked.project
    top = os.path.dirname(project.files[0])
    others = dict.fromkeys(place.file for place in asked.loaded.origins.values() if place.file.startswith("/"))
    found = [Layer(FILE, os.path.basename(path), read(path)) for path in project.files]
    found += [Layer(FILE, beside(top, path), read(path), True) for path in others if path not in project.files]
    services = (*project.services.values(), *project.disabled.values()) if with_env else ()
    paths = dict.fromkeys(one.path for service in services for one in service.env_file if os.path.exists(one.path))
    return found + [Layer(ENV_FILE, beside(top, path), read(path)) for path in paths]


def digests(asked: Asked, insecure: str) -> Layer:
    """A file to be laid over the others: of every service, whatever its profiles, the image as it is now. Raises ``ValueError``."""
    from lib.cli.compose.artifact import FILE, Layer
    from lib.cli.compose.remote import pinning
    from lib.compose.reading import canonical

    project = asked.project
    whole = project.model_copy(update={"services": {**project.services, **project.disabled}, "disabled": {}})
    override = pinning.locked(pinning.pinned(whole, {*asked.insecure, insecure}))
    return Layer(FILE, "image-digests.yaml", canonical.as_yaml(override).encode())


def read(path: str) -> bytes:
    from lib.cli.compose.artifact import LARGEST, NoArtifact
    from lib.regularfile import open_regular

    with open_regular(path) as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise NoArtifact(f"{path} is larger than {LARGEST >> 20} MiB")
    return data


def risks(asked: Asked, with_env: bool):
    """What might not be meant for everybody's eyes, each in a sentence."""
    for service in asked.project.services.values():
        for mount in service.volumes:
            if mount.type == "bind":
                yield f"service {service.name} mounts {mount.source} of this machine: whoever runs it has that mounted from theirs"
        if service.env_file and not with_env:
            yield f"service {service.name} names files of variables, which do not go along (--with-env sends them, for all to read)"
        told = sorted(name for name, value in service.environment.items() if value and TELLING.search(name))
        if told and not with_env:
            yield f"service {service.name} has values that look secret: {', '.join(told)}"
