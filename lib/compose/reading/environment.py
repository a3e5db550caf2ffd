"""Variables of the containers: names without a value get that of the project's variables; ``env_file`` and ``label_file`` are read."""

from __future__ import annotations

import os
from collections.abc import Mapping

from lib.compose.reading import dotenv
from lib.compose.reading.finding import Request, why
from lib.compose.reading.interpolation import Variables
from lib.compose.reading.longforms import is_true
from lib.compose.reading.nodes import ComposeError, Node, Place, as_text, moved

SECRET = "x-#value"  # what a secret's variable holds: kept out of all that is written


def from_outside(root: Node, variables: Variables) -> None:
    """``- NAME`` in a list of a service's environment, and secrets and configs that are variables."""
    for service in getattr(root.get("services"), "map", {}).values():
        environment = service.get("environment")
        if environment and isinstance(environment.value, list):
            for item in environment.value:
                if item.value in variables.values:
                    item.place = moved(item, ((item.value, variables.sources.get(item.value, "")),))
                    item.value = f"{item.value}={variables.values[item.value]}"
    for kind, key in (("secrets", SECRET), ("configs", "content")):
        for thing in getattr(root.get(kind), "map", {}).values():
            name = thing.get("environment")
            if name and name.value in variables.values:
                thing.value[key] = name.like(variables.values[name.value])


def pairs(node: Node | None) -> dict[str, Node]:
    """``environment`` or ``labels``, in either form, as a mapping; None for a name without a value."""
    found: dict[str, Node] = {}
    for item in getattr(node, "items", []):
        name, equals, value = as_text(item.value).partition("=")
        found[name] = item.like(value if equals else None)
    for name, value in getattr(node, "map", {}).items():
        found[name] = value.like(None if value.value is None else as_text(value.value))
    return found


def resolved(service: Node, variables: Variables, path: str, request: Request, folder: str) -> None:
    """The service's environment and labels, with those of its files in them. Raises: ComposeError.

    Paths that are relative yet begin at ``folder``; the request may leave things as they are.
    """
    given = pairs(service.get("environment"))
    for name, node in given.items():
        if name != name.rstrip():
            raise ComposeError(f"{path}.environment: there is a space behind the name '{name[:40]}'", node.place)
        if node.value is None and name in variables.values and (request.env or request.normalize):
            given[name] = from_variable(node, name, variables)
    from_files = _env_files(service, given, variables, folder) if request.env else {}
    if given or from_files:
        service.value["environment"] = Node({**from_files, **given}, getattr(service.get("environment"), "place", service.place))
    labels = _label_files(service, folder)
    if labels:
        service.value["labels"] = Node({**labels, **pairs(service.get("labels"))}, service.place)
    build = service.get("build")
    if build and (args := pairs(build.get("args"))):
        known = {name: from_variable(node, name, variables) if node.value is None else node for name, node in args.items()}
        build.value["args"] = build["args"].like({name: node for name, node in known.items() if node.value is not None})


def from_variable(node: Node, name: str, variables: Variables) -> Node:
    """A name without a value has that of the variable; None if there is none."""
    return Node(variables.values.get(name), moved(node, ((name, variables.sources.get(name, "not set")),)))


def _env_files(service: Node, given: Mapping[str, Node], variables: Variables, folder: str) -> dict[str, Node]:
    found: dict[str, Node] = {}
    known = {name: node.value for name, node in given.items() if node.value is not None}

    def lookup(name: str) -> str | None:
        return variables.values.get(name, known.get(name))

    before = dict(known)
    for entry in getattr(service.get("env_file"), "items", []):
        path, form = os.path.join(folder, entry.text("path")), entry.text("format")
        if form not in ("", "raw", ".env"):
            raise ComposeError(f"the format of an env_file is raw, or not given, not '{form[:40]}'", entry["format"].place)
        if (read := _read(entry, path, lookup, before, form == "raw")) is not None:
            before |= read.values
            found |= {name: Node(value, Place(path, read.lines[name])) for name, value in read.values.items()}
    return found


def _read(entry: Node, path: str, lookup: dotenv.Lookup, before: Mapping[str, str], raw: bool) -> dotenv.Pairs | None:
    try:
        return dotenv.read(path, lookup, before, raw)
    except FileNotFoundError:
        if entry.get("required") and not is_true(entry["required"]):
            return None
        hint = "; with `required: false` it may be missing" if isinstance(entry.value, dict) else ""
        raise ComposeError(f"there is no file {path}{hint}", entry.place) from None
    except ComposeError:
        raise
    except (OSError, ValueError) as error:
        raise ComposeError(f"{path} can't be read: {why(error)}", entry.place) from None


def _label_files(service: Node, folder: str) -> dict[str, Node]:
    found: dict[str, Node] = {}
    for entry in getattr(service.get("label_file"), "items", []):
        path = os.path.join(folder, as_text(entry.value))
        values = {name: node.value for name, node in found.items()}
        if (read := _read(entry, path, values.get, values, raw=False)) is not None:
            found |= {name: Node(value, Place(path, read.lines[name])) for name, value in read.values.items()}
    return found
