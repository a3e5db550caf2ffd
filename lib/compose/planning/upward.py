"""The plan of ``up``: from what the file wants and what is there to what has to be done. Pure; nothing here looks at the machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from lib.compose.planning.observing import SATISFIED, Container, Observed
from lib.compose.planning.operations import (
    CreateContainer,
    Draft,
    Plan,
    RenameContainer,
    RunHook,
    StartContainer,
    Wait,
)
from lib.compose.planning.reasons import Reasons
from lib.compose.planning.reconnecting import Reconnecting
from lib.compose.planning.shared import Shared
from lib.compose.planning.taking import Taking, left_behind, orphans
from lib.compose.planning.wanted import Up
from lib.compose.services import connections, dependencies, naming

if TYPE_CHECKING:
    from lib.compose.model import Project, Service

MANY = 10_000  # containers of a service: more is a slip of the pen
MOST = 8  # letters of an id before the name of a container that replaces another


def plan(project: Project, observed: Observed, wishes: Up) -> Plan:
    """Raises ``ValueError`` for what cannot be: a circle, a network of somebody else's that is not there, a name for several containers."""
    return Upward(project, observed, wishes).plan()


class Upward:
    """What is known while it is made: of each service, who has to be made and started before others may."""

    def __init__(self, project: Project, observed: Observed, wishes: Up):
        self.project, self.observed, self.wishes = project, observed, wishes
        self.draft = Draft(project)
        self.taking = Taking(self.draft, wishes.timeout)
        self.names = dependencies.chosen(project, wishes.services, wishes.no_deps)
        self.services = [project.services[name] for name in self.names]
        self.shared = Shared(self.draft, project, observed, wishes)
        self.created: dict[str, list[int]] = {name: [] for name in self.names}
        self.ready: dict[str, list[int]] = {name: [] for name in self.names}
        self.standing: dict[str, list[Container]] = {name: [] for name in self.names}  # that stay as they are
        self.numbers: dict[str, list[int]] = {name: [] for name in self.names}  # of those that are made
        self.replaced: dict[str, str] = {}  # services of which a container is made anew, and why
        self.giving_way: dict[tuple[str, int], tuple[Container, str, str]] = {}  # the old ones that go only when the new ones run
        self.cleared: dict[str, int] = {}  # what an interrupted command has left, by its name: where that is taken away
        self.waits: dict[tuple, int] = {}
        self.reasons = Reasons(project, observed, wishes, self.shared, self.replaced)
        self.reconnecting = Reconnecting(self.draft, project, self.shared, self.taking)

    def plan(self) -> Plan:
        self.shared.plan(self.services)
        self.shared.changed_networks(self.services)
        for one in self.observed.containers:
            if one.abandoned:
                left_behind(self.draft, one)
        for service in self.services:
            self.containers(service)
        if self.wishes.start:
            for service in self.services:
                self.starts(service)
            if self.wishes.wait:
                for service in self.services:
                    ends = dependencies.is_to_end(map(dependencies.of, self.services), service.name)
                    self.wait_for(service.name, "service_completed_successfully" if ends else "running_or_healthy", True, "--wait")
        if not self.wishes.ignore_orphans:
            orphans(self.taking, self.project, self.observed, self.wishes.remove_orphans)
        if self.shared.leaving:
            self.reconnecting.bystanders(self.observed, self.names, self.ready)
        return self.draft.plan()

    # -- containers

    def containers(self, service: Service) -> None:
        """Which stay, which go, which are made."""
        count = self.wishes.scale.get(service.name, service.replicas)
        if count > MANY:
            raise ValueError(f"service {service.name}: {count} containers are more than this machine could have, {MANY} at most")
        if service.container_name and count > 1:
            raise ValueError(
                f"service {service.name} has the container_name {service.container_name}, and {count} containers cannot have one name: "
                "take container_name out of the file, or ask for one"
            )
        if words := connections.clash(service, count):
            self.draft.warnings.append(words)
        there = self.without_leftovers(service)
        causes = {one.id: self.reasons.to_recreate(service, one) for one in there}
        there.sort(key=lambda one: (bool(causes[one.id]), one.number))  # who would be made anew goes before who may stay
        for one in there[count:]:
            self.taking.away(one, f"{service.name} is scaled down to {count}")
        for one in there[:count]:
            self.settle(service, one, causes[one.id])
        highest = max((one.number for one in there), default=0)
        for number in range(highest + 1, highest + 1 + count - len(there)):
            cause = "there is none yet" if not there else f"{service.name} is scaled up to {count}"
            self.create(service, number, naming.container(self.project, service, number), cause)

    def without_leftovers(self, service: Service) -> list[Container]:
        """Of two with one number, that which has the name: the other was to replace it, and somebody has been interrupted then."""
        found: dict[int, Container] = {}
        for one in self.observed.of(service.name):
            if one.going:
                self.cleared[one.name] = self.taking.away(one, "it was being removed")
                continue
            other = found.setdefault(one.number, one)
            if other is not one:
                named = naming.container(self.project, service, one.number)
                stays, goes = (one, other) if one.name == named else (other, one)
                found[one.number] = stays
                self.cleared[goes.name] = self.taking.away(goes, "an interrupted command has left it", volumes=True)
        return list(found.values())

    def free(self, name: str) -> list[int]:
        """What must have gone before this name can be given."""
        return [self.cleared[name]] if name in self.cleared else []

    def settle(self, service: Service, one: Container, cause: str) -> None:
        """Is it as it is to be? The cause says why not."""
        if cause:
            self.replaced.setdefault(service.name, cause)
            self.recreate(service, one, cause)
            return
        self.reconnecting.settle(one)
        self.standing[service.name].append(one)
        self.draft.kept[one.name] = self.reasons.to_keep(service, one)
        name = naming.container(self.project, service, one.number)
        self.draft.services[one.name] = service.name
        if one.name != name:
            self.draft.add(self.named(one, name), self.free(name))

    def named(self, one: Container, name: str) -> RenameContainer:
        return RenameContainer(resource=one.name, name=name, cause="that is its name", service=one.service, number=one.number, ident=one.id)

    def create(
        self, service: Service, number: int, name: str, cause: str, *, first: str = "", inherits: Mapping[str, str] | None = None,
        after: Iterable[int] = (),
    ) -> int:  # fmt: skip
        """``first`` is what it is called until the one that it replaces has gone, whose volumes without a name it ``inherits``."""
        after = [*after, *self.shared.before(service), *self.free(first or name)]
        for other in [*dependencies.hosts(service), *dependencies.lenders(service)]:
            after += self.created.get(other, [])
        one = CreateContainer(resource=name, name=first or name, cause=cause, service=service.name, number=number, model=service,
                              inherits={} if self.wishes.renew_volumes else dict(inherits or {}))  # fmt: skip
        place = self.draft.add(one, after)
        self.created[service.name].append(place)
        self.numbers[service.name].append(number)
        return place

    def recreate(self, service: Service, old: Container, cause: str) -> None:
        """The new one is made beside the old one, if nothing that the old one has must go first; so little time passes between them."""
        name = naming.container(self.project, service, old.number)
        if volumes := self.shared.in_the_way(service):
            gone = self.taking.away(old, cause)
            self.before_these(volumes, gone)
            self.create(service, old.number, name, cause, after=[gone])
            return
        first_off = bool(self.shared.left(old))
        stopped = self.taking.stop(old, cause) if first_off else []
        first = f"{old.id[:MOST]}_{name}"
        made = self.create(service, old.number, name, cause, first=first, inherits=old.anonymous)
        if not first_off and self.is_start_first(service):
            self.giving_way[service.name, old.number] = (old, cause, name)
            return
        stopped = stopped or self.taking.stop(old, cause, [made])
        gone = self.taking.remove(old, cause, [made, *stopped])
        self.created[service.name].append(self.draft.add(self.renamed(service, old.number, name), [made, gone]))

    def is_start_first(self, service: Service) -> bool:
        update = service.deploy.update_config if service.deploy else None
        return bool(update and update.order == "start-first" and self.wishes.start)

    def before_these(self, removals: list[int], *places: int) -> None:
        for removal in removals:
            for place in places:
                self.draft.order(place, removal)

    def renamed(self, service: Service, number: int, name: str) -> RenameContainer:
        return RenameContainer(resource=name, name=name, cause="the name is free now", service=service.name, number=number)

    # -- starts

    def starts(self, service: Service) -> None:
        waits = self.needs(service) if self.standing[service.name] or self.numbers[service.name] else []
        once: list[int] = []
        for ident, number, name, cause, own in self.to_start(service):
            after = [*own, *waits, *self.shared.before(service)]
            hooks, once = self.before(service, ident, number, name, after, once)
            one = StartContainer(resource=name, cause=cause, service=service.name, number=number, ident=ident)
            place = self.draft.add(one, [*after, *hooks])
            self.ready[service.name].append(self.behind(service, ident, number, name, place))
            if found := self.giving_way.get((service.name, number)):
                self.give_way(service, *found, place)

    def to_start(self, service: Service):
        """Of each one that does not run: id, number, name, cause, and what comes before."""
        stopped = self.stopped_for(service)
        for one in self.standing[service.name]:
            if one.id in self.reconnecting.again:
                yield one.id, one.number, one.name, *self.reconnecting.again[one.id]
            elif one.name in stopped:
                yield one.id, one.number, one.name, stopped[one.name][0], [stopped[one.name][1]]
            elif not one.up:
                ended = f"it has ended, with exit code {one.exit_code}" if one.status == "exited" else "it was not started"
                yield one.id, one.number, one.name, ended, []
        for number in self.numbers[service.name]:
            name = naming.container(self.project, service, number)
            places = self.created[service.name]
            own = [place for place in places if self.draft.operations[place].number == number]
            yield "", number, name, "", own

    def stopped_for(self, service: Service) -> dict[str, tuple[str, int]]:
        """Those that run, and are stopped because one that they depend on (``restart: true``) is made anew: cause and place."""
        found: dict[str, tuple[str, int]] = {}
        others = [other for other, how in dependencies.of(service).items() if how.restart and other in self.replaced]
        for one in self.standing[service.name] if others else ():
            if one.up and one.id not in self.reconnecting.again:
                cause = f"{others[0]}, which it depends on, is made anew"
                *_, place = self.taking.stop(one, cause, self.made_beside(others))
                found[one.name] = (cause, place)
                for other in others:
                    self.before_these(self.taking.stops.get(other, []), place)
        return found

    def made_beside(self, names: list[str]) -> list[int]:
        """The makings of these services' new containers, as far as the old ones need not go before."""
        beside = [name for name in names if not self.goes_first(name)]
        return [place for name in beside for place in self.created[name] if isinstance(self.draft.operations[place], CreateContainer)]

    def goes_first(self, name: str) -> bool:
        """Must its old containers have stopped before new ones are made?"""
        return bool(self.shared.in_the_way(self.project.services[name])) or any(map(self.shared.left, self.observed.of(name)))

    def needs(self, service: Service) -> list[int]:
        """What must have happened before it may start."""
        found: list[int] = []
        for other, how in dependencies.of(service).items():
            if other not in self.ready:
                continue
            if how.condition == "service_started":
                found += self.ready[other]
            else:
                found += self.wait_for(other, how.condition, how.required, f"{service.name} depends on it")
        return found

    def wait_for(self, other: str, condition: str, required: bool, cause: str) -> list[int]:
        key = (other, condition, required)
        if key not in self.waits:
            standing = self.standing[other]
            if not self.ready[other] and all(SATISFIED[condition](one) for one in standing):
                self.draft.ready[other] = condition
                return []
            idents = tuple(one.id for one in standing)
            numbers = tuple(self.numbers[other])
            one = Wait(resource=other, cause=cause, condition=condition, required=required, idents=idents, numbers=numbers)
            self.waits[key] = self.draft.add(one, self.ready[other])
        return [self.waits[key]]

    # -- hooks

    def before(
        self, service: Service, ident: str, number: int, name: str, after: list[int], once: list[int]
    ) -> tuple[list[int], list[int]]:  # fmt: skip
        """``pre_start``, one after the other; what is not for each replica is run for the first one only."""
        places: list[int] = []
        again = self.reconnecting.again
        runs = any(one.up and one.id not in again for one in self.standing[service.name])  # then all that is to be done before is done
        for place, hook in enumerate([] if runs else service.pre_start):
            if hook.per_replica or not once:
                facts = {"resource": name, "service": service.name, "number": number, "ident": ident}
                one = RunHook(**facts, when="pre_start", place=place, hook=hook, model=service)
                places.append(self.draft.add(one, [*after, *places[-1:]]))
        return [*places, *once], once or places

    def behind(self, service: Service, ident: str, number: int, name: str, place: int) -> int:
        """``post_start``; the place of the last thing that makes it ready."""
        for index, hook in enumerate(service.post_start):
            one = RunHook(resource=name, service=service.name, number=number, ident=ident, when="post_start", place=index, hook=hook)
            place = self.draft.add(one, [place])
        return place

    def give_way(self, service: Service, old: Container, cause: str, name: str, started: int) -> None:
        """``start-first``: the new one runs, so the old one may go."""
        after = [self.ready[service.name][-1]]
        if service.healthcheck and not service.healthcheck.disable:
            wait = Wait(resource=service.name, cause="start-first", condition="service_healthy", numbers=(old.number,))
            after = [self.draft.add(wait, after)]
        gone = self.taking.remove(old, cause, self.taking.stop(old, cause, after) or after)
        self.draft.add(self.renamed(service, old.number, name), [gone])
