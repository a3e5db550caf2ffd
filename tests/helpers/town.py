"""A town in an arena: a host with networks and neighbours, for the tests of the firewall."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from helpers.arena import Arena, Place

FRONT, BACK, INNER = "suitcase-f00001", "suitcase-f00002", "suitcase-f00003"
SUBNETS = {name: [f"172.31.{number}.0/24", f"fd31:{number}::/64"] for number, name in enumerate((FRONT, BACK, INNER), 1)}
THEIRS = {name: [f"172.31.{number}.0/24", f"fd31:{number}::/64"] for number, name in enumerate(("virbr7", "docker7"), 7)}  # not ours
CONTAINERS = [  # the last number of their addresses; the host is number 1 everywhere
    ("web", FRONT, 2), ("sister", FRONT, 3), ("db", BACK, 2), ("vault", INNER, 2), ("safe", INNER, 3),
    ("guest", "virbr7", 2), ("whale", "docker7", 2),
]  # fmt: skip
LAN, OUTSIDE = (
    {4: "10.31.1.", 6: "fd32:1::"},
    {4: "10.31.2.", 6: "fd32:2::"},
)  # where the neighbour is, and the server further out: number 2


@dataclass
class Town:
    """A host with three networks and two bridges of somebody else's, a neighbour on its LAN, and a server further out."""

    arena: Arena
    places: dict[str, Place]

    def __getattr__(self, name: str) -> Place:
        return self.places[name]


def build(arena: Arena) -> Town:
    host = arena.place("host")
    host.sysctl("ipv6/conf/default/accept_dad", "0")  # a link-local address is good at once: the host asks for its neighbours by it
    places = {"host": host, "neighbour": arena.place("neighbour"), "outside": arena.place("outside")}
    for bridge, subnets in (SUBNETS | THEIRS).items():
        hosts_end(host, bridge, subnets)
    for name, bridge, number in CONTAINERS:
        places[name] = container(arena, host, name, bridge, number)
    for name, net in {"neighbour": LAN, "outside": OUTSIDE}.items():
        arena.cable(host, name, places[name], "eth0", [f"{net[4]}2/24", f"{net[6]}2/64"])
        host.ip(f"addr add {net[4]}1/24 dev {name}", f"addr add {net[6]}1/64 dev {name} nodad")
        arena.serve(places[name], 80)
    host.ip(*(f"route add default via {one}2" for one in OUTSIDE.values()))
    places["neighbour"].ip(*(f"route add {one} via {LAN[6 if ':' in one else 4]}1" for some in SUBNETS.values() for one in some))
    arena.serve(host, 8000)
    host.sysctl("ipv4/ip_forward", "1")
    host.sysctl("ipv6/conf/all/forwarding", "1")
    return Town(arena, places)


def hosts_end(host: Place, bridge: str, subnets: list[str]) -> None:
    addresses = (f"addr add {at(one, 1)}/{one.partition('/')[2]} dev {bridge}{' nodad' * (':' in one)}" for one in subnets)
    host.ip(f"link add {bridge} type bridge", f"link set {bridge} up", *addresses)


def container(arena: Arena, host: Place, name: str, bridge: str, number: int) -> Place:
    place, subnets = arena.place(name), (SUBNETS | THEIRS)[bridge]
    addresses = [f"{at(one, number)}/{one.partition('/')[2]}" for one in subnets]
    arena.cable(host, f"v-{name}", place, "eth0", addresses, *(f"default via {at(one, 1)}" for one in subnets))
    host.ip(f"link set v-{name} master {bridge}", f"link set v-{name} type bridge_slave hairpin on")
    arena.serve(place, 80)
    return place


def at(subnet: str, number: int) -> str:
    """An address: ``at("172.31.1.0/24", 2)``."""
    return subnet.partition("/")[0].removesuffix("0") + str(number)


def address(bridge: str, number: int, version: int) -> str:
    return at((SUBNETS | THEIRS)[bridge][version == 6], number)


# -- for a conftest -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def town():
    """One for all tests of a module: what they change in it they change back."""
    with Arena() as arena:
        yield build(arena)


@pytest.fixture
def host():
    """A network namespace in which nothing is but the loopback."""
    with Arena() as arena:
        yield arena.place("host")
