"""The tree becomes the model; that takes pydantic, so only where somebody asks for it."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from lib.compose.reading.binding.rules import TYPES
from lib.compose.reading.environment import SECRET
from lib.compose.reading.nodes import ComposeError, Node, Path, Place, at, dotted, plain
from lib.compose.reading.schema import FILE
from lib.compose.reading.schema.kinds import Keys, Named, Several

if TYPE_CHECKING:
    from pydantic import ValidationError

    from lib.compose.model import Project

KINDS = ("services", "networks", "volumes", "secrets", "configs", "models")


def typed(root: Node) -> Node:
    """The tree, its values as numbers, times and sizes. It is changed. Raises: ComposeError."""
    _collect_extensions(root, FILE)
    root = TYPES.apply(root)
    for kind in ("secrets", "configs"):
        for thing in getattr(root.get(kind), "map", {}).values():
            if secret := thing.map.pop(SECRET, None):
                thing.value["content"] = secret
    return root


def origins(root: Node) -> dict[str, Place]:
    """Where each value of the model comes from."""
    return {dotted(path): place for path, place in _origins(root, ())}


def bound(root: Node, enabled: Collection[str], about: dict[str, Any]) -> Project:
    """The model.

    Args:
        root: The tree that ``typed`` gave.
        enabled: Names of the services that are on.
        about: The other fields of the project.

    Raises: ComposeError.
    """
    from pydantic import ValidationError

    from lib.compose.model import Project

    facts = {key: value for key, value in plain(root).items() if key in KINDS or key == "extensions"}
    services = {name: {**service, "name": name} for name, service in facts.pop("services", {}).items()}
    for service in services.values():
        service["ports"] = service.get("ports") or []
    try:
        on = {name: service for name, service in services.items() if name in enabled}
        off = {name: service for name, service in services.items() if name not in enabled}
        return Project(**facts, services=on, disabled=off, **about)
    except ValidationError as error:
        raise _explained(error, root) from None


def _explained(error: ValidationError, root: Node) -> ComposeError:
    first = error.errors()[0]
    path: Path = tuple("services" if step == "disabled" else step for step in first["loc"])
    return ComposeError(f"{dotted(path)}: {first['msg']}", at(root, path))


def _origins(node: Node, path: Path):
    if isinstance(node.value, dict | list):
        children = node.value.items() if isinstance(node.value, dict) else enumerate(node.value)
        for key, child in children:
            yield from _origins(child, (*path, key))
    if path:
        yield path, node.place


def _collect_extensions(node: Node, kind: Any) -> None:
    """``x-…`` of each mapping, into one entry ``extensions``."""
    if isinstance(kind, tuple):
        for one in kind:
            if isinstance(one, Keys | Named | Several):
                _collect_extensions(node, one)
    elif isinstance(kind, Several):
        for item in node.items:
            _collect_extensions(item, kind.of)
    elif isinstance(kind, Named):
        for child in node.map.values():
            _collect_extensions(child, kind.of)
    elif isinstance(kind, Keys):
        own = {key: child for key, child in node.map.items() if key.startswith("x-") and key != SECRET}
        for key, child in node.map.items():
            if key in kind.keys:
                _collect_extensions(child, kind.keys[key])
        for key in own:
            del node.value[key]
        if own:
            node.value["extensions"] = node.like(own)
