"""A container on networks: what it asks for becomes ingredients."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from lib.ingredients import Join, Loopback, Nameserver, Veth
from lib.network import alive, bridges, definitions, firewall, possible
from lib.network.definitions import Network, NetworkError
from lib.network.names import Hosts, behind_the_stub
from lib.network.pools import version
from lib.process import Ref
from lib.state.leases import PLACES


@dataclass
class Wish:
    """One network that a container is to be on, and as what: Docker's words. ``priority``: the highest one's gateway is its way out."""

    network: str
    aliases: Sequence[str] = ()
    ipv4: str = ""
    ipv6: str = ""
    mac: str = ""
    priority: int = 0
    interface: str = ""


@dataclass
class Wishes:
    """All networks of a container, with what it is to know of names; ``hosts`` are (name, address), an address may be ``host-gateway``.

    ``ports`` of the host lead to it over its way out: ``{"protocol", "ip", "host", "port"}`` each.
    """

    networks: Sequence[Wish]
    dns: Sequence[str] = ()
    search: Sequence[str] = ()
    dns_options: Sequence[str] = ()
    hosts: Sequence[tuple[str, str]] = ()
    ports: Sequence[dict] = ()
    container: str = ""  # its whole id, if it has a longer one
    folder: str = ""  # its run folder, if the manager looks after it; else whoever starts it answers what it asks
    links: Sequence[Sequence[str]] = ()  # names that only it has for others: (name, the other's)

    def connection(self, ident: str, name: str, hostname: str) -> Connection:
        """What the container ``ident`` needs for it. Raises ``NetworkError``."""
        found = [(wish, definitions.find(wish.network)) for wish in self.networks]
        if not possible.bridges():
            raise NetworkError(possible.why_not())
        for wish, network in found:
            check(wish, network)
        first = way_out(found)
        facts = {"container": self.container or ident, "name": name, "hostname": hostname}
        veths = [
            cable(facts, wish, network, f"eth{number}", network is first, bool(self.ports)) for number, (wish, network) in enumerate(found)
        ]
        for one in veths:
            if one.gateways and self.ports:
                one.own = published(self.ports, one.pools)
        networks = [network for _, network in found]
        resolvers, answering = self.files(networks, facts["container"])
        return Connection([*veths, *answering], resolvers, self.lines(networks))

    def files(self, networks: Sequence[Network], ident: str) -> tuple[str, list]:
        """``/etc/resolv.conf``, and who answers there: where names of containers are known we do, else those whom the host asks."""
        host, said = Hosts().now(), (self.dns, self.search, self.dns_options)
        if any(one.user_defined for one in networks):
            asked = host.but(*said)
            return str(asked.ours()), [self.answering(ident, asked.ndots)]
        families = {version(pool) for one in networks for pool in one.pools}
        return str(behind_the_stub(host).but(*said).plain(bool(self.dns), 6 in families)), []

    def answering(self, ident: str, ndots: bool) -> Nameserver:
        """Its end of a resolver: the manager's, or one in this process."""
        if self.folder:
            return Nameserver(self.folder, self.dns, ndots, self.links)
        from lib.network.names import Answered  # with all that answers: a command, whose containers outlive it, needs none of it

        return Answered(ident, self.dns, ndots, self.links)

    def lines(self, networks: Sequence[Network]) -> list[tuple[str, str]]:
        """What ``--add-host`` says, for /etc/hosts."""
        gateway = next((one for network in networks if (one := network.gateway(4) or network.gateway(6))), "")
        return [(gateway if address == "host-gateway" else address, name) for name, address in self.hosts]


@dataclass
class Connection:
    """A container's cables (and its resolver), and what two of its files say."""

    parts: list[Veth | Nameserver]
    resolvers: str
    hosts: list[tuple[str, str]] = field(default_factory=list)
    borrowed: Join | None = None  # the namespace of somebody else

    @property
    def ingredients(self) -> list:
        return [self.borrowed] if self.borrowed else [Loopback(), *self.parts]

    @property
    def own(self) -> list[Ref]:
        """Its addresses, which each lease will tell."""
        return [Ref(one.lease, f"ipv{version(pool)}") for one in self.parts if isinstance(one, Veth) for pool in one.pools]


