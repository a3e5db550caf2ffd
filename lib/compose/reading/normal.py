"""After the phases: what Compose adds without being asked. Names, the default network, dependencies that other keys imply."""

from __future__ import annotations

from collections.abc import Iterator

from lib.compose.reading.longforms import is_true
from lib.compose.reading.merging import clean, merged
from lib.compose.reading.nodes import Node, Place, clone
from lib.compose.reading.schema import CONTAINER

NAMESPACES = ("network_mode", "ipc", "pid", "uts", "cgroup")


def normalised(root: Node, project: str) -> Node:
    """The tree with everything in it that the file leaves unsaid.

    Args:
        root: The tree, in its long forms.
        project: The name of the project, with which names of networks, volumes, secrets and configs begin.
    """
    _networks(root)
    for service in getattr(root.get("services"), "map", {}).values():
        _service(service)
    for kind in ("networks", "volumes", "secrets", "configs"):
        for key, thing in getattr(root.get(kind), "map", {}).items():
            root[kind].value[key] = _named(thing, key, project)
    return root


def unnamed(root: Node) -> Node:
    """The tree as it is, but for networks and volumes of which only the key is written: they are mappings all the same."""
    for kind in ("networks", "volumes", "secrets", "configs"):
        for key, thing in getattr(root.get(kind), "map", {}).items():
            root[kind].value[key] = thing.like(thing.map)
    return root


def _named(node: Node, key: str, project: str) -> Node:
    found = node.like(node.map)
    given = found.get("name")
    if given is None or given.value is None:
        found.value["name"] = node.like(key if is_true(found.get("external")) else f"{project}_{key}")
    return found


def _networks(root: Node) -> None:
    """Who says nothing is on the network ``default``, which then exists."""
    needed: Place | None = None
    for service in getattr(root.get("services"), "map", {}).values():
        if "provider" in service.map or "network_mode" in service.map:
            continue
        networks = service.get("networks")
        if not networks or not networks.map:
            service.value["networks"] = service.like({"default": service.like(None)})
        if "default" in service["networks"].map:
            needed = needed or service.place
    if needed:
        root.value.setdefault("networks", Node({}, needed)).map.setdefault("default", Node(None, needed))


def _service(service: Node) -> None:
    if service.text("pull_policy") == "if_not_present":
        service.value["pull_policy"] = service["pull_policy"].like("missing")
    build = service.get("build")
    if build and not build.get("dockerfile") and not build.get("dockerfile_inline"):
        build.value["dockerfile"] = build.like("Dockerfile")
    for mount in getattr(service.get("volumes"), "items", []):
        if target := mount.get("target"):
            mount.value["target"] = target.like(clean(target.value))
    for index, hook in enumerate(getattr(service.get("pre_start"), "items", [])):
        service["pre_start"].value[index] = _inheriting(hook, service)
    for name, restart, node in list(_implied(service)):
        dependencies = service.value.setdefault("depends_on", node.like({}))
        condition = {"condition": node.like("service_started"), "restart": node.like(restart), "required": node.like(True)}
        dependencies.map.setdefault(name, node.like(condition))


def _inheriting(hook: Node, service: Node) -> Node:
    """A container of its own, as the service's in all that the hook does not say."""
    base = {key: clone(node) for key, node in service.map.items() if key in CONTAINER and key != "volumes"}
    return merged(service.like(base), hook, ("services", "*"))


def _implied(service: Node) -> Iterator[tuple[str, bool, Node]]:
    """Services that others of its keys speak of: name, whether it restarts with them, where that is said."""
    for link in getattr(service.get("links"), "items", []):
        parts = link.value.split(":")
        yield (parts[0] if len(parts) == 2 else link.value), True, link
    for key in NAMESPACES:
        if (node := service.get(key)) and isinstance(node.value, str) and node.value.startswith("service:"):
            yield node.value.removeprefix("service:"), True, node
    for source in getattr(service.get("volumes_from"), "items", []):
        if not source.value.startswith("container:"):
            yield source.value.split(":")[0], False, source
