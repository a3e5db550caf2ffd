"""A network in the firewall: four chains that bear its bridge's name, an element of four maps that leads to each, and one of a set."""

from __future__ import annotations

import re
from collections.abc import Iterable

from lib.network.firewall.change import Change, element, family, joined
from lib.network.firewall.table import INTERFACE, rules

# -- from the bridge ------------------------------------------------------------------------------------------------------

LEAVING = """\
ct state established,related goto pass
goto outside
"""
LEAVING_INTERNAL = """\
oifname != "{bridge}" drop
"""

# -- to the bridge --------------------------------------------------------------------------------------------------------

# Who sends straight to a container's address, be it a neighbour on the LAN who has set a route, or a container of another network, meets
# the last line. What was sent to a published port of the host's has been translated before it comes here.
ENTERING = """\
ct state established,related goto pass
ct status dnat goto pass
drop
"""
ENTERING_INTERNAL = """\
drop
"""
# Members of one network: the bridge itself hands their packets on, and they come here only with br_netfilter, or by way of the gateway.
MEMBERS = """\
iifname "{bridge}" goto pass
"""

# -- under whose address --------------------------------------------------------------------------------------------------

# A container that reaches its neighbour (or itself) by the host's address must get the answer from there, not straight from the neighbour.
# By the bridge that the packet goes to, as with br_netfilter nobody knows here which one it came from.
REFLECTING = """\
{ip} saddr {{ {subnets} }} ct status dnat masquerade
"""
MASQUERADING = """\
oifname != "{bridge}" {ip} saddr {{ {subnets} }} masquerade
"""


def opened(bridge: str, subnets: Iterable[str], *, internal: bool = False, masquerade: bool = True, icc: bool = True) -> Change:
    """Members reach each other (``icc``) and the outside, under the host's address (``masquerade``); others reach published ports alone.

    ``internal``: nothing goes out or in. Without ``icc`` the bridge's ports must be isolated from each other as well (see bridge(8)).
    """
    check(bridge)
    subnets = list(subnets)
    chains = {
        "leaving": LEAVING_INTERNAL if internal else LEAVING,
        "entering": MEMBERS * icc + (ENTERING_INTERNAL if internal else ENTERING),
        "masquerading": MASQUERADING * (masquerade and not internal),
        "reflecting": REFLECTING * (not internal),
    }
    found = []
    for ip, some in by_family(subnets).items():
        words = {"bridge": bridge, "ip": ip, "subnets": ", ".join(some)}
        found.append(Change("", *element(f"{ip} suitcase", "bridges", f'"{bridge}"')))
        found += [part(ip, kind, bridge, text.format(**words)) for kind, text in chains.items()]
    return joined(f"the network of bridge {bridge} ({', '.join(subnets)})", found)


def part(ip: str, kind: str, bridge: str, text: str) -> Change:
    """A chain, and the element of the map ``kind`` that leads to it; and how both are removed."""
    chain = f"{kind}-{bridge}"
    add, remove = element(f"{ip} suitcase", kind, f'"{bridge}"', f"jump {chain}")
    there, gone = f"add chain {ip} suitcase {chain}\n", f"flush chain {ip} suitcase {chain}\ndelete chain {ip} suitcase {chain}\n"
    return Change("", there + rules(chain, text, ip) + add, there + remove + gone)


def check(bridge: str) -> None:
    if not INTERFACE.fullmatch(bridge):
        raise ValueError(f"{bridge!r} cannot be a bridge's name: 1 to 15 letters, digits, '_', '.' and '-', the first a letter or digit")


def by_family(subnets: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for subnet in subnets:
        address, _, length = subnet.partition("/")
        if not re.fullmatch("[0-9]{1,3}", length):
            raise ValueError(f"{subnet!r} is not a subnet such as 172.18.0.0/16")
        found.setdefault(family(address), []).append(subnet)
    return found
