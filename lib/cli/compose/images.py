"""``build pull push``: the images of services."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

import click

from lib.cli.compose import options
from lib.cli.compose.asked import Asked
from lib.cli.compose.progress import Teller
from lib.cli.compose.remote import trust
from lib.cli.containers.options import SIZE
from lib.cli.errors import Failed, errors
from lib.cli.library import library
from lib.visible import visible

if TYPE_CHECKING:
    from lib.compose.model import Project, Service

IMAGE = "Image"
POLICIES = ("missing", "always")


def name_of(project: Project, service: Service) -> str:
    """What a service's image is called."""
    from lib.compose.services import naming

    return naming.image(project, service)


def wanted(asked: Asked, services: Collection[str], with_dependencies: bool = False) -> list[Service]:
    """Those that are named, with what they depend on if that is asked for; or all that are on. Raises ``ValueError``."""
    asked.check(services)
    there = {**asked.project.disabled, **asked.project.services} if services else asked.project.services
    names = list(services or there)
    for name in names if with_dependencies else ():
        names += [other for other in there[name].depends_on if other in there and other not in names]
    return [there[name] for name in names]


# -- build --------------------------------------------------------------------------------------------------------------


@click.command()
@click.option("--build-arg", "build_args", multiple=True, help="Set build-time variables for services")
@click.option("--builder", default="", help="Set builder to use")
@click.option("--check", is_flag=True, help="Check build configuration")
@click.option("-m", "--memory", type=SIZE, help="Set memory limit for the build container. Not supported by BuildKit.")
@click.option("--no-cache", is_flag=True, help="Do not use cache when building the image")
@click.option("--print", "only_print", is_flag=True, help="Print equivalent bake file")
@click.option("--provenance", default="", help="Add a provenance attestation")
@click.option("--pull", is_flag=True, help="Always attempt to pull a newer version of the image")
@click.option("--push", "then_push", is_flag=True, help="Push service images")
@click.option("-q", "--quiet", is_flag=True, help="Suppress the build output")
@click.option("--sbom", default="", help="Add a SBOM attestation")
@click.option(
    "--ssh", default="", help="Set SSH authentications used when building service images. (use 'default' for using your default SSH Agent)"
)
@click.option("--with-dependencies", is_flag=True, help="Also build dependencies (transitively)")
@options.services
@click.pass_obj
def build(asked: Asked, services: tuple[str, ...], check: bool, then_push: bool, quiet: bool, with_dependencies: bool,
          only_print: bool, memory: int | None, builder: str, provenance: str, sbom: str, **how) -> None:  # fmt: skip
    """Build or rebuild services."""
    with errors():
        there = [one for one in wanted(asked, services, with_dependencies) if one.build]
        if not there:
            return click.echo("WARN No services to build", err=True)
        if only_print:
            return click.echo(as_bake_file(asked.project, there, check, then_push, **how))
        one_builder(builder or os.environ.get("BUILDX_BUILDER", ""), provenance, sbom)
        if check:
            return checked(asked.project, there)
        trust.confirm(asked)
        with asked.pointing():
            for service in there:
                one_platform(service)
        with asked.teller("build") as teller:
            for service in in_order(asked.project, there):
                built(asked, teller, service, quiet, **how)
            if then_push:
                pushed(asked, teller, there, quiet, failures=False)


def as_bake_file(project: Project, services: Iterable[Service], check: bool, push: bool, *, build_args: tuple[str, ...], ssh: str,
                 **how: bool) -> str:  # fmt: skip
    """Raises ``ValueError``."""
    from lib.cli.variables import pairs
    from lib.compose.reading.canonical.writing import json_text
    from lib.compose.services import bake

    agents = dict([ssh.partition("=")[::2]]) if ssh else {}
    said = bake.Said(pairs(build_args), agents, push=push, check=check, **how)
    return json_text(bake.file(project, [one.name for one in services], said)).rstrip("\n")


def one_builder(name: str, *attestations: str) -> None:
    """There is one, and it is Docker's own: it has no others beside it, and writes no attestations. Raises ``ValueError``, in its words."""
    if name not in ("", "default"):
        raise ValueError(f'no builder "{name}" found: the one that is here is called default')
    if any(said.lower() not in ("", "false", "disabled=true") for said in attestations):
        raise ValueError("Attestation is not supported for the docker driver: leave --provenance and --sbom out, or set them to false")


def one_platform(service: Service) -> None:
    """``up`` builds for the one that it runs on; who asks for an image for several cannot have it. Raises ``Impossible``."""
    from lib.compose.services.possible import Impossible

    if len(service.build.platforms) > 1:
        words = "Multi-platform build is not supported for the docker driver: an image has one platform here"
        raise Impossible(
            ("services", service.name, "build", "platforms"), f"{words}, and `up --build` builds it for the one that it runs on"
        )


def in_order(project: Project, services: Iterable[Service]) -> Iterator[Service]:
    """Whose image is another's base comes first, whether it was named or not."""
    from graphlib import TopologicalSorter

    from lib.compose.services import naming

    those = list(services)
    for one in those:
        those += [project.services[name] for name in naming.bases(one) if name in project.services and project.services[name] not in those]
    there = {one.name: one for one in those}
    needs = {name: set(naming.bases(one)) & there.keys() for name, one in there.items()}
    return (there[name] for name in TopologicalSorter(needs).static_order())


