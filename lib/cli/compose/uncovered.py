"""A word to somebody at a terminal about data that he will hardly find again: an image keeps it in a volume, and the file names none."""

from __future__ import annotations

import os
from collections.abc import Iterator

import click

from lib.cli.library import library
from lib.cli.volumes import mounting
from lib.compose.acting import images
from lib.compose.model import Service
from lib.compose.planning.operations import CreateContainer, Plan
from lib.visible import visible


def tell(plan: Plan) -> None:
    """Of each service that gets its first containers."""
    made = {one.service: one.model for one in plan.operations if isinstance(one, CreateContainer) and not one.inherits}
    for name, service in made.items() if mounting.at_a_terminal() else ():
        for place in places(plan, service):
            words = f"its image keeps {place} in a volume, and the file gives that no name"
            click.echo(visible(f"NOTE: service {name}: {words}: `volumes: [NAME:{place}]` lets the next container find it"), err=True)


def places(plan: Plan, service: Service) -> Iterator[str]:
    """Those of its image that no line of the file covers. Whose volumes it has from another service is not known before that is made."""
    covered = {os.path.normpath(one.target) for one in service.volumes} | {one.partition(":")[0] for one in service.tmpfs}
    wanted = images.of(library(), plan.project, service).runtime.get("Volumes") or ()
    return (place for place in sorted(map(os.path.normpath, wanted)) if place not in covered and not service.volumes_from)
