"""What containers have in common: images, volumes and networks have to be there before one can be made. Pure, as all of ``up``'s plan."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lib.compose.planning.observing import Observed
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
    from lib.compose.model import Project, Service

SECONDS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
PERIODS = {"daily": "1d", "weekly": "1w"}


def period(policy: str) -> int:
    """``daily``, ``weekly``, ``every_1d12h`` in seconds; 0 for a policy that says nothing of the kind."""
    text = PERIODS.get(policy) or policy.removeprefix("every_") * policy.startswith("every_")
    return sum(int(number) * SECONDS[unit] for number, unit in re.findall("([0-9]{1,9})([wdhms])", text))


class Shared:
    """For one plan: the ``places`` of what comes first, by "network KEY", "volume KEY", "image NAME"; ``renewed``: what is made anew."""

    def __init__(self, draft: Draft, project: Project, observed: Observed, wishes: Up):
        self.draft, self.project, self.observed, self.wishes = draft, project, observed, wishes
        self.places: dict[str, int] = {}
        self.renewed: dict[str, str] = {}

    def plan(self, services: list[Service]) -> None:
        """Raises ``ValueError``."""
        self.images(services)
        self.volumes(services)
        self.networks(services)

    def before(self, service: Service) -> list[int]:
        """What comes before one of its containers is made."""
        words = [f"image {naming.image(self.project, service)}", *self.uses(service)]
        return [self.places[word] for word in words if word in self.places]

    def in_the_way(self, service: Service, kind: str) -> list[int]:
        """The removals of networks or volumes that the service uses, and that are made anew."""
        words = [f"without {word}" for word in self.uses(service) if word.startswith(kind)]
        return [self.places[word] for word in words if word in self.places]

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
        for key in wanted:
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

    def networks(self, services: list[Service]) -> None:
        for key in dict.fromkeys(key for service in services if not service.network_mode for key in service.networks or ["default"]):
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
            elif there.hash != naming.of_shared(one) and not self.wishes.no_recreate:
                self.renewed[f"network {key}"] = cause = f"network {key} is described otherwise now"
                gone = self.draft.add(RemoveNetwork(resource=one.name, cause=cause))
                self.places[f"without network {key}"] = gone
                self.places[f"network {key}"] = self.draft.add(CreateNetwork(resource=one.name, cause=cause, key=key, network=one), [gone])
