"""What is there of a project, at one moment, as one frozen value."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lib.compose.services.naming import LABEL, image
from lib.images import Image, ImageError, Library
from lib.state import kept
from lib.state.owner import alive

if TYPE_CHECKING:
    from lib.compose.model import Project
    from lib.compose.outline import Outline


@dataclass(frozen=True)
class Container:
    """A container that the engine's own record says to be a service's. No label makes one so: those are anybody's to write."""

    id: str
    name: str
    service: str
    number: int
    oneoff: bool
    keys: dict[str, str]
    image: str  # its id
    status: str
    health: str = ""
    exit_code: int = 0
    depends_on: dict[str, dict] = field(default_factory=dict)
    pre_stop: tuple[dict, ...] = ()
    anonymous: dict[str, str] = field(default_factory=dict)  # the volumes without a name that it has: place → volume
    networks: tuple[str, ...] = ()  # that it is on, or will be when it starts
    volumes: dict[str, str] = field(default_factory=dict)  # and those that have one
    abandoned: bool = False  # a hook's, and nobody waits for it any more

    @property
    def up(self) -> bool:
        return self.status in ("running", "paused", "restarting")

    @property
    def going(self) -> bool:
        """Somebody removes it just now, or was killed while he did: what is left of it can never run again."""
        return self.status == "removing"


SATISFIED: dict[str, Callable[[Container], bool]] = {  # the conditions of depends_on, and that of --wait
    "service_started": lambda one: one.up,
    "service_healthy": lambda one: one.status == "running" and one.health == "healthy",
    "service_completed_successfully": lambda one: one.status == "exited" and one.exit_code == 0,
    "running_or_healthy": lambda one: one.status == "running" and one.health in ("", "healthy"),
}


@dataclass(frozen=True)
class Thing:
    """A network or a volume: ``project`` and ``key`` are "" if no project has made it."""

    name: str
    project: str = ""
    key: str = ""
    hash: str = ""
    id: str = ""
    guests: tuple[str, ...] = ()  # who else is on a network of ours just now: nobody whom ``up`` could start again


@dataclass(frozen=True)
class Observed:
    """What is there of a project, and of what it may share with others."""

    project: str
    containers: tuple[Container, ...] = ()
    networks: dict[str, Thing] = field(default_factory=dict)  # all of this machine, by their names
    volumes: dict[str, Thing] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)  # of those that the services name, the ids
    ages: dict[str, float] = field(default_factory=dict)  # and the seconds since they were pulled, or made

    def of(self, service: str) -> list[Container]:
        """Its containers, by number; one-off ones aside."""
        found = [one for one in self.containers if one.service == service and not one.oneoff]
        return sorted(found, key=lambda one: (one.number, one.name))

    def own(self, things: dict[str, Thing]) -> list[Thing]:
        """Those that this project has made."""
        return [one for one in things.values() if one.project == self.project]


def observe(library: Library, project: Project | Outline | str) -> Observed:
    """What is there of it. With a name alone, no images are looked for."""
    name, wanted = (project, ()) if isinstance(project, str) else (project.name, {image(project, one) for one in project.services.values()})
    containers = [seen(facts) for facts in kept.every() if (facts.get("compose") or {}).get("project") == name]
    ours = {one.id[: kept.SHORT] for one in containers if one.abandoned or not one.oneoff}
    here = images(library, wanted)
    return Observed(
        name, tuple(sorted(containers, key=lambda one: (one.service, one.number, one.name))), networks(name, ours), volumes(),
        {name: one.id for name, one in here.items()}, {name: age(library, one) for name, one in here.items()},
    )  # fmt: skip


def seen(facts: dict) -> Container:
    """One that has ended a moment ago has ended; and one of whose start nothing came, as that was killed, does not run."""
    from lib.engine import finding

    facts = finding.now(facts, starts=True)
    compose, state = facts["compose"], facts["state"]
    volumes = [one for one in facts.get("mounts") or () if one["type"] == "volume"]
    return Container(
        facts["id"], facts["name"], compose["service"], compose["number"], compose["oneoff"], compose["keys"],
        facts["image"], state["status"], health(facts), state["exit_code"], compose["depends_on"], tuple(compose["pre_stop"]),
        {one["target"]: one["name"] for one in volumes if one["anonymous"]}, tuple(one["network"] for one in facts["network"]["networks"]),
        {one["target"]: one["name"] for one in volumes if not one["anonymous"]}, "owner" in compose and not alive(compose["owner"]),
    )  # fmt: skip


def health(facts: dict) -> str:
    if not facts["config"].get("healthcheck"):
        return ""
    from lib.engine.health import known

    return (known.of(facts) or {}).get("Status", "")


def networks(project: str, ours: set[str]) -> dict[str, Thing]:
    """``ours`` are the first digits of the project's containers' ids."""
    from lib.network import every

    found = {}
    for one in every():
        seen = thing(one.name, "network", one.labels)
        others = [member["name"] for ident, member in one.members.items() if ident not in ours] if seen.project == project else ()
        found[one.name] = replace(seen, id=one.id, guests=tuple(sorted(others)))
    return found


def volumes() -> dict[str, Thing]:
    from lib.engine.volumes import store

    return {one.name: thing(one.name, "volume", one.labels) for one in store.every()}


def thing(name: str, kind: str, labels: dict[str, str]) -> Thing:
    return Thing(name, *(labels.get(f"{LABEL}.{word}", "") for word in ("project", kind, "config-hash")))


def images(library: Library, wanted: Iterable[str]) -> dict[str, Image]:
    """Those that are here."""
    found = {}
    for name in wanted:
        with suppress(ImageError):
            found[name] = library.find(name)
    return found


def age(library: Library, one: Image) -> float:
    return time.time() - library.store.path(one.descriptor["digest"]).stat().st_mtime
