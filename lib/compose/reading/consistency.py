"""What only the whole can show: names that mean nothing, settings that contradict each other, services that wait in a circle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lib.compose.reading.nodes import ComposeError, Node, Path, at, dotted
from lib.compose.reading.schema.checking import near

Finding = tuple[Path, str]


@dataclass(frozen=True, slots=True)
class _Whole:
    """The tree of a project. Its services are those that are on; the others are ``disabled``."""

    root: Node
    services: dict[str, Node]
    disabled: dict[str, Node]

    def all(self, kind: str) -> dict[str, Node]:
        """``networks``, ``volumes`` and so on, by their keys."""
        return _map(self.root, kind)


def _map(node: Node | None, key: str) -> dict[str, Node]:
    return getattr(node and node.get(key), "map", {})


def _items(node: Node | None, key: str) -> list[Node]:
    return getattr(node and node.get(key), "items", [])


def _value(node: Node | None, *keys: str):
    """What stands there, None if nothing does."""
    for key in keys:
        node = node and node.get(key)
    return node and node.value


def check_consistency(root: Node, enabled: Iterable[str]) -> None:
    """Is the project one that can be run?

    Args:
        root: Its tree; the values have their types.
        enabled: The services that are on.

    Raises: ComposeError.
    """
    on = {name: root["services"][name] for name in sorted(enabled)}
    whole = _Whole(root, on, {name: one for name, one in root["services"].map.items() if name not in on})
    for name, service in on.items():
        for check in (_built, _connected, _mounted, _granted, _counted, _agreed, _watched):
            for path, message in check(whole, service):
                where: Path = ("services", name, *path)
                raise ComposeError(f"{dotted(where)}: {message}", at(root, where))
    for name, secret in whole.all("secrets").items():
        if not any(_value(secret, key) for key in ("external", "file", "environment")):
            raise ComposeError(f"secrets.{name} needs one of file, environment", at(root, ("secrets", name)))
    _no_circle(whole)


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    return f"there is no {what} {name} in the file{near(name, list(known))}"


def _built(whole: _Whole, service: Node) -> Iterator[Finding]:
    build = service.get("build")
    if _value(build) is None:
        if not service.text("image") and not _value(service, "provider"):
            yield (), "it has neither an image nor a build context"
        return
    if build.text("dockerfile_inline") and build.text("dockerfile"):
        yield ("build", "dockerfile_inline"), "there can be a dockerfile or a dockerfile_inline, not both"
    for key, context in _map(build, "additional_contexts").items():
        other = context.value.removeprefix("service:")
        if other != context.value and not _value(whole.services.get(other), "build"):
            yield ("build", "additional_contexts", key), f"there is no service {other} that is built"
    for index, secret in enumerate(_items(build, "secrets")):
        if secret.text("source") not in whole.all("secrets"):
            yield ("build", "secrets", index), _unknown("secret", secret.text("source"), whole.all("secrets"))
    platforms, own = [one.value for one in _items(build, "platforms")], service.text("platform")
    if platforms and own and own not in platforms:
        yield ("build", "platforms"), f"the service's platform {own} must be among them"


def _connected(whole: _Whole, service: Node) -> Iterator[Finding]:
    mode, networks = service.text("network_mode"), _map(service, "networks")
    if mode and networks:
        yield ("network_mode",), "there can be networks or a network_mode, not both"
    for name in networks:
        if name not in whole.all("networks"):
            yield ("networks", name), _unknown("network", name, whole.all("networks"))
    for name, dependency in _map(service, "depends_on").items():
        if name in whole.services or (name in whole.disabled and _value(dependency, "required") is False):
            continue
        if name in whole.disabled:
            profiles = ", ".join(one.value for one in _items(whole.disabled[name], "profiles"))
            yield ("depends_on", name), f"{name} belongs to profiles that are off ({profiles}); switch one on, or say `required: false`"
        yield ("depends_on", name), _unknown("service", name, whole.services)
    if mode.startswith("service:") and mode.removeprefix("service:") not in whole.services:
        yield ("network_mode",), _unknown("service", mode.removeprefix("service:"), whole.services)


def _mounted(whole: _Whole, service: Node) -> Iterator[Finding]:
    targets: dict[str, str] = {}
    for index, tmpfs in enumerate(_items(service, "tmpfs")):
        path = tmpfs.value.partition(":")[0]
        if path in targets:
            yield ("tmpfs", index), f"{path} is mounted already, by {targets[path]}"
        targets[path] = f"tmpfs[{index}]"
    for index, mount in enumerate(_items(service, "volumes")):
        kind, source, target = (mount.text(key) for key in ("type", "source", "target"))
        if kind == "volume" and source and source not in whole.all("volumes"):
            hint = "; a folder of this machine begins with ./ or /"
            yield ("volumes", index), _unknown("volume", source, whole.all("volumes")) + hint
        if kind == "bind" and not source:
            yield ("volumes", index), "a bind mount needs a source"
        if target in targets:
            yield ("volumes", index), f"{target} is mounted already, by {targets[target]}"
        targets[target] = f"volumes[{index}]"


def _granted(whole: _Whole, service: Node) -> Iterator[Finding]:
    for kind in ("configs", "secrets"):
        for index, grant in enumerate(_items(service, kind)):
            if grant.text("source") not in whole.all(kind):
                yield (kind, index), _unknown(kind.removesuffix("s"), grant.text("source"), whole.all(kind))
    for name in _map(service, "models"):
        if name not in whole.all("models"):
            yield ("models", name), _unknown("model", name, whole.all("models"))
    test = _items(service.get("healthcheck"), "test")
    if test and test[0].value not in ("CMD", "CMD-SHELL", "NONE"):
        yield ("healthcheck", "test"), "the list must begin with CMD, CMD-SHELL or NONE"


def _counted(whole: _Whole, service: Node) -> Iterator[Finding]:
    scale, replicas = _value(service, "scale"), _value(service, "deploy", "replicas")
    if scale is not None and replicas is not None and scale != replicas:
        yield ("scale",), "scale and deploy.replicas are not the same"
    for path, count in ((("scale",), scale), (("deploy", "replicas"), replicas)):
        if count is not None and count < 0:
            yield path, "it must be 0 or more"
    count = scale if scale is not None else replicas
    if (count or 0) > 1 and service.text("container_name"):
        yield ("container_name",), f"{count} containers can't have one name; leave it out, or let there be one container"


def _agreed(whole: _Whole, service: Node) -> Iterator[Finding]:
    """The same thing said twice, in the old way and in ``deploy``."""
    for key, kind, called in (
        ("cpus", "limits", "cpus"), ("mem_limit", "limits", "memory"), ("mem_reservation", "reservations", "memory"),
        ("pids_limit", "limits", "pids"),
    ):  # fmt: skip
        own, there = _value(service, key), _value(service, "deploy", "resources", kind)
        if own and there is not None and own != (_value(service, "deploy", "resources", kind, called) or 0):
            yield (key,), f"{key} and deploy.resources.{kind}.{called} are not the same"


def _watched(whole: _Whole, service: Node) -> Iterator[Finding]:
    for index, watch in enumerate(_items(service.get("develop"), "watch")):
        if not watch.text("target") and watch.text("action") not in ("rebuild", "restart"):
            yield ("develop", "watch", index), f"the action {watch.text('action')} needs a target"


def _no_circle(whole: _Whole) -> None:
    done: set[str] = set()
    for first in whole.services:
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
                place = at(whole.root, ("services", way[-1], "depends_on", name))
                raise ComposeError(f"dependency cycle detected: {circle}", place)
            elif name not in done and name in whole.services:
                way.append(name)
                ahead.append(iter(sorted(_map(whole.services[name], "depends_on"))))