def built(asked: Asked, teller: Teller, service: Service, quiet: bool = False, **how) -> str:
    """Build a service's image: its id. Raises ``ImageError``, ``ValueError``."""
    from lib.cli import building
    from lib.compose.acting import images

    name = name_of(asked.project, service)
    teller.tell(IMAGE, name, "Building")
    ident = ""
    if not asked.dry_run:
        silent = quiet or asked.progress == "quiet"
        shown = building.Progress(asked.progress == "plain" or not sys.stderr.isatty(), False)
        said = asked_for(asked.project, service, **how)
        image, warnings = images.build(library(), said, (lambda *words: None) if silent else shown.tell)
        ident = image.id
        for text in warnings:
            building.say(f"[Warning] {text}")
    teller.tell(IMAGE, name, "Built")
    return ident


def checked(project: Project, services: Iterable[Service]) -> None:
    """Each Dockerfile is read and nothing is built; what is odd about it is told. Raises ``Failed`` if anything is."""
    from lib.build import Build
    from lib.compose.acting.images import release

    found = 0
    for service in services:
        said = asked_for(project, service)
        try:
            warnings = Build(library(), said).file.warnings
        finally:
            release(said)
        found += len(warnings)
        for one in warnings:
            click.echo(visible(f"WARNING: service {service.name}, line {one.line}: {one.message}"))
    if found:
        raise Failed(f"Check complete, {found} warning{'s have' if found > 1 else ' has'} been found!")
    click.echo("Check complete, no warnings found.")


def asked_for(
    project: Project, service: Service, build_args: tuple[str, ...] = (), no_cache: bool = False, pull: bool = False, ssh: str = ""
):
    """What the file says of the build, and over it the command line. Raises ``ValueError``."""
    from dataclasses import replace

    from lib.cli.building import agent
    from lib.cli.variables import pairs
    from lib.compose.acting.images import options as said

    found = said(
        library(), project, service.model_copy(update={"build": service.build.model_copy(update={"pull": True})}) if pull else service
    )
    more = {"ssh": dict([agent(ssh)])} if ssh else {}
    return replace(found, build_args=found.build_args | pairs(build_args), no_cache=no_cache or found.no_cache, **more)


# -- pull, push ---------------------------------------------------------------------------------------------------------


@click.command()
@click.option("--ignore-buildable", is_flag=True, help="Ignore images that can be built")
@click.option("--ignore-pull-failures", "failures", is_flag=True, help="Pull what it can and ignores images with pull failures")
@click.option("--include-deps", is_flag=True, help="Also pull services declared as dependencies")
@click.option("--policy", type=click.Choice(["", *POLICIES]), default="", help='Apply pull policy ("missing"|"always")')
@click.option("-q", "--quiet", is_flag=True, help="Pull without printing progress information")
@options.services
@click.pass_obj
def pull(
    asked: Asked, services: tuple[str, ...], ignore_buildable: bool, failures: bool, include_deps: bool, policy: str, quiet: bool
) -> None:
    """Pull service images."""
    with errors(), asked.teller("pull") as teller:
        there = [one for one in wanted(asked, services, include_deps) if one.image and not (ignore_buildable and one.build)]
        names = {one.image: one for one in there if one.pull_policy not in ("never", "build")}
        failed = []
        for service in names.values():
            try:
                pulled(asked, Teller() if quiet else teller, service, policy or one_of(service.pull_policy))
            except Failed as error:
                failed.append(error.message)
                if service.build or failures:
                    click.echo(visible(f"WARN {error.message}"), err=True)
                    failed.pop()
        if failed:
            raise Failed("\n".join(failed))


def one_of(policy: str) -> str:
    """``pull`` asks the registry, unless the file says that what is here will do."""
    return "missing" if policy in ("missing", "if_not_present") else "always"


def pulled(asked: Asked, teller: Teller, service: Service, policy: str) -> None:
    """Raises ``Failed``."""
    from lib.engine.naming import resolve
    from lib.images.image import parse_platform

    name = service.image
    teller.tell(IMAGE, name, "Pulling")
    try:
        with errors():
            if not asked.dry_run:
                wished = parse_platform(service.platform) if service.platform else None
                resolve.image(library(), name, policy, lambda text: None, wished)
    except Failed as error:
        teller.tell(IMAGE, name, f"Error {error.message}")
        raise
    teller.tell(IMAGE, name, "Pulled")


@click.command()
@click.option("--ignore-push-failures", "failures", is_flag=True, help="Push what it can and ignores images with push failures")
@click.option("--include-deps", is_flag=True, help="Also push images of services declared as dependencies")
@click.option("-q", "--quiet", is_flag=True, help="Push without printing progress information")
@options.services
@click.pass_obj
def push(asked: Asked, services: tuple[str, ...], failures: bool, include_deps: bool, quiet: bool) -> None:
    """Push service images."""
    with errors(), asked.teller("push") as teller:
        pushed(asked, teller, wanted(asked, services, include_deps), quiet, failures)


def pushed(asked: Asked, teller: Teller, services: Iterable[Service], quiet: bool, failures: bool) -> None:
    """What is built here; what is not was somebody else's to push. Raises ``ImageError``."""
    from lib.images import ImageError, references
    from lib.registry import push as send

    teller = Teller() if quiet else teller
    for service in services:
        if not (service.build and service.image):
            teller.tell("", service.name, "Skipped")
            continue
        teller.tell(IMAGE, service.image, "Pushing")
        try:
            if not asked.dry_run:
                send(library(), service.image, insecure=references.parse(service.image).registry in asked.insecure)
        except ImageError as error:
            teller.tell(IMAGE, service.image, f"Error {error}")
            if not failures:
                raise
            continue
        teller.tell(IMAGE, service.image, "Pushed")
