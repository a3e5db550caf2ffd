"""The plans that need no new containers: ``down``, ``stop``, ``start``, ``restart``, ``rm``. Pure, as that of ``up``.

What is there is enough for them: each container's record says what it depends on, so a project without its file can be taken down, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lib.compose.outline import Outline
from lib.compose.planning.observing import SATISFIED, Container, Observed
from lib.compose.planning.operations import (
    Draft,
    Plan,
    RemoveImage,
    RemoveNetwork,
    RemoveVolume,
    StartContainer,
    Wait,
)
from lib.compose.planning.taking import Taking, left_behind, orphans
from lib.compose.planning.wanted import Down, Remove, Restart, Start, Stop
from lib.compose.services import dependencies, naming


class Order:
    """Who depends on whom, among the containers that are there: as the file says, and where it says nothing, as they were made."""

    def __init__(self, project: Outline, observed: Observed, services: Iterable[str]):
        self.project, self.observed = project, observed
        recorded = {one.service: set(one.depends_on) for one in observed.containers}
        said = {name: set(one.depends_on) for name, one in project.services.items()}
        needs = {**recorded, **said}
        self.needs = {name: {one for one in others if one in needs and one != name} for name, others in needs.items()}
        self.names = dependencies.sorted_by(self.needs)
        self.wanted = set(services) or {name for name in self.names if self.is_on(name)}
        if unknown := self.wanted - set(self.names):
            name = sorted(unknown)[0]
            raise ValueError(f"no such service: {name}{dependencies.nearly(project, name)}")

    def containers(self, name: str) -> list[Container]:
        return [one for one in self.observed.containers if one.service == name]

    def is_on(self, name: str) -> bool:
        """Does the file name it, and is its profile on? Without a file, all are on."""
        return name in self.project.services or not has_file(self.project)

    def downwards(self) -> list[str]:
        return [name for name in reversed(self.names) if name in self.wanted]

    def upwards(self) -> list[str]:
        return [name for name in self.names if name in self.wanted]

    def dependents(self, name: str) -> list[str]:
        return [other for other, needs in self.needs.items() if name in needs]


def has_file(project: Outline) -> bool:
    """Else nothing is known of it but its name."""
    return bool(project.services or project.disabled)


def stopped(order: Order, taking: Taking, cause: str, which=lambda one: True) -> dict[str, list[int]]:
    """All that run, those first that nobody depends on. The places by service."""
    for name in order.downwards():
        after = [place for other in order.dependents(name) for place in taking.stops.get(other, ())]
        for one in filter(which, order.containers(name)):
            taking.stop(one, cause, after)
    return taking.stops


def down(project: Outline, observed: Observed, wishes: Down) -> Plan:
    """Raises ``ValueError``."""
    draft = Draft(project)
    taking, order = Taking(draft, wishes.timeout, wishes.volumes), Order(project, observed, wishes.services)
    stopped(order, taking, "", lambda one: is_meant(one, wishes))
    gone: list[int] = []
    for name in order.downwards():
        places = {draft.operations[place].ident: place for place in taking.stops.get(name, ())}
        for one in order.containers(name):
            if is_meant(one, wishes):
                gone.append(taking.remove(one, "", [places[one.id]] if one.id in places else []))
    gone += others(order, taking, wishes)
    if not wishes.services:
        what_they_had(draft, project, observed, wishes, gone)
    return draft.plan()


def is_meant(one: Container, wishes: Down) -> bool:
    return not one.abandoned and (wishes.remove_orphans or not one.oneoff)


def others(order: Order, taking: Taking, wishes: Down) -> list[int]:
    """What no service of the file has now: told, or taken away. What ``run`` has made for another service stays as long as it runs."""
    gone = orphans(taking, order.project, order.observed, wishes.remove_orphans) if has_file(order.project) else []
    apart = [one for one in order.observed.containers if one.oneoff and not one.abandoned]
    gone += [left_behind(taking.draft, one) for one in order.observed.containers if one.abandoned and is_named(one, wishes)]
    if apart and not (wishes.remove_orphans or wishes.services):
        names = " ".join(one.name for one in apart)
        taking.draft.warnings.append(f"Containers that run has made stay ({names}): --remove-orphans takes them away")
    elif wishes.remove_orphans:
        gone += [taking.remove(one, "run has made it") for one in apart if one.service not in order.wanted and not one.up]
    return gone


def is_named(one: Container, wishes: Down) -> bool:
    return not wishes.services or one.service in wishes.services


def what_they_had(draft: Draft, project: Outline, observed: Observed, wishes: Down, gone: list[int]) -> None:
    """Networks; and if that is wanted, volumes and images."""
    for one in observed.own(observed.networks):
        draft.add(RemoveNetwork(resource=one.name, ident=one.id), gone)
    for one in observed.own(observed.volumes) if wishes.volumes else ():
        if one.name in project.volumes or not has_file(project):
            draft.add(RemoveVolume(resource=one.name, cause="-v: what is in it is lost"), gone)
    names = [naming.image(project, one) for one in project.services.values() if wishes.images == "all" or not one.image]
    for name in dict.fromkeys(names if wishes.images else ()):
        if name in observed.images:
            draft.add(RemoveImage(resource=name, cause=f"--rmi {wishes.images}"), gone)


def stop(project: Outline, observed: Observed, wishes: Stop) -> Plan:
    """Raises ``ValueError``."""
    draft = Draft(project)
    stopped(Order(project, observed, wishes.services), Taking(draft, wishes.timeout), "", lambda one: not one.oneoff)
    return draft.plan()


def start(project: Outline, observed: Observed, wishes: Start) -> Plan:
    """Raises ``ValueError``."""
    draft, order = Draft(project), Order(project, observed, wishes.services)
    starts(draft, order, {}, wishes.wait)
    return draft.plan()


def starts(draft: Draft, order: Order, stops: dict[str, int], wait: bool = False) -> None:
    """All that do not run, or that are stopped (``stops``: the places by id) before that; each after those that it depends on.

    One that is started again waits only for those that it is tied to (``restart: true``): the others have been there all the time.
    """
    ready: dict[str, list[int]] = {}
    for name in order.upwards():
        hows = order.project.services[name].depends_on if name in order.project.services else {}
        own = [one for one in order.observed.of(name) if not one.going]
        there = [one for one in own if one.id in stops or not one.up]
        after = [place for other in order.needs[name] for place in ready.get(other, ())] if there else []
        for other, how in hows.items():
            if own and how.condition != "service_started" and (how.restart or not stops):
                cause = f"{name} depends on it"
                after += waits(draft, order.observed.of(other), how.condition, how.required, cause, ready.get(other, ()))
        for one in there:
            facts = {"resource": one.name, "service": name, "number": one.number, "ident": one.id}
            before = [stops[one.id]] if one.id in stops else []
            ready.setdefault(name, []).append(draft.add(StartContainer(**facts), [*after, *before]))
        if wait:
            ends = dependencies.is_to_end((one.depends_on for one in order.project.services.values()), name)
            condition = "service_completed_successfully" if ends else "running_or_healthy"
            waits(draft, own, condition, True, "--wait", ready.get(name, ()))


def waits(draft: Draft, those: list[Container], condition: str, required: bool, cause: str, after: Sequence[int]) -> list[int]:
    """The place, in a list; none if there is nothing to wait for."""
    if not after and all(SATISFIED[condition](one) for one in those):
        draft.ready |= {one.service: condition for one in those}
        return []
    idents = tuple(one.id for one in those)
    return [draft.add(Wait(resource=those[0].service, cause=cause, condition=condition, required=required, idents=idents), after)]


def restart(project: Outline, observed: Observed, wishes: Restart) -> Plan:
    """Those that are named, and those that want to be started again with them (``restart: true``). Raises ``ValueError``."""
    draft = Draft(project)
    order = Order(project, observed, wishes.services)
    if wishes.services and not wishes.no_deps:
        for name in order.upwards() + [one for one in order.names if one not in order.wanted]:
            hows = project.services[name].depends_on if name in project.services else {}
            if any(how.restart and other in order.wanted for other, how in hows.items()):
                order.wanted.add(name)
    taking = Taking(draft, wishes.timeout)
    stopped(order, taking, "", lambda one: not one.oneoff)
    places = {draft.operations[place].ident: place for found in taking.stops.values() for place in found}
    starts(draft, order, places)
    return draft.plan()


def remove(project: Outline, observed: Observed, wishes: Remove) -> Plan:
    """Raises ``ValueError``."""
    draft, order = Draft(project), Order(project, observed, wishes.services)
    taking = Taking(draft, None, wishes.volumes)
    if wishes.stop:
        stopped(order, taking, "", lambda one: not one.oneoff)
    places = {draft.operations[place].ident: place for found in taking.stops.values() for place in found}
    for name in order.downwards():
        for one in order.containers(name):
            if not one.oneoff and (not one.up or one.id in places):
                taking.remove(one, "", [places[one.id]] if one.id in places else [])
    return draft.plan()
