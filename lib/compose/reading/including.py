"""Phase 7: other files, read as projects of their own, whose services, networks and so on are taken over."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from lib.compose.reading.merging import merged, without
from lib.compose.reading.nodes import ComposeError, Node, Path, as_text
from lib.compose.reading.paths import joined
from lib.compose.reading.schema import FILE, check

KINDS = ("services", "volumes", "networks", "secrets", "configs", "models")


@dataclass(frozen=True, slots=True)
class Inclusion:
    """One entry of ``include``: its files, the folder where their paths begin, the files of their variables; where it is written."""

    files: tuple[str, ...]
    folder: str
    env_files: tuple[str, ...]
    node: Node


def include(root: Node, folder: str, marks: Iterable[Path], read: Callable[[Inclusion], Node]) -> None:
    """Takes over what the ``include`` of this file names; what the file itself says is laid over it.

    Args:
        root: The file's tree, which is changed.
        folder: Where relative paths of this file begin.
        marks: The file's ``!reset`` and ``!override``.
        read: Reads the files of one entry, through all phases.

    Raises: ComposeError.
    """
    node = root.get("include")
    if node is None:
        return
    if node.value is not None:
        check(node, FILE.keys["include"], ("include",))
        for one in inclusions(node, folder):
            _take_over(read(one), root, list(marks))
    del root.value["include"]


def inclusions(node: Node, folder: str) -> Iterator[Inclusion]:
    """The entries, with absolute paths."""
    for item in node.value:
        paths = _texts(item.get("path") if isinstance(item.value, dict) else item)
        if not paths:
            raise ComposeError("an include needs a path", item.place)
        files = tuple(joined(folder, path, "") for path in paths)
        given = item.text("project_directory")
        own = joined(folder, given, "") if given else os.path.dirname(files[0])
        env_files = tuple(joined(folder, path, "") for path in _texts(item.get("env_file")) if path != "/dev/null")
        if not item.get("env_file") and os.path.isfile(default := os.path.join(own, ".env")):
            env_files = (default,)
        yield Inclusion(files, own, env_files, item)


def _texts(node: Node | None) -> list[str]:
    if node is None or node.value is None:
        return []
    return [as_text(one.value) for one in node.value] if isinstance(node.value, list) else [as_text(node.value)]


def _take_over(found: Node, root: Node, marks: list[Path]) -> None:
    without(found, marks)
    for kind in KINDS:
        taken = found.get(kind)
        if taken is None:
            continue
        own = root.value.setdefault(kind, taken.like({}))
        if not isinstance(own.value, dict):
            raise ComposeError(f"{kind} must be a mapping (`key: value`)", own.place)
        for name, thing in taken.map.items():
            own.value[name] = merged(thing, own.value[name], (kind, name)) if name in own.value else thing
