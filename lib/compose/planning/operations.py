"""What can be done, as data: one small object for each deed, which says to what, and why. Doing it is the business of ``deeds``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from lib.compose.model import Hook, Network, PreStart, Project, Service, Volume


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One deed: ``resource`` is what it is done to, by the name that people know it by; ``cause`` is why."""

    words: ClassVar[str] = ""  # in a plan: "create container"
    kind: ClassVar[str] = ""  # in the progress: "Container", and what happens to it
    doing: ClassVar[str] = ""
    did: ClassVar[str] = ""
    waits: ClassVar[bool] = False  # it stands still most of its time, so many may at once

    resource: str
    cause: str = ""

    def __str__(self) -> str:
        return f"{self.words} {self.resource}"


# A class without fields of its own needs no ``@dataclass``: it has all that from its parent. Each one takes a quarter of a millisecond.

# -- images, networks, volumes ------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class PullImage(Operation):
    """``policy`` is that of ``pull_policy``."""

    words, kind, doing, did, waits = "pull image", "Image", "Pulling", "Pulled", True
    platform: str = ""
    policy: str = "missing"


@dataclass(frozen=True, kw_only=True)
class BuildImage(Operation):
    """Of what ``build`` says."""

    words, kind, doing, did, waits = "build image", "Image", "Building", "Built", True
    service: Service = field(repr=False)


class RemoveImage(Operation):
    words, kind, doing, did = "remove image", "Image", "Removing", "Removed"


@dataclass(frozen=True, kw_only=True)
class CreateNetwork(Operation):
    """``key`` is what the file calls it."""

    words, kind, doing, did = "create network", "Network", "Creating", "Created"
    key: str
    network: Network = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class RemoveNetwork(Operation):
    """``ident``: another one of that name is somebody's who has been faster."""

    words, kind, doing, did = "remove network", "Network", "Removing", "Removed"
    ident: str


@dataclass(frozen=True, kw_only=True)
class CreateVolume(Operation):
    """``key`` is what the file calls it."""

    words, kind, doing, did = "create volume", "Volume", "Creating", "Created"
    key: str
    volume: Volume = field(repr=False)


class RemoveVolume(Operation):
    words, kind, doing, did = "remove volume", "Volume", "Removing", "Removed"


# -- containers ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class OfContainer(Operation):
    """``ident`` is the id of one that is there; without it the one is meant that the plan makes for this service and number."""

    kind = "Container"
    service: str = ""
    number: int = 0
    ident: str = ""


@dataclass(frozen=True, kw_only=True)
class CreateContainer(OfContainer):
    """It does not run yet."""

    words, doing, did = "create container", "Creating", "Created"
    name: str  # what it is called at first: one that replaces another has that one's name only later
    model: Service = field(repr=False)
    inherits: dict[str, str] = field(default_factory=dict, repr=False)  # volumes without a name: place → volume

    def __str__(self) -> str:
        return f"{self.words} {self.resource}" + (", beside the one that it replaces" if self.name != self.resource else "")


class StartContainer(OfContainer):
    words, doing, did = "start container", "Starting", "Started"


@dataclass(frozen=True, kw_only=True)
class StopContainer(OfContainer):
    """``timeout``: seconds until it is killed; None is its own, or Docker's."""

    words, doing, did, waits = "stop container", "Stopping", "Stopped", True
    timeout: int | None = None


@dataclass(frozen=True, kw_only=True)
class KillContainer(OfContainer):
    """``signal`` as kill(1) has it."""

    words, doing, did = "kill container", "Killing", "Killed"
    signal: str = "KILL"


@dataclass(frozen=True, kw_only=True)
class RemoveContainer(OfContainer):
    """``volumes``: those without a name, too."""

    words, doing, did = "remove container", "Removing", "Removed"
    volumes: bool = False


@dataclass(frozen=True, kw_only=True)
class RenameContainer(OfContainer):
    """``name`` is the new one."""

    words, doing, did = "rename container", "Renaming", "Renamed"
    name: str


@dataclass(frozen=True, kw_only=True)
class ReconnectContainer(OfContainer):
    """One that does not run is to be on the network ``name`` instead of ``network``, as what it was there."""

    words, doing, did = "reconnect container", "Reconnecting", "Reconnected"
    network: str
    name: str

    def __str__(self) -> str:
        return f"{self.words} {self.resource} to network {self.name}"


