"""A YAML text, read event by event into nodes. Aliases are copied out, ``<<`` is merged; each has a bound, so that no bomb goes off."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from lib.compose.reading.nodes import ComposeError, Node, Path, Place, clone
from lib.compose.reading.yaml.scalars import meaning

LARGEST = 4 << 20  # bytes of a file
DEEPEST = 100  # levels
MOST = 100_000  # values, those of aliases counted as often as they are used: Compose's own bound

GONE = object()  # the value of a node that says !reset
STANDARD = "tag:yaml.org,2002:"


@dataclass(slots=True)
class Document:
    """``marks`` are the paths of ``!reset`` and ``!override``: what stands there in the files before goes away first."""

    root: Node
    marks: list[Path] = field(default_factory=list)


def documents(text: str, file: str) -> list[Document]:
    """The documents of a file that have something in them. Raises: ComposeError, with the place."""
    if len(text) > LARGEST:
        raise ComposeError(f"the file is larger than {LARGEST >> 20} MiB; a Compose file is a few pages", Place(file))
    try:
        return list(_Reader(file, YAML(typ="safe", pure=True).parse(text)).stream())
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ComposeError(_explained(error), Place(file, mark.line + 1, mark.column + 1) if mark else Place(file)) from None
    except YAMLError as error:
        raise ComposeError(f"this is not YAML: {str(error).splitlines()[0]}", Place(file)) from None
    except RecursionError:
        raise ComposeError(f"the file is nested more than {DEEPEST} levels deep", Place(file)) from None


def _explained(error: MarkedYAMLError) -> str:
    problem = error.problem or "this is not YAML"
    if "'\\t'" in problem:
        return "a tab can't indent in YAML; use spaces"
    if "mapping values are not allowed" in problem:
        return "a ': ' is not allowed here; put quotes around the text, or check the indentation of the line"
    return f"this is not YAML: {problem}" + (f" {error.context}" if error.context else "")


class _Reader:
    def __init__(self, file: str, events: Iterator):
        self.file, self.events = file, events

    def stream(self):
        while not isinstance(event := next(self.events), StreamEndEvent):
            if isinstance(event, DocumentStartEvent):
                explicit = event.explicit
            elif not isinstance(event, DocumentEndEvent | StreamStartEvent):
                self.anchors: dict[str, tuple[Node, int] | None] = {}
                self.marks: list[Path] = []
                self.count = 0
                root = self._node(event, (), self._place(event))
                if explicit or root.value is not None:
                    yield Document(root, self.marks)

    def _place(self, event) -> Place:
        return Place(self.file, event.start_mark.line + 1, event.start_mark.column + 1)

    def _node(self, event, path: Path, place: Place) -> Node:
        self._counted(1, place)
        if len(path) > DEEPEST:
            raise ComposeError(f"the file is nested more than {DEEPEST} levels deep", self._place(event))
        if isinstance(event, AliasEvent):
            return self._alias(event, path, place)
        before = self.count
        if event.anchor:
            self.anchors[event.anchor] = None
        node = self._content(event, path, place)
        if event.anchor:
            self.anchors[event.anchor] = (node, self.count - before + 1)
        if event.tag == "!reset":
            self.marks.append(path)
            node = node.like(GONE)
        elif event.tag == "!override":
            self.marks.append(path)
        return node

    def _counted(self, more: int, place: Place) -> None:
        self.count += more
        if self.count > MOST:
            raise ComposeError(f"the file has more than {MOST} values, counting what its aliases (*name) repeat", place)

    def _alias(self, event, path: Path, place: Place) -> Node:
        if event.anchor not in self.anchors:
            raise ComposeError(f"nothing above is marked &{event.anchor}", self._place(event))
        found = self.anchors[event.anchor]
        if found is None:
            raise ComposeError(f"&{event.anchor} can't contain itself", self._place(event))
        self._counted(found[1], place)
        return Node(clone(found[0]).value, place)

    def _content(self, event, path: Path, place: Place) -> Node:
        if isinstance(event, ScalarEvent):
            return Node(self._scalar(event), place)
        if isinstance(event, SequenceStartEvent):
            return Node(self._list(path), place)
        assert isinstance(event, MappingStartEvent)
        return Node(self._mapping(path), place)

    def _scalar(self, event) -> Any:
        plain = event.implicit[0]
        if event.tag and event.tag.startswith(STANDARD) and event.style is None:
            plain = event.tag != STANDARD + "str"
        return meaning(event.value) if plain else event.value

    def _list(self, path: Path) -> list[Node]:
        found: list[Node] = []
        while not isinstance(event := next(self.events), SequenceEndEvent):
            node = self._node(event, (*path, len(found)), self._place(event))
            if node.value is not GONE:
                found.append(node)
        return found

    def _mapping(self, path: Path) -> dict[str, Node]:
        found: dict[str, Node] = {}
        seen: dict[str, Place] = {}
        merged: list[Node] = []
        while not isinstance(event := next(self.events), MappingEndEvent):
            place = self._place(event)
            key = self._key(event, place)
            if key in seen:
                raise ComposeError(f"`{key}` is here a second time; it was set at line {seen[key].line}", place)
            seen[key] = place
            value = next(self.events)
            if key == "<<" and event.style is None:
                merged += self._merged(self._node(value, path, self._place(value)))
            else:
                node = self._node(value, (*path, key), place)
                if node.value is not GONE:
                    found[key] = node
        for node in merged:
            found.update((key, clone(child)) for key, child in node.map.items() if key not in found)
        return found

    def _key(self, event, place: Place) -> str:
        key = self._scalar(event) if isinstance(event, ScalarEvent) else None
        if not isinstance(key, str):
            word = f"`{event.value}`" if isinstance(event, ScalarEvent) else "a list or a mapping"
            raise ComposeError(f"a key must be a text, and {word} is none; put it in quotes", place)
        if event.anchor:
            self.anchors[event.anchor] = (Node(key, place), 1)
        return key

    def _merged(self, node: Node) -> list[Node]:
        several = node.items if isinstance(node.value, list) else [node]
        if not all(isinstance(one.value, dict) for one in several):
            raise ComposeError("`<<` takes a mapping, or a list of mappings", node.place)
        return several
