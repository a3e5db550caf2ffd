"""Networks on disk: what was asked for, and the addresses that were found for it. What of it is alive, ``state.shared`` knows.

``bridge`` (the default one), ``host`` and ``none`` are always there; the first is written down when it is first needed.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from lib import state
from lib.atomicfile import atomic_file
from lib.network import pools
from lib.state import events, leases

VERSION = 1
SHORT = 12  # digits of an id that name its files
DRIVERS = {"bridge": "bridge", "host": "host", "none": "null"}  # of the predefined ones
IDS = {  # and the sha256 of their names, written out: to load what computes it would take as long as reading a dozen networks
    "bridge": "17f29b073143d8cd97b5bbe492bdeffec1c5fee55cc1fe2112c8b9335f8b6121",
    "host": "4740ae6347b0172c01254ff55bae5aff5199f4446e7f6d643d40185b3f475145",
    "none": "140bedbf9c3f6d56a9846d2ba7088798683f4da0c248231336e6a05679e4fdfe",
}
DEFAULT = "bridge"
NAME = "[a-zA-Z0-9][a-zA-Z0-9_.-]*"


class NetworkError(ValueError):
    """What cannot be done with a network, in Docker's words."""


@dataclass
class Network:
    """One network. ``pools`` has an entry for each family: subnet, gateway, and the range that addresses are taken from (or "")."""

    id: str
    name: str
    driver: str = "bridge"
    pools: list[dict] = field(default_factory=list)
    internal: bool = False
    options: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    created: str = ""

    @property
    def alive(self) -> Path:
        """Where its members are written down, as long as there are any. See ``state.shared``."""
        return state.runtime_dir() / "networks" / self.id[:SHORT]

    @property
    def members(self) -> dict[str, dict]:
        """Who is on it, by the first digits of the container's id."""
        return leases.everybody(self.alive)

    @property
    def bridge(self) -> str:
        """The name of its bridge: at most 15 letters, as the kernel has it."""
        return self.options.get("com.docker.network.bridge.name") or f"suitcase-{self.id[:6]}"

    @property
    def user_defined(self) -> bool:
        return self.name not in DRIVERS

    def gateway(self, version: int = 4) -> str | None:
        return next((one["gateway"] for one in self.pools if pools.version(one) == version), None)


def folder() -> Path:
    return state.store() / "networks"


@contextmanager
def changing() -> Iterator[None]:
    """Nobody else makes or removes a network meanwhile, here or in another process."""
    lock = os.open(state.folder("networks") / ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


# -- finding ------------------------------------------------------------------------------------------------------------


def written() -> list[Network]:
    """Those on disk, by name."""
    found = []
    for path in folder().glob("*.json"):
        with suppress(FileNotFoundError):
            facts = json.loads(path.read_bytes())
            if facts.pop("version") != VERSION:
                raise NetworkError(f"{path} was written by another suitcase: this one reads version {VERSION}")
            found.append(Network(**facts))
    return sorted(found, key=lambda one: one.name)


def every() -> list[Network]:
    """All of them, the predefined ones too."""
    there = written()
    names = {one.name for one in there}
    fixed = [Network(IDS[name], name, DRIVERS[name]) for name in DRIVERS if name not in names]
    return sorted([*there, *fixed], key=lambda one: one.name)


def find(name: str) -> Network:
    """By its name, its id, or how that begins. Raises ``NetworkError``."""
    if name == DEFAULT:
        return default()
    there = every()
    for fits in (lambda one: one.name == name, lambda one: one.id == name, lambda one: one.id.startswith(name)):
        found = [one for one in there if fits(one)]
        if len(found) > 1:
            raise NetworkError(f"network {name} is ambiguous ({len(found)} matches found based on ID prefix)")
        if found:
            return found[0]
    raise NetworkError(f"network {name} not found")


def default() -> Network:
    """The default bridge; it is given its addresses when it is first asked for."""
    named = next((one for one in written() if one.name == DEFAULT), None)
    if named:
        return named
    with changing():
        named = next((one for one in written() if one.name == DEFAULT), None)
        return named or made(DEFAULT, pools.wanted(taken=in_use()))


# -- making and removing ------------------------------------------------------------------------------------------------


def create(
    name: str, *, subnets: Sequence[str] = (), gateways: Sequence[str] = (), ranges: Sequence[str] = (), ipv4: bool = True,
    ipv6: bool = False, internal: bool = False, options: dict[str, str] | None = None, labels: dict[str, str] | None = None,
) -> Network:  # fmt: skip
    """``docker network create``: a bridge of its own, with addresses that nobody else on this machine has. Raises ``NetworkError``."""
    if not re.fullmatch(NAME, name):
        raise NetworkError(f"invalid network name {name!r}: only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
    with changing():
        if any(one.name == name for one in every()):
            raise NetworkError(f"network with name {name} already exists")
        try:
            chosen = pools.wanted(subnets, gateways, ranges, ipv4, ipv6, in_use())
        except ValueError as error:
            raise NetworkError(str(error)) from None
        return made(name, chosen, internal=internal, options=options or {}, labels=labels or {})


def made(name: str, chosen: list[dict], **more) -> Network:
    network = Network(os.urandom(32).hex(), name, pools=chosen, created=datetime.now(UTC).isoformat(), **more)
    with atomic_file(folder() / f"{network.id[:SHORT]}.json") as file:
        file.write(json.dumps({"version": VERSION, **asdict(network)}).encode())
    events.tell("network", "create", network.id, {"name": name, "type": "bridge"})
    return network


def in_use() -> dict[str, str]:
    """Subnets that somebody has, and who: our networks, and every route of this machine."""
    ours = {pool["subnet"]: f"network {one.name}" for one in written() for pool in one.pools}
    return pools.routed() | ours


def remove(network: Network) -> None:
    """``docker network rm``. Raises ``NetworkError`` while a container is on it, and for the predefined ones."""
    if not network.user_defined:
        raise NetworkError(f"{network.name} is a pre-defined network and cannot be removed")
    with changing():
        if there := network.members:
            who = ", ".join(f'name:"{one["name"]}" id:"{one["container"][:SHORT]}"' for one in there.values())
            raise NetworkError(f"error while removing network: network {network.name} has active endpoints ({who})")
        (folder() / f"{network.id[:SHORT]}.json").unlink(missing_ok=True)
    events.tell("network", "destroy", network.id, {"name": network.name, "type": "bridge"})


def prune(wanted: Callable[[Network], bool]) -> list[Network]:
    """Remove those that somebody has made and nobody is on, as far as they are ``wanted``. Returns those that went."""
    gone = []
    for one in every():
        if one.user_defined and not one.members and wanted(one):
            with suppress(NetworkError):  # somebody has joined it meanwhile
                remove(one)
                gone.append(one)
    return gone