@dataclass(frozen=True, kw_only=True)
class RunHook(OfContainer):
    """``when`` is the key of the file: ``pre_start``, ``post_start``, ``pre_stop``."""

    doing, did, waits = "Running hook", "Ran hook", True
    when: str
    place: int = 0
    hook: Hook | PreStart = field(repr=False)
    model: Service | None = field(default=None, repr=False)  # of pre_start, which has a container of its own

    def __str__(self) -> str:
        return f"run {self.when}[{self.place}] of {self.resource}"


@dataclass(frozen=True, kw_only=True)
class Wait(Operation):
    """``resource`` is the service. One that is not required may fail: then that is told, and all goes on."""

    kind, doing, did, waits = "Service", "Waiting", "Ready", True
    condition: str
    required: bool = True
    idents: tuple[str, ...] = ()  # those of its containers that are there already
    numbers: tuple[int, ...] = ()  # and those that the plan makes

    def __str__(self) -> str:
        return f"wait for {self.resource}: {self.condition}"


OF_IMAGES = (PullImage, BuildImage)

# -- all of them --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """What is to be done, and in which order: ``after`` has, for each operation, the places of those that come before it."""

    project: Project = field(repr=False)
    operations: tuple[Operation, ...] = ()
    after: tuple[tuple[int, ...], ...] = ()
    warnings: tuple[str, ...] = ()
    kept: dict[str, str] = field(default_factory=dict)  # containers that stay as they are, and why
    services: dict[str, str] = field(default_factory=dict)  # of each of these containers the service
    ready: dict[str, str] = field(default_factory=dict)  # services that are waited for and need not be: as they are to be (the condition)

    def __len__(self) -> int:
        return len(self.operations)

    def __str__(self) -> str:
        lines = [line(number, one, self.after[number - 1]) for number, one in enumerate(self.operations, 1)]
        return "\n".join([*(f"warning: {text}" for text in self.warnings), *lines])

    def only(self, *kinds: type[Operation]) -> Plan:
        """That part of it, with the order that is left."""
        places = [place for place, one in enumerate(self.operations) if isinstance(one, kinds)]
        new = {place: number for number, place in enumerate(places)}
        after = tuple(tuple(new[one] for one in self.after[place] if one in new) for place in places)
        return Plan(self.project, tuple(self.operations[place] for place in places), after)


def line(number: int, one: Operation, after: Sequence[int]) -> str:
    behind = f" (after {', '.join(str(place + 1) for place in sorted(after))})" if after else ""
    return f"{number}. {one}{behind}" + (f" – {one.cause}" if one.cause else "")


class Draft:
    """A plan that is being made."""

    def __init__(self, project: Project):
        self.project = project
        self.operations: list[Operation] = []
        self.after: list[set[int]] = []
        self.warnings: list[str] = []
        self.kept: dict[str, str] = {}
        self.services: dict[str, str] = {}
        self.ready: dict[str, str] = {}

    def add(self, one: Operation, after: Iterable[int] = ()) -> int:
        """Its place."""
        self.operations.append(one)
        self.after.append(set(after))
        return len(self.operations) - 1

    def order(self, first: int, then: int) -> None:
        self.after[then].add(first)

    def plan(self) -> Plan:
        """In an order in which it could be done one by one: what was added first comes first, as far as that is possible."""
        import graphlib

        sorter = graphlib.TopologicalSorter(dict(enumerate(self.after)))
        sorter.prepare()
        order: list[int] = []
        while sorter.is_active():
            ready = sorted(sorter.get_ready())
            order += ready
            sorter.done(*ready)
        new = {old: place for place, old in enumerate(order)}
        after = reduced([{new[one] for one in self.after[old]} for old in order])
        operations = tuple(self.operations[old] for old in order)
        return Plan(self.project, operations, after, tuple(self.warnings), self.kept, self.services, self.ready)


def reduced(after: Sequence[set[int]]) -> tuple[tuple[int, ...], ...]:
    """The same order with nothing in it that follows from the rest; each place comes after all those that it names."""
    before: list[int] = []  # of each place all that comes before it, as bits
    found = []
    for those in after:
        kept, known = [], 0
        for one in sorted(those, reverse=True):
            if not known >> one & 1:
                kept.append(one)
                known |= before[one] | 1 << one
        before.append(known)
        found.append(tuple(reversed(kept)))
    return tuple(found)
