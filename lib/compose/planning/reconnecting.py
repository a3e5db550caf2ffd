"""Who stays while a network that it is on goes and comes again: stopped before, and started on the new one. Pure, as all of a plan."""

from __future__ import annotations

from collections.abc import Container as Names
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lib.compose.planning.observing import Container, Observed
from lib.compose.planning.operations import Draft, ReconnectContainer, RemoveContainer, StartContainer, StopContainer
from lib.compose.planning.shared import Shared
from lib.compose.planning.taking import Taking
from lib.compose.services import dependencies

if TYPE_CHECKING:
    from lib.compose.model import Project


class Reconnecting:
    """For one plan: ``again`` has, by their ids, those that are to be started on it: why, and after what."""

    def __init__(self, draft: Draft, project: Project, shared: Shared, taking: Taking):
        self.draft, self.project, self.shared, self.taking = draft, project, shared, taking
        self.again: dict[str, tuple[str, list[int]]] = {}
        self.services: set[str] = set()  # of these

    def settle(self, one: Container) -> None:
        """Off the networks that go, and on those that take their place. Whoever lives in its namespaces ends first."""
        left, hosts = self.shared.left(one), self.hosts(one)
        if not (left or hosts):
            return
        cause = left[0].cause if left else f"it lives in a namespace of {hosts[0]}, which is started again"
        last = self.taking.stop(one, cause)
        for place in last[-1:]:
            for theirs in (theirs for host in hosts for theirs in self.taking.stops.get(host, ())):
                self.draft.order(place, theirs)
        for name in one.networks:
            if name in self.shared.leaving:
                last = self.moved(one, name, last)
        if one.up or last:
            self.again[one.id] = cause, last
        if one.up:
            self.services.add(one.service)

    def hosts(self, one: Container) -> list[str]:
        """The services in whose namespaces it lives, and which are started again."""
        service = self.project.services.get(one.service)
        return [other for other in dependencies.hosts(service) if other in self.services] if service else []

    def moved(self, one: Container, name: str, after: Sequence[int]) -> list[int]:
        """What the next thing comes after. Under the same name it finds the new network by itself."""
        leaving = self.shared.leaving[name]
        if name != leaving.successor:
            facts = {"resource": one.name, "service": one.service, "number": one.number, "ident": one.id}
            move = ReconnectContainer(**facts, network=name, name=leaving.successor, cause=leaving.cause)
            after = [self.draft.add(move, [*after, *self.created(leaving.key)])]
            self.draft.order(after[0], leaving.place)
        return list(after)

    def created(self, key: str) -> list[int]:
        word = f"network {key}"
        return [self.shared.places[word]] if word in self.shared.places else []

    def bystanders(self, observed: Observed, but: Names[str], ready: Mapping[str, list[int]]) -> None:
        """The project's other containers, all ``but`` those of these services: nobody has named them, so who ran does so afterwards.

        And whoever is on a network that goes has ended before.
        """
        taken = {one.ident for one in self.draft.operations if isinstance(one, RemoveContainer)}
        begun = {name: list(places) for name, places in ready.items()}
        order = {name: place for place, name in enumerate(dependencies.order(self.project))}
        for one in sorted(observed.containers, key=lambda one: order.get(one.service, len(order))):
            if one.service in but or one.oneoff or one.going or one.id in taken:
                continue
            self.settle(one)
            if one.up and (found := self.again.get(one.id)):
                service = self.project.services.get(one.service)
                after = [place for other in (dependencies.hosts(service) if service else ()) for place in begun.get(other, ())]
                after += [place for leaving in self.shared.left(one) for place in self.created(leaving.key)]
                facts = {"resource": one.name, "service": one.service, "number": one.number, "ident": one.id}
                begun.setdefault(one.service, []).append(self.draft.add(StartContainer(**facts, cause=found[0]), [*found[1], *after]))
        self.ended_before(observed)

    def ended_before(self, observed: Observed) -> None:
        there = {one.id: one for one in observed.containers}
        for place, one in enumerate(self.draft.operations):
            if isinstance(one, StopContainer):
                for leaving in self.shared.left(there[one.ident]):
                    self.draft.order(place, leaving.place)
