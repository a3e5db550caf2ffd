"""Which service needs which: what ``depends_on`` says, and what other keys mean without saying so."""

from __future__ import annotations

import graphlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from lib.compose.outline import Need, Outline, Sketch

if TYPE_CHECKING:
    from lib.compose.model import Project, Service

SHARES = ("network_mode", "ipc", "pid")  # "service:NAME": lives in another one's namespace, so it goes where that one goes


def of(service: Service) -> dict[str, Need]:
    """By the other's name."""
    implied = {other: Need(restart=True) for other in [*hosts(service), *links(service)]}
    implied |= {other: implied.get(other) or Need() for other in lenders(service)}
    said = {other: Need(one.condition, one.restart, one.required) for other, one in service.depends_on.items()}
    return {**implied, **said}


def outline(project: Project) -> Outline:
    """What the verbs that make nothing need to know of it."""
    sketches = {one.name: Sketch(one.name, one.image, of(one), tuple(one.profiles)) for one in everybody(project)}
    own = frozenset(one.name for one in project.volumes.values() if not one.external)
    on, off = ({name: sketches[name] for name in those} for those in (project.services, project.disabled))
    return Outline(project.name, on, off, own)


def everybody(project: Project) -> Iterable[Service]:
    return [*project.services.values(), *project.disabled.values()]


def hosts(service: Service) -> list[str]:
    """The services in whose namespaces it lives."""
    words = [getattr(service, name) for name in SHARES]
    return list(dict.fromkeys(word.partition(":")[2] for word in words if word.startswith("service:")))


def lenders(service: Service) -> list[str]:
    """Those whose volumes it has, too."""
    return [word.partition(":")[0] for word in service.volumes_from if not word.startswith("container:")]


def links(service: Service) -> list[str]:
    return [word.partition(":")[0] for word in service.links]


def order(project: Project) -> list[str]:
    """All services, each after those that it needs. Raises ``ValueError`` for a circle, and for one that is needed and is not there."""
    for name, service in project.services.items():
        for other, one in of(service).items():
            if other not in project.services and one.required:
                raise ValueError(f"service {name} depends on {other}: {why_missing(project, other)}")
    return sorted_by({name: [one for one in of(service) if one in project.services] for name, service in project.services.items()})


def why_missing(project: Project | Outline, name: str) -> str:
    if name in project.disabled:
        return f"it has a profile that is not on (--profile {project.disabled[name].profiles[0]})"
    return "there is no service of that name"


def sorted_by(needs: Mapping[str, Iterable[str]]) -> list[str]:
    """The names, each after what it needs, else as they came. Raises ``ValueError`` for a circle."""
    sorter = graphlib.TopologicalSorter(needs)
    try:
        sorter.prepare()
    except graphlib.CycleError as error:
        raise ValueError(f"services depend on each other in a circle: {' -> '.join(reversed(error.args[1]))}") from None
    places, found = {name: place for place, name in enumerate(needs)}, []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=lambda name: places.get(name, len(places)))
        found += ready
        sorter.done(*ready)
    return found


def chosen(project: Project, names: Iterable[str], alone: bool = False) -> list[str]:
    """Those that are named (without any: all), with what they need, unless they are wanted ``alone``, in order. Raises ``ValueError``."""
    ordered, wanted = order(project), list(names)
    for name in wanted:
        if name not in project.services:
            raise ValueError(f"no such service: {name}{nearly(project, name)}")
    if not wanted:
        return ordered
    found: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name not in found:
            found.add(name)
            wanted += [] if alone else [one for one in of(project.services[name]) if one in project.services]
    return [name for name in ordered if name in found]


def nearly(project: Project | Outline, name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, [*project.services, *project.disabled], 1, 0.6)
    if name in project.disabled:
        return f": {why_missing(project, name)}"
    return f" (there is {near[0]}: is that meant?)" if near else ""


def is_to_end(needs: Iterable[Mapping[str, Need]], name: str) -> bool:
    """Does somebody who needs these wait for its end?"""
    return any(those[name].condition == "service_completed_successfully" for those in needs if name in those)
