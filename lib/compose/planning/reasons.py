"""Why a container is made anew, or stays as it is: in words, as ``why`` tells them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lib.compose.planning.observing import Container, Observed
from lib.compose.planning.shared import Shared
from lib.compose.planning.wanted import Up
from lib.compose.services import dependencies, naming

if TYPE_CHECKING:
    from lib.compose.model import Project, Service


class Reasons:
    """For one plan; ``replaced`` are the services of which a container is made anew, as far as that is known."""

    def __init__(self, project: Project, observed: Observed, wishes: Up, shared: Shared, replaced: dict[str, str]):
        self.project, self.observed, self.wishes, self.shared, self.replaced = project, observed, wishes, shared, replaced

    def to_recreate(self, service: Service, one: Container) -> str:
        """The cause, or nothing."""
        wishes = self.wishes
        if wishes.no_recreate:
            return ""
        named = not wishes.services or service.name in wishes.services
        if (wishes.force_recreate and named) or (wishes.always_recreate_deps and not named):
            return "that was asked for"
        if names := changed(one.keys, naming.keys(self.project, service)):
            return f"its configuration has changed: {', '.join(names)}"
        name = naming.image(self.project, service)
        if (here := self.observed.images.get(name)) and here != one.image:
            return f"image {name} is another one now"
        for word in self.shared.uses(service):
            if word in self.shared.renewed:
                return self.shared.renewed[word]
        if name := self.missing(service, one):
            return f"it is not on network {name}"
        if name := self.unmounted(service, one):
            return f"it does not have volume {name}"
        for other in dependencies.hosts(service):
            if other in self.replaced:
                return f"it lives in a namespace of {other}, which is made anew"
        return ""

    def missing(self, service: Service, one: Container) -> str:
        """A network that it is to be on and is not; from one that goes it comes to the one that takes its place."""
        on = {*one.networks, *(leaving.successor for leaving in self.shared.left(one))}
        wanted = [] if service.network_mode else service.networks or ["default"]
        return next((name for key in wanted if (name := self.project.networks[key].name) not in on), "")

    def unmounted(self, service: Service, one: Container) -> str:
        """The volume that another one has the place of: it was given another name in the file."""
        wanted = {said.target: self.project.volumes[said.source].name for said in service.volumes if said.type == "volume" and said.source}
        return next((name for place, name in wanted.items() if one.volumes.get(os.path.normpath(place), name) != name), "")

    def to_keep(self, service: Service, one: Container) -> str:
        if self.wishes.no_recreate:
            return "--no-recreate: nothing that is there is made anew"
        return f"its configuration and image {naming.image(self.project, service)} are those that it was made from"


def changed(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """The keys that are not what they were."""
    return sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
