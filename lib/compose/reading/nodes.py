"""The file as a tree: each value knows the place it came from, and takes it along through all phases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from lib.visible import Visible

Path = tuple[str | int, ...]
LONGEST = 600  # characters of an error


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was written, lines and columns from 1; and the variables that had a part in it, with where these come from."""

    file: str
    line: int = 1
    column: int = 1
    variables: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class ComposeError(Visible, ValueError):
    """Something is wrong with a file. The text begins with ``FILE:LINE:COLUMN: `` when it can be pointed at."""

    def __init__(self, message: str, place: Place | None = None):
        message = message if len(message) <= LONGEST else f"{message[:LONGEST]}…"
        super().__init__(f"{place}: {message}" if place else message)
        self.message, self.place = message, place


@dataclass(frozen=True, slots=True)
class Problem:
    """Not an error, but something its author should hear of."""

    message: str
    place: Place | None = None

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


@dataclass(slots=True)
class Node:
    """``value`` is a scalar, a list of nodes, or a dict from names to nodes. The place of a dict's entry is that of its key."""

    value: Any
    place: Place

    def __getitem__(self, key: str | int) -> Node:
        return self.value[key]

    def get(self, key: str) -> Node | None:
        """The entry of a mapping; None where there is none, or no mapping."""
        return self.value.get(key) if isinstance(self.value, dict) else None

    def text(self, key: str, default: str = "") -> str:
        """The entry as a text."""
        found = self.get(key)
        return default if found is None or found.value is None else as_text(found.value)

    def like(self, value: Any) -> Node:
        """Another value, from the same place."""
        return Node(value, self.place)

    @property
    def map(self) -> dict[str, Node]:
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> list[Node]:
        return self.value if isinstance(self.value, list) else []


def clone(node: Node) -> Node:
    if isinstance(node.value, dict):
        return node.like({key: clone(child) for key, child in node.value.items()})
    return node.like([clone(child) for child in node.value] if isinstance(node.value, list) else node.value)


def count(node: Node) -> int:
    """How many values are in it, itself included?"""
    return 1 + sum(map(count, node.map.values() if isinstance(node.value, dict) else node.items))


def plain(node: Node) -> Any:
    """The values alone."""
    if isinstance(node.value, dict):
        return {key: plain(child) for key, child in node.value.items()}
    return [plain(child) for child in node.value] if isinstance(node.value, list) else node.value


def at(node: Node, path: Path) -> Place:
    """The place of what is at ``path``, or of the nearest thing around it."""
    for key in path:
        children = dict(enumerate(node.items)) if isinstance(node.value, list) else node.map
        if key not in children:
            break
        node = children[key]
    return node.place


def dotted(path: Path) -> str:
    """``services.web.ports[0]``"""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).lstrip(".")


def as_text(value: Any) -> str:
    """A scalar as Go writes it: ``true``, ``1.5``, ``1000`` for 1e3."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return _float_text(value)
    return "" if value is None else str(value)


def _float_text(value: float) -> str:
    if value != value or value in (float("inf"), float("-inf")):
        return {"inf": "+Inf", "-inf": "-Inf"}.get(str(value), "NaN")
    from decimal import Decimal  # few files have such a number

    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    power = len(digits) - 1 + int(exponent)
    if value and not -4 <= power < 6:
        rest = "".join(map(str, digits[1:]))
        return f"{'-' * sign}{digits[0]}{'.' * bool(rest)}{rest}e{power:+03d}"
    return f"{value:.17f}".rstrip("0").rstrip(".") if value == int(value) else f"{Decimal(repr(value)):f}"


Change = Callable[[Node, Path], Node | None]


@dataclass(slots=True)
class Rules:
    """Things to do at places of the tree, named like ``services.*.ports.*``. The star is any name, and any item of a list."""

    table: dict[str, Any]
    tree: dict = field(default_factory=dict)

    def __post_init__(self):
        for pattern, rule in self.table.items():
            branch = self.tree
            for step in pattern.split("."):
                branch = branch.setdefault(step, {})
            branch[None] = rule

    def apply(self, node: Node) -> Node:
        """Each rule is called with what stands at its place, the inner ones first; what it returns replaces it (None: all stays)."""
        return _apply(node, self.tree, ())


def _apply(node: Node, branch: dict, path: Path) -> Node:
    children = enumerate(node.items) if isinstance(node.value, list) else list(node.map.items())
    for key, child in children:
        inner = branch.get(key) or branch.get("*")
        if inner:
            node.value[key] = _apply(child, inner, (*path, key))
    return branch[None](node, path) or node if None in branch else node


def moved(node: Node, variables: tuple[tuple[str, str], ...]) -> Place:
    """The node's place, with variables that had a part in its value."""
    return replace(node.place, variables=node.place.variables + variables) if variables else node.place
