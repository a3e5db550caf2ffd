"""What only the whole can show: names that mean nothing, settings that contradict each other, services that wait in a circle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lib.compose.model import Project, Service
from lib.compose.reading.nodes import ComposeError, Node, Path, at, dotted
from lib.compose.reading.schema.checking import near

Finding = tuple[Path, str]


def check_consistency(project: Project, root: Node) -> None:
    """Is the project one that can be run?

    Args:
        project: The project.
        root: Its tree, for the places.

    Raises: ComposeError.
    """
    for name, service in sorted(project.services.items()):
        for check in (_built, _connected, _mounted, _granted, _counted, _agreed, _watched):
            for path, message in check(project, service):
                where: Path = ("services", name, *path)
                raise ComposeError(f"{dotted(where)}: {message}", at(root, where))
    for name, secret in project.secrets.items():
        if not secret.external and not secret.file and not secret.environment:
            raise ComposeError(f"secrets.{name} needs one of file, environment", at(root, ("secrets", name)))
    _no_circle(project, root)


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    return f"there is no {what} {name} in the file{near(name, list(known))}"


def _built(project: Project, service: Service) -> Iterator[Finding]:
    build = service.build
    if not build and not service.image and not service.provider:
        yield (), "it has neither an image nor a build context"
    if not build:
        return
    if build.dockerfile_inline and build.dockerfile:
        yield ("build", "dockerfile_inline"), "there can be a dockerfile or a dockerfile_inline, not both"
    for key, context in build.additional_contexts.items():
        other = context.removeprefix("service:")
        if other != context and (other not in project.services or not project.services[other].build):
            yield ("build", "additional_contexts", key), f"there is no service {other} that is built"
    for index, secret in enumerate(build.secrets):
        if secret.source not in project.secrets:
            yield ("build", "secrets", index), _unknown("secret", secret.source, project.secrets)
    if build.platforms and service.platform and service.platform not in build.platforms:
        yield ("build", "platforms"), f"the service's platform {service.platform} must be among them"


def _connected(project: Project, service: Service) -> Iterator[Finding]:
    if service.network_mode and service.networks:
        yield ("network_mode",), "there can be networks or a network_mode, not both"
    for name in service.networks:
        if name not in project.networks:
            yield ("networks", name), _unknown("network", name, project.networks)
    for name, dependency in service.depends_on.items():
        if name in project.services or (name in project.disabled and not dependency.required):
            continue
        if name in project.disabled:
            profiles = ", ".join(project.disabled[name].profiles)
            yield ("depends_on", name), f"{name} belongs to profiles that are off ({profiles}); switch one on, or say `required: false`"
        yield ("depends_on", name), _unknown("service", name, project.services)
    if service.network_mode.startswith("service:") and service.network_mode.removeprefix("service:") not in project.services:
        yield ("network_mode",), _unknown("service", service.network_mode.removeprefix("service:"), project.services)


def _mounted(project: Project, service: Service) -> Iterator[Finding]:
    targets: dict[str, str] = {}
    for index, tmpfs in enumerate(service.tmpfs):
        path = tmpfs.partition(":")[0]
        if path in targets:
            yield ("tmpfs", index), f"{path} is mounted already, by {targets[path]}"
        targets[path] = f"tmpfs[{index}]"
    for index, mount in enumerate(service.volumes):
        if mount.type == "volume" and mount.source and mount.source not in project.volumes:
            hint = "; a folder of this machine begins with ./ or /"
            yield ("volumes", index), _unknown("volume", mount.source, project.volumes) + hint
        if mount.type == "bind" and not mount.source:
            yield ("volumes", index), "a bind mount needs a source"
        if mount.target in targets:
            yield ("volumes", index), f"{mount.target} is mounted already, by {targets[mount.target]}"
        targets[mount.target] = f"volumes[{index}]"


def _granted(project: Project, service: Service) -> Iterator[Finding]:
    for index, grant in enumerate(service.configs):
        if grant.source not in project.configs:
            yield ("configs", index), _unknown("config", grant.source, project.configs)
    for index, grant in enumerate(service.secrets):
        if grant.source not in project.secrets:
            yield ("secrets", index), _unknown("secret", grant.source, project.secrets)
    for name in service.models or {}:
        if name not in project.models:
            yield ("models", name), _unknown("model", name, project.models)
    test = service.healthcheck.test if service.healthcheck else []
    if test and test[0] not in ("CMD", "CMD-SHELL", "NONE"):
        yield ("healthcheck", "test"), "the list must begin with CMD, CMD-SHELL or NONE"


def _counted(project: Project, service: Service) -> Iterator[Finding]:
    replicas = service.deploy.replicas if service.deploy else None
    if service.scale is not None and replicas is not None and service.scale != replicas:
        yield ("scale",), "scale and deploy.replicas are not the same"
    for path, count in ((("scale",), service.scale), (("deploy", "replicas"), replicas)):
        if count is not None and count < 0:
            yield path, "it must be 0 or more"
    if service.replicas > 1 and service.container_name:
        yield ("container_name",), f"{service.replicas} containers can't have one name; leave it out, or let there be one container"


def _agreed(project: Project, service: Service) -> Iterator[Finding]:
    """The same thing said twice, in the old way and in ``deploy``."""
    resources = service.deploy.resources if service.deploy else None
    limits, reservations = (resources.limits, resources.reservations) if resources else (None, None)
    said = (
        ("cpus", service.cpus, limits and (limits.cpus or 0), "limits.cpus"),
        ("mem_limit", service.mem_limit, limits and (limits.memory or 0), "limits.memory"),
        ("mem_reservation", service.mem_reservation, reservations and (reservations.memory or 0), "reservations.memory"),
        ("pids_limit", service.pids_limit, limits and (limits.pids or 0), "limits.pids"),
    )
    for key, own, other, called in said:
        if own and other is not None and own != other:
            yield (key,), f"{key} and deploy.resources.{called} are not the same"


def _watched(project: Project, service: Service) -> Iterator[Finding]:
    for index, watch in enumerate(service.develop.watch if service.develop else []):
        if not watch.target and watch.action not in ("rebuild", "restart"):
            yield ("develop", "watch", index), f"the action {watch.action} needs a target"


def _no_circle(project: Project, root: Node) -> None:
    done: set[str] = set()
    for first in sorted(project.services):
        way: list[str] = []
        ahead = [iter([first])]
        while ahead:
            name = next(ahead[-1], None)
            if name is None:
                ahead.pop()
                done |= set(way[-1:])
                way = way[:-1]
            elif name in way:
                circle = " -> ".join([*way[way.index(name) :], name])
                place = at(root, ("services", way[-1], "depends_on", name))
                raise ComposeError(f"dependency cycle detected: {circle}", place)
            elif name not in done and name in project.services:
                way.append(name)
                ahead.append(iter(sorted(project.services[name].depends_on)))
