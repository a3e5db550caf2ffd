"""Images for services: pulled, built, removed."""

from __future__ import annotations

import os
from collections.abc import Callable

from lib.compose.acting.stopping import Stop
from lib.compose.model import Build, Project, Service
from lib.compose.services import naming
from lib.images import Library

Tell = Callable[[str], object]


def pull(library: Library, name: str, policy: str, platform: str, tell: Tell, stop: Stop) -> None:
    """Raises ``ImageError``."""
    from lib.engine.naming import resolve
    from lib.images.image import parse_platform

    resolve.image(library, name, policy, tell, parse_platform(platform) if platform else None, stopping=stop.pulls)


def build(library: Library, project: Project, service: Service, tell: Tell) -> None:
    """Raises ``ImageError``, ``ValueError``."""
    from lib.build import Build as Job

    job = Job(library, options(library, project, service), lambda what, step, text: tell(text) if what == "output" else None)
    job.run()


def options(library: Library, project: Project, service: Service):
    """A file's ``build`` as the builder has it. Raises ``ValueError``."""
    from functools import partial

    from lib.build import Options
    from lib.engine.naming import resolve
    from lib.images.image import parse_platform

    said = service.build
    place = said.platforms[0] if said.platforms else service.platform
    return Options(
        said.context,
        file=os.path.join(said.context, said.dockerfile) if said.dockerfile else None,
        text=said.dockerfile_inline or None,
        tags=(naming.image(project, service), *said.tags),
        target=said.target or None,
        contexts=said.additional_contexts,
        build_args={name: value for name, value in said.args.items() if value is not None},
        labels=said.labels,
        secrets=secrets(project, said),
        ssh=said.ssh or None,
        no_cache=said.no_cache,
        network=said.network or "default",
        default_network=default_network,
        allow=tuple(said.entitlements),
        platform=parse_platform(place) if place else None,
        resolve=partial(resolve.image, library, pull="always" if said.pull else "missing"),
        cache_from=tuple(said.cache_from),
        cache_to=tuple(said.cache_to),
    )


def default_network():
    """Of RUN. Where there can be no bridge it is the machine's."""
    from lib.network import on, possible

    return on("bridge") if possible.bridges() else "host"


def secrets(project: Project, said: Build) -> dict[str, str]:
    """By their ids, the files; one that a variable holds is in a file in memory. Raises ``ValueError``."""
    found = {}
    for one in said.secrets:
        source = project.secrets.get(one.source)
        if source is None:
            raise ValueError(f"build wants the secret {one.source}, which the file's secrets do not name")
        if source.file:
            found[one.target or one.source] = source.file
        else:
            from lib.compose.services.mounts import content

            fd = os.memfd_create("secret")
            os.write(fd, content(source))
            found[one.target or one.source] = f"/proc/{os.getpid()}/fd/{fd}"
    return found


def remove(library: Library, name: str) -> None:
    """Raises ``ImageError``."""
    library.remove(name)
