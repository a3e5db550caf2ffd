"""What ``config`` prints a line for: services, images, volumes, variables."""

from __future__ import annotations

from typing import Any

from lib.compose.model import Project
from lib.compose.reading.canonical.shape import document
from lib.compose.reading.interpolation import names_in
from lib.compose.reading.loading import Loaded
from lib.compose.reading.nodes import Node


def services(project: Project) -> list[str]:
    return sorted(project.services)


def images(project: Project) -> list[str]:
    """The image of each service, and of its hooks; one that is built and has no name gets that of the project and the service."""
    own = {service.image or f"{project.name}-{name}" for name, service in project.services.items()}
    return sorted(own | {hook.image for service in project.services.values() for hook in service.pre_start if hook.image})


def volumes(project: Project) -> list[str]:
    return sorted(document(project).get("volumes", {}))


def networks(project: Project) -> list[str]:
    return sorted(document(project).get("networks", {}))


def models(project: Project) -> list[str]:
    return sorted(document(project, yaml=True).get("models", {}))


def profiles(project: Project) -> list[str]:
    """All profiles that the file knows."""
    every = [*project.services.values(), *project.disabled.values()]
    return sorted({profile for service in every for profile in service.profiles})


def environment(loaded: Loaded) -> dict[str, str]:
    """All variables that the files could use."""
    return dict(sorted(loaded.variables.values.items()))


def variables(tree: Node) -> list[dict[str, Any]]:
    """The variables in a tree that has not been interpolated: name, whether it must be set, default, alternative."""
    found: dict[str, dict[str, Any]] = {}
    for text in _texts(tree):
        for one in names_in(text):
            row = found.setdefault(one.name, {"name": one.name, "required": False, "default": "", "alternative": ""})
            row["required"] |= one.operator.endswith("?")
            if one.operator[-1:] in ("-", "+"):
                row["default" if one.operator[-1] == "-" else "alternative"] = one.word
    return [row for _, row in sorted(found.items())]


def _texts(node: Node):
    if isinstance(node.value, dict | list):
        for child in node.value.values() if isinstance(node.value, dict) else node.value:
            yield from _texts(child)
    elif isinstance(node.value, str) and "$" in node.value:
        yield node.value
