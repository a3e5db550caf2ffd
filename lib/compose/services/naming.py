"""What things of a project are called, and how it is seen whether one has changed: Docker's names, labels, and a digest of each key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lib.compose.model import Network, Project, Service, Volume


LABEL = "com.docker.compose"
OF_SERVICE = "service:"  # before the name of another service, whose image is to be had in a build
VERSION = "suitcase"  # what stands in the label ``version``: who made this
SHORT = 16  # digits of a key's digest
ELSEWHERE = {
    "attach", "build", "depends_on", "develop", "env_file", "extends", "image", "label_file", "name", "profiles", "pull_policy",
    "pull_refresh_after", "scale",
}  # fmt: skip


def container(project: Project, service: Service, number: int) -> str:
    return service.container_name or f"{project.name}-{service.name}-{number}"


def image(project: Project, service: Service) -> str:
    """Of a service that is built and says no name, it is the project's."""
    return service.image or f"{project.name}-{service.name}"


def bases(service: Service) -> list[str]:
    """The services whose images its own is built from."""
    contexts = service.build.additional_contexts.values() if service.build else ()
    return [where.removeprefix(OF_SERVICE) for where in contexts if where.startswith(OF_SERVICE)]


def digest(what: object) -> str:
    return hashlib.sha256(json.dumps(what, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def keys(project: Project, service: Service) -> dict[str, str]:
    """Of each key that makes a container what it is, a digest: so it can be said which of them has changed. Of a mapping, of each entry."""
    said = service.model_dump(exclude_defaults=True, exclude=ELSEWHERE)
    if "deploy" in said:
        said["deploy"] = {name: value for name, value in said["deploy"].items() if name in ("resources", "restart_policy")}
    said["image"] = image(project, service)
    for kind, sources in (("secrets", project.secrets), ("configs", project.configs)):
        if kind in said:
            said[kind] = [[one, given(sources, one["source"])] for one in said[kind]]
    return {name: digest(value)[:SHORT] for name, value in sorted(entries(without_extensions(said)))}


def entries(said: Mapping) -> Iterator[tuple[str, object]]:
    """``environment.A``, ``image``: what is not empty."""
    for name, value in said.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{key}", one) for key, one in value.items())
        elif value:
            yield name, value


def without_extensions(said: object) -> object:
    """``x-…`` is the author's own, at every level: a container does not change with it."""
    if isinstance(said, dict):
        return {name: without_extensions(value) for name, value in said.items() if name != "extensions"}
    return [without_extensions(one) for one in said] if isinstance(said, list) else said


def given(sources: Mapping, key: str) -> dict:
    """What a secret or a config says, its content included where that is known."""
    return sources[key].model_dump(exclude_defaults=True) if key in sources else {}


def of_shared(one: Network | Volume) -> str:
    """Of a network or a volume, a digest of all that it is described by; by its name it is found."""
    return digest(one.model_dump(exclude_defaults=True, exclude={"name"}))


def labels_of(project: Project, kind: str, key: str, one: Network | Volume) -> dict[str, str]:
    """Of a network or a volume: there, they are the record."""
    own = {"project": project.name, kind: key, "config-hash": of_shared(one), "version": VERSION}
    return one.labels | {f"{LABEL}.{name}": value for name, value in own.items()}
