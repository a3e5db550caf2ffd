"""Images for services: pulled, built, removed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from lib import linux
from lib.compose.acting.stopping import Stop
from lib.compose.model import Build, Project, Service
from lib.compose.services import naming
from lib.compose.services.connections import host
from lib.images import Image, ImageError, Library
from lib.state import kept

Tell = Callable[[str], object]
DEFAULT_PLATFORM = "DOCKER_DEFAULT_PLATFORM"
IN_MEMORY = "/proc/self/fd/"
TICK = 0.05  # seconds between two looks at whether a build that is to stop has ended: its next command may be just about to begin


def pull(library: Library, name: str, policy: str, platform: str, tell: Tell, stop: Stop) -> None:
    """Raises ``ImageError``."""
    from lib.engine.naming import resolve
    from lib.images.image import parse_platform

    found = resolve.image(library, name, policy, tell, parse_platform(platform) if platform else None, stopping=stop.pulls)
    os.utime(library.store.path(found.descriptor["digest"]))  # it may have been here already: now it is known to be the newest


def of(library: Library, project: Project, service: Service) -> Image:
    """What the service's containers are made of: the image of that name, or what stood in for it as no registry could be reached.

    Raises ``ImageError``.
    """
    from lib.engine.naming import shortnames

    name = naming.image(project, service)
    try:
        return library.find(name)
    except ImageError:
        if service.build or service.pull_policy == "never" or not (other := shortnames.stand_in(name)):
            raise
        return library.find(other)


def build(library: Library, said, progress: Callable, stop: Stop | None = None):
    """Carry out a build (see ``options``): its image, and its warnings. ``progress`` is told as that of ``lib.build.Build``.

    Raises ``ImageError``, ``ValueError``, ``Interrupted``.
    """
    from lib.build import Build as Job

    try:
        job = Job(library, said, progress)
        with ended_by(stop, job) if stop else nullcontext():
            return job.run(), job.warnings
    finally:
        release(said)


def release(said) -> None:
    """Secrets that ``options`` has put into memory go, when the build is over."""
    for path in said.secrets.values():
        if path.startswith(IN_MEMORY):
            os.close(int(path.removeprefix(IN_MEMORY)))


@contextmanager
def ended_by(stop: Stop, job) -> Iterator[None]:
    """A build in this block ends as soon as somebody says stop. Raises ``Interrupted`` then."""
    over, has_ended = threading.Event(), os.eventfd(0, os.EFD_CLOEXEC)

    def watch() -> None:
        linux.readable([stop.fd, has_ended])
        while not over.wait(TICK):
            job.end_what_runs()

    watcher = threading.Thread(target=watch, name="builds")
    watcher.start()
    try:
        yield
    finally:
        over.set()
        os.eventfd_write(has_ended, 1)
        watcher.join()
        os.close(has_ended)
        stop.check()


def options(library: Library, project: Project, service: Service):
    """A file's ``build`` as the builder has it. Raises ``ValueError``."""
    from functools import partial

    from lib.build import Options
    from lib.engine.naming import resolve
    from lib.images.image import parse_platform

    said = service.build
    place = platform(project, service)
    return Options(
        said.context,
        file=os.path.join(said.context, said.dockerfile) if said.dockerfile else None,
        text=said.dockerfile_inline or None,
        tags=(naming.image(project, service), *said.tags),
        target=said.target or None,
        contexts={name: context(project, where) for name, where in said.additional_contexts.items()},
        build_args={name: value for name, value in said.args.items() if value is not None},
        labels=said.labels,
        secrets=secrets(project, said),
        ssh=said.ssh or None,
        no_cache=said.no_cache,
        network=said.network or "default",
        default_network=default_network,
        allow=tuple(said.entitlements),
        hosts=tuple((name, address) for name, those in said.extra_hosts.items() for address in map(host, those)),
        platform=parse_platform(place) if place else None,
        resolve=partial(resolve.image, library, pull="always" if said.pull else "missing"),
        cache_from=tuple(said.cache_from),
        cache_to=tuple(said.cache_to),
    )


def platform(project: Project, service: Service) -> str:
    """What its image is built for: what it runs on. Of several that the file names, this machine's, unless somebody says which.

    Raises ``ValueError``.
    """
    default, platforms = project.variables.get(DEFAULT_PLATFORM, ""), service.build.platforms
    if service.platform:
        return service.platform
    if default and platforms and default not in platforms:
        raise ValueError(f'service "{service.name}" build.platforms does not support value set by {DEFAULT_PLATFORM}: {default}')
    return default or (platforms[0] if len(platforms) == 1 else "")


def context(project: Project, where: str) -> str:
    """What another service is built to (``service:NAME``) is an image like others. Raises ``ValueError``."""
    if not where.startswith(naming.OF_SERVICE):
        return where
    name = where.removeprefix(naming.OF_SERVICE)
    if name not in project.services:
        raise ValueError(f"additional_contexts: no such service: {name}")
    return f"docker-image://{naming.image(project, project.services[name])}"


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
            found[one.target or one.source] = f"{IN_MEMORY}{fd}"
    return found


def remove(library: Library, name: str) -> None:
    """Raises ``StoreError`` for one that somebody's container stands on."""
    library.remove(name, in_use=kept.images())
