"""Each operation of a plan, done: with the verbs that the engine has already. One thread does one.

Who takes away need not wait until all is loaded that could make something.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from lib.compose.acting import waiting
from lib.compose.acting.stopping import Stop
from lib.compose.planning.operations import (
    BuildImage,
    CreateContainer,
    CreateNetwork,
    CreateVolume,
    OfContainer,
    Operation,
    PullImage,
    ReconnectContainer,
    RemoveContainer,
    RemoveImage,
    RemoveNetwork,
    RemoveVolume,
    RenameContainer,
    RunHook,
    StartContainer,
    StopContainer,
    Wait,
)
from lib.compose.services import naming
from lib.engine import ending
from lib.images import Library, StoreError
from lib.state import kept

if TYPE_CHECKING:
    from lib.compose.model import Project

Tell = Callable[[str], object]


class StillInUse(Exception):
    """Somebody else has it, so it stays."""


@contextmanager
def still_in_use(*kinds: type[Exception]) -> Iterator[None]:
    try:
        yield
    except kinds as error:
        raise StillInUse(str(error)) from None


class Deeds:
    """For one plan that is carried out: the containers that it has made are known by their service and number."""

    def __init__(self, library: Library, project: Project, stop: Stop, warn: Tell):
        self.library, self.project, self.stop, self.warn = library, project, stop, warn
        self.working = threading.BoundedSemaphore(room())  # whoever works, and does not only wait, has one of its places
        self.signalling = threading.BoundedSemaphore(room())  # of its own: nobody lives on because others are still being settled
        self.made: dict[tuple[str, int], dict] = {}
        self.ended: dict[str, tuple[Operation, ending.Stopping]] = {}  # by id; they may have an address still, and what else they had
        self.how = {
            PullImage: self.pull, BuildImage: self.build, RemoveImage: self.remove_image, CreateNetwork: self.create_network,
            RemoveNetwork: self.remove_network, CreateVolume: self.create_volume, RemoveVolume: self.remove_volume,
            CreateContainer: self.create, StartContainer: self.start, StopContainer: self.end, RemoveContainer: self.remove,
            RenameContainer: self.rename, ReconnectContainer: self.reconnect, RunHook: self.run_hook, Wait: self.wait,
        }  # fmt: skip

    def do(self, one: Operation, tell: Tell) -> None:
        """Raises whatever keeps it from being done; ``tell`` hears of what goes on meanwhile."""
        self.how[type(one)](one, tell)

    # -- images, networks, volumes

    def pull(self, one: PullImage, tell: Tell) -> None:
        from lib.compose.acting import images

        images.pull(self.library, one.resource, one.policy, one.platform, tell, self.stop)

    def build(self, one: BuildImage, tell: Tell) -> None:
        from lib.compose.acting import images

        said = images.options(self.library, self.project, one.service)
        images.build(self.library, said, lambda what, step, text: tell(text) if what == "output" else None, self.stop)

    def remove_image(self, one: RemoveImage, tell: Tell) -> None:
        from lib.compose.acting import images

        with still_in_use(StoreError):
            images.remove(self.library, one.resource)

    def create_network(self, one: CreateNetwork, tell: Tell) -> None:
        from lib import network

        said = one.network
        if said.driver not in ("", "default", "bridge"):
            raise ValueError(f"network {one.key}: there is no driver {said.driver} here, only bridge")
        pools = said.ipam.config if said.ipam else []
        labels = naming.labels_of(self.project, "network", one.key, said)
        try:
            network.create(
                said.name,
                subnets=[pool.subnet for pool in pools if pool.subnet],
                gateways=[pool.gateway for pool in pools if pool.gateway],
                ranges=[pool.ip_range for pool in pools if pool.ip_range],
                ipv4=said.enable_ipv4 is not False,
                ipv6=bool(said.enable_ipv6),
                internal=said.internal,
                options=said.driver_opts,
                labels=labels,
            )
        except network.NetworkError:
            if all((there.name, there.labels) != (said.name, labels) for there in network.every()):
                raise  # else another `up` of the same project has been faster

    def remove_network(self, one: RemoveNetwork, tell: Tell) -> None:
        from lib import network

        for _, error in self.settle():  # until then, they are on it
            raise error
        for there in network.every():
            if (there.name, there.id) == (one.resource, one.ident):
                with still_in_use(network.NetworkError):
                    network.remove(there)

    def create_volume(self, one: CreateVolume, tell: Tell) -> None:
        from lib.compose.services import mounts
        from lib.engine.volumes import store

        if one.volume.driver not in ("", "default", "local"):
            raise ValueError(f"volume {one.key}: there is no driver {one.volume.driver} here, only local")
        store.create(one.volume.name, **mounts.described(self.project)[one.volume.name])

    def remove_volume(self, one: RemoveVolume, tell: Tell) -> None:
        from lib.engine.volumes import store

        with suppress(store.NoSuchVolume), still_in_use(store.VolumeInUse):
            store.remove(one.resource)

    # -- containers

    def facts(self, one: OfContainer) -> dict:
        """As they are now. Raises ``FileNotFoundError`` if somebody has taken it away."""
        ident = one.ident or self.made[one.service, one.number]["id"]
        if ident in self.ended:
            self.ended[ident][1].settle()
        return kept.load(kept.place(ident))

    def other(self, service: str) -> dict:
        """Some container of another service: one that was made now, or one that was there. Raises ``LookupError``."""
        made = [facts for (name, _), facts in sorted(self.made.items()) if name == service]
        there = (facts for facts in kept.every() if self.is_of(facts, service))
        found = made or sorted(there, key=lambda facts: facts["compose"]["number"])
        if not found:
            raise LookupError(f"service {service} has no container")
        return found[0]

    def is_of(self, facts: dict, service: str) -> bool:
        mark = facts.get("compose") or {}
        whose = (mark.get("project"), mark.get("service"), mark.get("oneoff"))
        return whose == (self.project.name, service, False) and facts["state"]["status"] != "removing"

    def create(self, one: CreateContainer, tell: Tell) -> None:
        from lib.compose.acting import images
        from lib.compose.services import mounts, translation
        from lib.engine import lifecycle, wishes

        image = images.of(self.library, self.project, one.model)
        wanted = translation.Wanted(self.project, one.model, one.number, inherits=one.inherits, other=self.other)
        with wishes.kept(image):
            facts = translation.facts(wanted, image)
            volumes = mounts.described(self.project)
            self.made[one.service, one.number] = lifecycle.create(self.library, facts, one.name, volumes=volumes, tell=self.warn)

    def start(self, one: StartContainer, tell: Tell) -> None:
        from lib.engine import lifecycle

        lifecycle.start(self.library, kept.place(self.facts(one)))

    def end(self, one: StopContainer, tell: Tell) -> None:
        """Only its process: those that it depends on need not wait until its network is put back, too. Who does something with it does."""
        with suppress(FileNotFoundError):  # it has gone
            for stopped in ending.end_all([self.facts(one)], one.timeout, until=self.stop.fd, turn=self.signalling):
                self.ended[stopped.facts["id"]] = one, stopped
            self.stop.check()

    def settle(self) -> Iterator[tuple[Operation, Exception]]:
        """Wait until all are settled that have ended; gives those with which that went wrong, and why."""
        for one, stopped in list(self.ended.values()):
            try:
                stopped.settle()
            except OSError as error:
                yield one, error

    def remove(self, one: RemoveContainer, tell: Tell) -> None:
        with suppress(FileNotFoundError):
            ending.remove(self.facts(one), volumes=one.volumes)

    def rename(self, one: RenameContainer, tell: Tell) -> None:
        ending.rename(self.facts(one), one.name)

    def reconnect(self, one: ReconnectContainer, tell: Tell) -> None:
        from lib.engine.networks import connecting

        connecting.move(self.facts(one), one.network, one.name)

    def run_hook(self, one: RunHook, tell: Tell) -> None:
        from lib.compose.acting import hooks

        if one.when == "pre_start":
            hooks.before(self.library, self.project, self.stop, one, self.facts(one), self.other, self.warn)
        else:
            hooks.inside(self.library, self.stop, one, self.facts(one))

    def wait(self, one: Wait, tell: Tell) -> None:
        idents = [*one.idents, *(self.made[one.resource, number]["id"] for number in one.numbers)]
        waiting.until(one.resource, idents, one.condition, self.stop)


def room() -> int:
    """How many may do something at a time: starting a container is work for a processor, twice as many as there are keep them busy."""
    return 2 * len(os.sched_getaffinity(0))
