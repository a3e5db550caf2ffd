"""A project's outline: what those commands have to know of it that make nothing, as ``down``, ``ps`` and ``logs`` do.

The model says all of it, but takes pydantic, and that is half of the time of a short command. The outline is read off the same tree.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class Need(NamedTuple):
    """How a service needs another one, under the names that the model has for it."""

    condition: str = "service_started"
    restart: bool = False
    required: bool = True


@dataclass(frozen=True)
class Sketch:
    """A service: what it needs, and which image it says."""

    name: str
    image: str = ""
    depends_on: dict[str, Need] = field(default_factory=dict)
    profiles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outline:
    """With a name alone, nothing is known but that: who says ``-p`` need not stand where the file is."""

    name: str
    services: dict[str, Sketch] = field(default_factory=dict)
    disabled: dict[str, Sketch] = field(default_factory=dict)
    volumes: frozenset[str] = frozenset()  # the names of those that are the project's own
