"""Where each value of the project came from: ``config --provenance``."""

from __future__ import annotations

from dataclasses import dataclass

from lib.compose.reading.environment import SECRET
from lib.compose.reading.loading import Loaded
from lib.compose.reading.nodes import Node, Path, as_text, dotted


@dataclass(frozen=True, slots=True)
class Origin:
    """One value. ``source`` is ``FILE:LINE:COLUMN``, and the variables that are in it: ``TAG from .env:3``."""

    path: str
    value: str
    source: str


def provenance(loaded: Loaded) -> list[Origin]:
    """All values of services, networks, volumes, secrets and configs, in the order of the file; but for what a secret holds."""
    return list(_origins(loaded.tree, ()))


def _origins(node: Node, path: Path):
    if path[:1] == ("secrets",) and path[2:] in (("content",), (SECRET,)):
        return
    if isinstance(node.value, dict | list) and node.value:
        for key, child in node.value.items() if isinstance(node.value, dict) else enumerate(node.value):
            yield from _origins(child, (*path, key))
    elif path:
        yield Origin(dotted(path), _shown(node), source(node))


def _shown(node: Node) -> str:
    if node.value is None or node.value == {} or node.value == []:
        return ""
    return as_text(node.value)


def source(node: Node) -> str:
    """The place of a node, in words."""
    variables = ", ".join(f"{name} from {where}" if where != "not set" else f"{name} is not set" for name, where in node.place.variables)
    return str(node.place) + (f" ({variables})" if variables else "")
