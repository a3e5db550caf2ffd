"""Phase 6: a service that begins as a copy of another one, in this file or in another."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from lib.compose.reading.merging import merged, without
from lib.compose.reading.nodes import ComposeError, Node, Path, clone
from lib.compose.reading.paths import joined

DEEPEST = 50  # a chain of services, each of which extends the next


@dataclass(frozen=True, slots=True)
class Source:
    """A file's services, as they were written; its name, its folder, its ``!reset`` marks; what is wrong with services that are broken."""

    services: dict[str, Node]
    file: str
    folder: str
    marks: tuple[Path, ...] = ()
    broken: dict[str, ComposeError] = field(default_factory=dict)


Reader = Callable[[str, Node], Source]


def extended(source: Source, read: Reader) -> None:
    """All services of ``source``, each with what it extends.

    Args:
        source: The services; they are changed.
        read: Reads another file, and raises ComposeError at the node when it can't.
    """
    for name in list(source.services):
        source.services[name] = _extended(source, name, read, ())


def _extended(source: Source, name: str, read: Reader, chain: tuple[tuple[str, str], ...]) -> Node:
    service = source.services[name]
    extends = service.get("extends")
    if extends is None:
        return service
    if (source.file, name) in chain or len(chain) > DEEPEST:
        way = " → ".join(f"{one} ({os.path.basename(file)})" for file, one in (*chain, (source.file, name)))
        raise ComposeError(f"services.{name}.extends goes round in a circle: {way}", extends.place)
    other, wanted = _other(source, name, extends, read)
    base = _extended(other, wanted, read, (*chain, (source.file, name)))
    copy = extends.like({"services": extends.like({name: clone(base)})})
    copy = without(copy, source.marks)
    found = merged(copy["services"][name], service, ("services", name))
    found.map.pop("extends", None)
    source.services[name] = found
    return found


def _other(source: Source, name: str, extends: Node, read: Reader) -> tuple[Source, str]:
    """The file and the name of the service that is extended."""
    at = extends.get("service") if isinstance(extends.value, dict) else extends
    if at is None or not isinstance(at.value, str):
        raise ComposeError(f"services.{name}.extends needs `service`, the name of another one", extends.place)
    file = extends.get("file")
    other = source
    if file is not None:
        if not isinstance(file.value, str):
            raise ComposeError(f"services.{name}.extends.file must be a text", file.place)
        other = read(joined(source.folder, file.value, ""), file)
    if at.value in other.broken:
        raise other.broken[at.value]
    if at.value not in other.services:
        raise ComposeError(f"services.{name} extends {at.value}, and there is no such service in {other.file}", at.place)
    if not isinstance(other.services[at.value].value, dict):
        raise ComposeError(f"services.{name} extends {at.value}, which is empty", at.place)
    return other, at.value
