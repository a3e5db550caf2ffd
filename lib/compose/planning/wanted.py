"""What somebody wants of a project: the flags of the commands, as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Up:
    """``up`` and (without ``start``) ``create``; no ``services`` means all of them. ``timeout`` is in seconds, None as each one says."""

    services: Sequence[str] = ()
    scale: Mapping[str, int] = field(default_factory=dict)
    start: bool = True
    build: bool = False
    pull: str = ""  # always, missing, never; "" as each service says
    images: bool = True  # see to the images, too: False as soon as that is done
    force_recreate: bool = False
    no_recreate: bool = False
    always_recreate_deps: bool = False
    no_deps: bool = False
    remove_orphans: bool = False
    ignore_orphans: bool = False  # say nothing of them
    renew_volumes: bool = False
    recreate_volumes: bool = False  # named ones that are described otherwise now are made anew, and what is in them is lost
    all_resources: bool = False  # networks and volumes that no service uses are made, too
    timeout: int | None = None
    wait: bool = False


@dataclass(frozen=True, kw_only=True)
class Down:
    """``down``. ``images`` is "local" (those without a name of their own), "all" or ""."""

    services: Sequence[str] = ()
    volumes: bool = False
    images: str = ""
    remove_orphans: bool = False
    timeout: int | None = None


@dataclass(frozen=True, kw_only=True)
class Start:
    """``start``: those that are there and do not run."""

    services: Sequence[str] = ()
    wait: bool = False


@dataclass(frozen=True, kw_only=True)
class Stop:
    """``stop``. ``timeout`` is in seconds, None as each one says."""

    services: Sequence[str] = ()
    timeout: int | None = None


@dataclass(frozen=True, kw_only=True)
class Restart:
    """``restart``: those that run, and those that do not."""

    services: Sequence[str] = ()
    timeout: int | None = None
    no_deps: bool = False


@dataclass(frozen=True, kw_only=True)
class Remove:
    """``rm``: those that have ended; with ``stop`` the others, too."""

    services: Sequence[str] = ()
    stop: bool = False
    volumes: bool = False


Wishes = Up | Down | Start | Stop | Restart | Remove
