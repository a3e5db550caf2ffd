"""The outline, read off the tree, when its values have their types."""

from __future__ import annotations

from collections.abc import Collection

from lib.compose.outline import Need, Outline, Sketch
from lib.compose.reading.nodes import Node, plain


def outlined(root: Node, name: str, enabled: Collection[str]) -> Outline:
    """Of the project ``name``; ``enabled`` are the services that are on."""
    sketches = {key: _sketch(key, service) for key, service in root["services"].map.items()}
    volumes = getattr(root.get("volumes"), "map", {}).values()
    return Outline(
        name,
        {key: one for key, one in sketches.items() if key in enabled},
        {key: one for key, one in sketches.items() if key not in enabled},
        frozenset(one.text("name") for one in volumes if (one.get("external") or one).value is not True),
    )


def _sketch(name: str, service: Node) -> Sketch:
    needs = {other: _need(plain(how)) for other, how in getattr(service.get("depends_on"), "map", {}).items()}
    profiles = tuple(one.value for one in getattr(service.get("profiles"), "items", []))
    return Sketch(name, service.text("image"), needs, profiles)


def _need(said: dict) -> Need:
    return Need(**{key: said[key] for key in Need._fields if key in said})
