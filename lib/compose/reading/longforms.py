"""Phases 10 to 12: every key in its long form, with the defaults that the specification gives it; and what keys can't be together."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from lib.compose.reading.merging import STARTED, as_mapping, clean
from lib.compose.reading.nodes import ComposeError, Node, Path, Problem, Rules, as_text, dotted, plain
from lib.compose.reading.shortforms import device_from, mount_from, ports_from

MOST_PORTS = 1 << 16  # of a service

Change = Callable[[Node, Path], Node]


def _listed(node: Node, path: Path) -> Node:
    return node.like([node]) if isinstance(node.value, str) else node


def _by_name(node: Node, path: Path) -> Node:
    return as_mapping(node)


def _mount(node: Node, path: Path) -> Node:
    if isinstance(node.value, str):
        node = mount_from(node)
        node.value["target"].value = clean(node.text("target"))
    return node


def _device(node: Node, path: Path) -> Node:
    return device_from(node) if isinstance(node.value, str) else node


def _grant(node: Node, path: Path) -> Node:
    return node.like({"source": node}) if isinstance(node.value, str) else node


def _ports(node: Node, path: Path) -> Node:
    found: list[Node] = []
    for item in node.value:
        found += [item] if isinstance(item.value, dict) else ports_from(item)
        if len(found) > MOST_PORTS:
            raise ComposeError(f"{dotted(path)}: these are more than {MOST_PORTS} ports", item.place)
    return node.like(found)


def _build(node: Node, path: Path) -> Node:
    return node.like({"context": node}) if isinstance(node.value, str) else node


def _depends(node: Node, path: Path) -> Node:
    node = as_mapping(node, STARTED)
    for dependency in node.map.values():
        for key, value in STARTED:
            dependency.map.setdefault(key, dependency.like(value))
    return node


def _env_files(node: Node, path: Path) -> Node:
    node = _listed(node, path)
    found = [one if isinstance(one.value, dict) else one.like({"path": one}) for one in node.value]
    for one in found:
        one.value.setdefault("required", one.like(True))
    return node.like(found)


def _extends(node: Node, path: Path) -> Node:
    return node.like({"service": node}) if isinstance(node.value, str) else node


def _gpus(node: Node, path: Path) -> Node:
    return node.like([node.like({"count": node.like("all")})]) if isinstance(node.value, str) else node


def _pairs(node: Node, path: Path) -> Node:
    """``a=b`` in a list as ``a: b``. Each must have a value."""
    if not isinstance(node.value, list):
        return node
    for item in node.value:
        if "=" not in item.value:
            raise ComposeError(f"{dotted(path)}: '{item.value[:60]}' is not of the form name=value", item.place)
    return node.like({(pair := item.value.partition("="))[0]: item.like(pair[2]) for item in node.value})


def _keys(node: Node, path: Path) -> Node:
    """SSH agents: a name, or ``name=path``."""
    if not isinstance(node.value, list):
        return node
    for item in node.value:
        if "=" not in item.value and item.value != "default":
            raise ComposeError(f"{dotted(path)}: '{item.value[:60]}' is no key; write default, or name=path", item.place)
    pairs = ((item, item.value.partition("=")) for item in node.value)
    return node.like({name: item.like(value if equals else None) for item, (name, equals, value) in pairs})


def _words(node: Node, path: Path) -> Node:
    return node.like(as_text(node.value))


def _without_empty(node: Node, path: Path) -> Node:
    return node.like([item for item in node.items if item.value not in ("", None)]) if isinstance(node.value, list) else node


CONTAINERS = {
    "env_file": _env_files,
    "label_file": _listed,
    "gpus": _gpus,
    "networks": _by_name,
    "models": _by_name,
    "volumes.*": _mount,
    "dns": lambda node, path: _without_empty(_listed(node, path), path),
    "devices.*": _device,
    "secrets.*": _grant,
    "configs.*": _grant,
}
LONG = Rules(
    {
        **{f"services.*.{key}": rule for key, rule in CONTAINERS.items()},
        **{f"services.*.pre_start.*.{key}": rule for key, rule in CONTAINERS.items()},
        "services.*.build": _build,
        "services.*.build.secrets.*": _grant,
        "services.*.build.provenance": _words,
        "services.*.build.sbom": _words,
        "services.*.build.additional_contexts": _pairs,
        "services.*.build.ssh": _keys,
        "services.*.depends_on": _depends,
        "services.*.extends": _extends,
        "services.*.ports": _ports,
        "services.*.develop.watch.*.ignore": _listed,
        "services.*.develop.watch.*.include": _listed,
    }
)


def long(node: Node, warnings: list[Problem], lenient: bool = False) -> Node:
    """The tree with all short forms written out.

    Args:
        node: The tree, which has been checked.
        warnings: Grows by what is old.
        lenient: Variables have not been filled in: what can't be understood for a ``$`` stays as it is.

    Raises: ComposeError for short forms that can't be understood.
    """
    for kind in ("volumes", "networks", "secrets", "configs"):
        for name, thing in getattr(node.get(kind), "map", {}).items():
            _external(thing, (kind, name), warnings)
    return (LENIENT if lenient else LONG).apply(node)


def _leniently(rule: Change) -> Change:
    def change(node: Node, path: Path) -> Node:
        try:
            return rule(node, path)
        except ComposeError:
            if "$" not in str(plain(node)):
                raise
            return node

    return change


def _external(node: Node, path: Path, warnings: list[Problem]) -> None:
    """The old ``external: {name: x}`` as ``external: true`` and ``name: x``."""
    external = node.get("external")
    if external is None or not isinstance(external.value, dict):
        return
    node.value["external"] = external.like(True)
    if given := external.get("name"):
        name = as_text(given.value)
        warnings.append(Problem(f"{dotted(path)}: external.name is old; write name: {name} and external: true", given.place))
        if node.get("name") and node.text("name") != name:
            raise ComposeError(f"{dotted(path)}: name and external.name are not the same; keep name alone", given.place)
        node.value.setdefault("name", given)


LENIENT = Rules({pattern: _leniently(rule) for pattern, rule in LONG.table.items()})


# -- defaults ----------------------------------------------------------------------------------
def _default(key: str, value: object) -> Change:
    def change(node: Node, path: Path) -> Node:
        if isinstance(node.value, dict):
            node.value.setdefault(key, node.like(value(node) if callable(value) else value))
        return node

    return change


def _port_defaults(node: Node, path: Path) -> Node:
    return _default("mode", "ingress")(_default("protocol", "tcp")(node, path), path)


def _all_devices(node: Node, path: Path) -> Node:
    return node if node.get("device_ids") else _default("count", "all")(node, path)


DEFAULTS = Rules(
    {
        "services.*.build": _default("context", "."),
        "services.*.secrets.*": _default("target", lambda node: f"/run/secrets/{node.text('source')}"),
        "services.*.ports.*": _port_defaults,
        "services.*.deploy.resources.reservations.devices.*": _all_devices,
        "services.*.gpus.*": _all_devices,
        "services.*.volumes.*.bind": _default("create_host_path", True),
    }
)


def with_defaults(node: Node) -> Node:
    return DEFAULTS.apply(node)


# -- what can't be -----------------------------------------------------------------------------
def _check_volume(node: Node, path: Path) -> None:
    if is_true(node.get("external")):
        for key, value in node.map.items():
            if key not in ("name", "external") and not key.startswith("x-"):
                raise ComposeError(f"{dotted(path)} is external, so it is there already; `{key}` can't be set for it", value.place)


def _check_source(*keys: str) -> Callable[[Node, Path], None]:
    def check(node: Node, path: Path) -> None:
        given = [key for key in keys if key in node.map]
        if len(given) > 1:
            raise ComposeError(f"{dotted(path)}: only one of {', '.join(given)} can be given", node.map[given[1]].place)
        if not given and "external" not in node.map and "driver" not in node.map:
            raise ComposeError(f"{dotted(path)} needs one of {', '.join(keys)}", node.place)

    return check


def _check_address(node: Node, path: Path) -> None:
    if ip := node.get("host_ip"):
        try:
            ipaddress.ip_address(as_text(ip.value))
        except ValueError:
            raise ComposeError(f"{dotted((*path, 'host_ip'))}: '{as_text(ip.value)[:60]}' is not an IP address", ip.place) from None


def _check_blank(node: Node, path: Path) -> None:
    if not node.value:
        raise ComposeError(f"{dotted(path)} can't be empty", node.place)


def _check_request(node: Node, path: Path) -> None:
    if node.get("count") and node.get("device_ids"):
        raise ComposeError(f"{dotted(path)}: only one of count and device_ids can be given", node.place)


IMPOSSIBLE = Rules(
    {
        "volumes.*": _check_volume,
        "configs.*": _check_source("file", "environment", "content"),
        "secrets.*": _check_source("file", "environment"),
        "services.*.ports.*": _check_address,
        "services.*.develop.watch.*.path": _check_blank,
        "services.*.deploy.resources.reservations.devices.*": _check_request,
        "services.*.gpus.*": _check_request,
    }
)


def check_together(node: Node) -> None:
    """Raises: ComposeError for keys that exclude each other."""
    IMPOSSIBLE.apply(node)


def is_true(node: Node | None) -> bool:
    return node is not None and as_text(node.value).lower() in ("true", "1", "t", "y", "yes", "on")