def on(*networks: Network | str, aliases: Sequence[str] = (), **more) -> Wishes:
    """These networks for a container: ``start("busybox", network=on(front, back, aliases=["db"]))``."""
    return Wishes([Wish(getattr(one, "name", one), aliases=aliases) for one in networks], **more)


def way_out(found: Sequence[tuple[Wish, Network]]) -> Network | None:
    """The one over which a container reaches everybody else: with the highest priority, and of several the first by name."""
    open_ones = [one for one in found if not one[1].internal]
    return min(open_ones, key=lambda one: (-one[0].priority, one[1].name))[1] if open_ones else None


def check(wish: Wish, network: Network) -> None:
    """Raises ``NetworkError`` for what this network cannot give."""
    if network.driver != "bridge":
        raise NetworkError(f"container cannot be connected to network {network.name} with others")
    if (wish.ipv4 or wish.ipv6) and not network.user_defined:
        raise NetworkError("user specified IP address is supported on user defined networks only")
    for want in filter(None, (wish.ipv4, wish.ipv6)):
        if not any(bridges.holds(pool, want) for pool in network.pools):
            subnets = ", ".join(pool["subnet"] for pool in network.pools)
            raise NetworkError(
                f"invalid endpoint settings: no configured subnet contains IP address {want} (network {network.name} has {subnets})"
            )


def cable(container: dict, wish: Wish, network: Network, inside: str, is_way_out: bool, publishes: bool) -> Veth:
    """Of one that ``publishes`` ports each may come to be the way out, and carry them, while it runs."""
    member = container["container"][: definitions.SHORT]
    facts = container | {
        "aliases": list(wish.aliases), "network": network.name, "user_defined": network.user_defined, "internal": network.internal,
        "mac": wish.mac,
    }  # fmt: skip
    pools = [pool | {"want": wish.ipv6 if version(pool) == 6 else wish.ipv4} for pool in network.pools]
    return Veth(
        str(network.alive), member, facts, network.bridge, bridges.cable_name(network, member), wish.interface or inside,
        bridges.mtu(network), pools, bridges.deeds(network), bridges.undos(network),
        gateways={version(pool): pool["gateway"] for pool in pools} if is_way_out else {},
        switches=[*["isolated"] * (not bridges.said(network, "icc")), *["hairpin"] * publishes],
    )  # fmt: skip


def published(ports: Sequence[dict], pools: Sequence[dict]) -> list[list[list]]:
    """The deeds that lead ports into the container, wherever that will be, and the undos that end it.

    Who sends to a UDP port all the time has been sent elsewhere until now, and would be for ever: the kernel forgets that.
    """
    places = {version(pool): PLACES[f"ipv{version(pool)}"] for pool in pools}
    outside = [[alive.cable(), port["protocol"], port["ip"], port["host"]] for port in ports] if os.geteuid() else []
    if any(":" in ip for _, _, ip, _ in outside):
        raise NetworkError("who is not root can publish ports at IPv4 addresses only: slirp4netns leads no others in")
    if outside:  # a user's cable comes in at an address of its own, whichever of the machine's was asked for
        ports = [port | {"ip": ""} for port in ports]
    changes = [
        firewall.published(port["protocol"], port["ip"], port["host"], place, port["port"])
        for family, place in places.items() for port in ports if not port["ip"] or (":" in port["ip"]) == (family == 6)
    ]  # fmt: skip
    numbers = [port["host"] for port in ports if port["protocol"] == "udp"]
    forgotten = [["forget_ports", "udp", numbers, list(places)]] * bool(numbers)
    flows = [["forget_flows", place] for place in places.values()]
    deeds = [*(["nft", one.do] for one in changes if one.do), *forgotten, *(["let_in", *words] for words in outside)]
    return [deeds, [*flows, *(one.undoing for one in changes if one.do), *(["shut_out", *words] for words in outside)]]
