"""What a network is to the kernel, as deeds and undos: a bridge with the gateway's addresses, and its part of the firewall.

Deeds are data (``state.deeds.DEEDS``): the first container on a network carries them out, the last one their undos, whoever they are.
"""

from __future__ import annotations

import hashlib
import ipaddress

from lib import linux
from lib.network import firewall
from lib.network.alive import FAMILIES, common
from lib.network.definitions import SHORT, Network
from lib.network.pools import version
from lib.state.leases import mac_of

BRIDGE = "com.docker.network.bridge."
OPTIONS = {"icc": "enable_icc", "masquerade": "enable_ip_masquerade"}
ETHERNET = 1500  # bytes of a packet, where nobody says otherwise


def mtu(network: Network) -> int:
    """The longest packet: as somebody asks, or as the way out takes it. A longer one than that would get lost (or be cut) there."""
    asked = network.options.get("com.docker.network.driver.mtu")
    return int(asked) if asked else uplink_mtu()


def uplink_mtu() -> int:
    """Of the link that the default route goes over. See proc_pid_net(5), ``route``."""
    for line in linux.read("/proc/thread-self/net/route").splitlines()[1:]:
        link, to, *_ = line.split()
        if to == "00000000":
            return linux.link_mtu(link)
    return ETHERNET


def deeds(network: Network) -> list[list]:
    """What the first container on it does: the rules come before there is anything that they are about."""
    facts = {"name": network.name, "alive": str(network.alive), "bridge": network.bridge, "link": link(network)}
    return [*(["join", place, network.id[:SHORT], facts, [], *words] for place, *words in commons(network)), *facts["link"]]


def link(network: Network) -> list[list]:
    """The bridge, with the gateway's addresses. It asks nobody whether they are free (no DAD), and hears of no other gateway."""
    switches = "/proc/sys/net/ipv6/conf/" + network.bridge
    addresses = [["address", network.bridge, pool["gateway"], int(pool["subnet"].partition("/")[2])] for pool in network.pools]
    quiet = [] if 6 in families(network) else [["no_link_local", network.bridge]]
    return [
        ["netlink", [["bridge", network.bridge, mac(network), mtu(network)]]],
        *(["switch", f"{switches}/{name}", "0"] for name in ("accept_ra", "accept_dad")),
        ["netlink", [*quiet, *addresses]],
    ]


def undos(network: Network) -> list[list]:
    """What the last one does: in reverse, so the rules go first and the bridge after them, and what all networks share at the end."""
    beside, *tables = (["leave", place, network.id[:SHORT]] for place, *_ in commons(network))
    return [beside, ["delete_link", network.bridge], *tables]


def families(network: Network) -> set[int]:
    return {version(pool) for pool in network.pools}


def said(network: Network, name: str) -> bool:
    """Is this option of a bridge on? It is, if nobody says otherwise."""
    return network.options.get(f"{BRIDGE}{OPTIONS[name]}", "true") != "false"


def rules(network: Network, family: int) -> firewall.Change:
    """Its part of the firewall."""
    subnets = [pool["subnet"] for pool in network.pools if version(pool) == family]
    return firewall.opened(network.bridge, subnets, internal=network.internal, **{name: said(network, name) for name in OPTIONS})


def commons(network: Network) -> list[tuple[str, list, list, list]]:
    """What there is once for all networks, whoever made them, in one network namespace: where it is noted, its deeds and undos, and
    those of each network. Whoever comes tells other firewalls of us: one may have started since the last.
    """
    found = [(common("beside"), [], [["withdraw_exception"]], [[["let_pass"]], []])]
    for family in sorted(families(network)):
        ip, ours = FAMILIES[family], rules(network, family)
        table = firewall.made([ip], firewall.uplinks())
        undos = [["forwarding_as_it_was", ip], table.undoing]
        found.append((common(ip), [["forward", ip], ["nft", table.do]], undos, [[["nft", ours.do]], [ours.undoing]]))
    return found


def mac(network: Network) -> str:
    """As its gateway's address, so that it stays the same when the bridge is made anew."""
    return mac_of(network.gateway(4) or network.gateway(6))


def cable_name(network: Network, member: str) -> str:
    """Of the end that is plugged into the bridge: made of both ids, at most 15 letters."""
    return f"suitcase{hashlib.sha256((network.id + member).encode()).hexdigest()[:7]}"


def holds(pool: dict, address: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(pool["subnet"])
