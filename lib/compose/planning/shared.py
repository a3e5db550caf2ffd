"""What containers have in common: images, volumes and networks have to be there before one can be made. Pure, as all of ``up``'s plan."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from lib.compose.planning.observing import Container, Observed, Thing
from lib.compose.planning.operations import (
    BuildImage,
    CreateNetwork,
    CreateVolume,
    Draft,
    PullImage,
    RemoveNetwork,
    RemoveVolume,
)
from lib.compose.planning.wanted import Up
from lib.compose.services import naming

if TYPE_CHECKING:
    from lib.compose.model import Network, Project, Service

SECONDS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
PERIODS = {"daily": "1d", "weekly": "1w"}


def period(policy: str) -> int:
    """``daily``, ``weekly``, ``every_1d12h`` in seconds; 0 for a policy that says nothing of the kind."""
    text = PERIODS.get(policy) or policy.removeprefix("every_") * policy.startswith("every_")
    return sum(int(number) * SECONDS[unit] for number, unit in re.findall("([0-9]{1,9})([wdhms])", text))


class Leaving(NamedTuple):
    """A network that goes: which key of the file it was made for, why, the place of its removal, and what takes its place."""

    key: str
    cause: str
    place: int
    successor: str


class Shared:
    """For one plan: the ``places`` of what comes first, by "network KEY", "volume KEY", "image NAME"; ``renewed``: what is made anew.

    ``leaving`` are the networks that go, by their names.
    """

    def __init__(self, draft: Draft, project: Project, observed: Observed, wishes: Up):
        self.draft, self.project, self.observed, self.wishes = draft, project, observed, wishes
        self.places: dict[str, int] = {}
        self.renewed: dict[str, str] = {}
        self.leaving: dict[str, Leaving] = {}

    def plan(self, services: list[Service]) -> None:
        """Raises ``ValueError``."""
        self.images(services)
        self.volumes(services)
        self.networks(services)

    def before(self, service: Service) -> list[int]:
        """What comes before one of its containers is made."""
        words = [f"image {naming.image(self.project, service)}", *self.uses(service)]
        return [self.places[word] for word in words if word in self.places]

    def in_the_way(self, service: Service) -> list[int]:
        """The removals of volumes that the service uses, and that are made anew."""
        words = [f"without {word}" for word in self.uses(service)]
        return [self.places[word] for word in words if word in self.places]

    def left(self, one: Container) -> list[Leaving]:
        """The networks that go, as far as it is on them."""
        return [self.leaving[name] for name in one.networks if name in self.leaving]

    def uses(self, service: Service) -> list[str]:
        networks = [] if service.network_mode else service.networks or ["default"]
        volumes = [one.source for one in service.volumes if one.type == "volume" and one.source]
        return [*(f"network {key}" for key in networks), *(f"volume {key}" for key in volumes)]

    def images(self, services: list[Service]) -> None:
        if not self.wishes.images:
            return
        for service in services:
            name = naming.image(self.project, service)
            policy, missing = self.wishes.pull or service.pull_policy or "missing", name not in self.observed.images
            if service.build and (missing or self.wishes.build or policy == "build"):
                cause = "it is not here" if missing else "it is to be built anew"
                self.places[f"image {name}"] = self.draft.add(BuildImage(resource=name, cause=cause, service=service))
            elif not service.build and f"image {name}" not in self.places and (cause := self.to_pull(name, policy)):
                one = PullImage(resource=name, cause=cause, platform=service.platform, policy="missing" if missing else "always")
                self.places[f"image {name}"] = self.draft.add(one)
        for service in services:
            for base in naming.bases(service):
                self.after(f"image {naming.image(self.project, service)}", self.project.services.get(base))

    def to_pull(self, name: str, policy: str) -> str:
        """Why an image is to be pulled, or nothing."""
        if name not in self.observed.images:
            return "it is not here" if policy != "never" else ""
        if policy == "always":
            return "there may be a newer one"
        most = period(policy)
        return f"it is older than pull_policy {policy} allows" if most and self.observed.ages.get(name, 0) > most else ""

    def after(self, word: str, base: Service | None) -> None:
        """An image that is built from another one comes after that, where both are built."""
        first = f"image {naming.image(self.project, base)}" if base else ""
        if word in self.places and first in self.places:
            self.draft.order(self.places[first], self.places[word])

    def volumes(self, services: list[Service]) -> None:
        wanted = dict.fromkeys(one.source for service in services for one in service.volumes if one.type == "volume" and one.source)
        for key in self.project.volumes if self.wishes.all_resources else wanted:
            one = self.project.volumes.get(key)
            if one is None:
                raise ValueError(f"volume {key} is used by a service, but the file's volumes do not name it")
            there = self.observed.volumes.get(one.name)
            if one.external:
                if there is None:
                    raise ValueError(f'external volume "{one.name}" not found: suitcase volume create {one.name} makes it')
            elif there is None:
                self.places[f"volume {key}"] = self.draft.add(
                    CreateVolume(resource=one.name, cause="it is not there yet", key=key, volume=one)
                )
            elif there.project == self.project.name and there.hash != naming.of_shared(one):
                self.changed_volume(key, one)
            elif there.project != self.project.name:
                self.draft.warnings.append(f"volume {one.name} was not made by this project: with external: true that is meant")

    def changed_volume(self, key: str, one) -> None:
        if not self.wishes.recreate_volumes:
            words = f"volume {one.name} is described otherwise than when it was made: it stays as it is, as does what is in it"
            self.draft.warnings.append(words)
            return
        cause = f"volume {key} is described otherwise now"
        self.renewed[f"volume {key}"] = cause
        gone = self.draft.add(RemoveVolume(resource=one.name, cause=cause))
        self.places[f"without volume {key}"] = gone
        self.places[f"volume {key}"] = self.draft.add(CreateVolume(resource=one.name, cause=cause, key=key, volume=one), [gone])

    def keys_of_networks(self, services: list[Service]) -> list[str]:
        if self.wishes.all_resources:
            return list(self.project.networks)
        return list(dict.fromkeys(key for service in services if not service.network_mode for key in service.networks or ["default"]))

    def networks(self, services: list[Service]) -> None:
        """Those that are missing. Raises ``ValueError``."""
        for key in self.keys_of_networks(services):
            one = self.project.networks.get(key)
            if one is None:
                raise ValueError(f"network {key} is used by a service, but the file's networks do not name it")
            there = self.observed.networks.get(one.name)
            if one.external:
                if there is None:
                    raise ValueError(f"network {one.name} declared as external, but could not be found")
            elif there is None:
                self.places[f"network {key}"] = self.draft.add(
                    CreateNetwork(resource=one.name, cause="it is not there yet", key=key, network=one)
                )
            elif there.project != self.project.name:
                words = f'a network with name {one.name} exists but was not created for project "{self.project.name}"'
                self.draft.warnings.append(f"{words}: with external: true that is meant")

    def changed_networks(self, services: list[Service]) -> None:
        """Raises ``ValueError``."""
        for key in self.keys_of_networks(services):
            self.changed_network(key, self.project.networks[key])

    def changed_network(self, key: str, one: Network) -> None:
        """It goes, and comes again as the file says now. Under another name the new one is there first. Raises ``ValueError``."""
        if one.external:
            return
        there, named = self.observed.networks.get(one.name), {other.name for other in self.project.networks.values()}
        for old in self.observed.own(self.observed.networks):
            if old.key == key and old.name not in named:
                self.leaves(old, key, f"network {key} is called {one.name} now", one)
        if there and there.project == self.project.name and there.hash != naming.of_shared(one):
            cause = f"network {key} is described otherwise now"
            if there.guests:
                words = f"{cause}, so it has to be made anew, and others are on it"
                way_out = "; ".join(f"suitcase network disconnect {one.name} {guest}" for guest in there.guests)
                raise ValueError(f"{words} ({', '.join(there.guests)}), who would lose it. To take them off: {way_out}")
            gone = self.leaves(there, key, cause, one)
            self.places[f"network {key}"] = self.draft.add(CreateNetwork(resource=one.name, cause=cause, key=key, network=one), [gone])

    def leaves(self, old: Thing, key: str, cause: str, one: Network) -> int:
        place = self.draft.add(RemoveNetwork(resource=old.name, ident=old.id, cause=cause))
        self.leaving[old.name] = Leaving(key, cause, place, one.name)
        return place
