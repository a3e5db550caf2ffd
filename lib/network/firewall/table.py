"""The table ``suitcase``, one for each family: the kernel's hooks, and the maps that they look things up in.

However many networks and ports there are, a packet meets the same few rules: each asks a map, by the name of the interface or by the port.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress

from lib.netfilter.iptables import MARK
from lib.network.firewall.change import Change

INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")  # names that may get into a text for nft; the kernel knows others, too
WORDS = {"ip": {"address": "ipv4_addr", "loopback": "127.0.0.0/8"}, "ip6": {"address": "ipv6_addr", "loopback": "::1"}}

MADE = """\
add table {ip} suitcase
# A network is an element of each of these five. Four of them say what becomes of a packet from its bridge, or to it.
add set {ip} suitcase bridges {{ type ifname; }}
add map {ip} suitcase leaving {{ type ifname : verdict; }}
add map {ip} suitcase entering {{ type ifname : verdict; }}
add map {ip} suitcase masquerading {{ type ifname : verdict; }}
add map {ip} suitcase reflecting {{ type ifname : verdict; }}
# A published port is an element of one of these: of the first, if only one of the host's addresses is meant.
add map {ip} suitcase ports {{ type inet_proto . {address} . inet_service : {address} . inet_service; }}
add map {ip} suitcase everywhere {{ type inet_proto . inet_service : {address} . inet_service; }}
add set {ip} suitcase uplinks {{ type ifname; }}
add chain {ip} suitcase published
add chain {ip} suitcase pass
add chain {ip} suitcase outside
add chain {ip} suitcase prerouting {{ type nat hook prerouting priority dstnat; }}
add chain {ip} suitcase output {{ type nat hook output priority -100; }}
add chain {ip} suitcase forward {{ type filter hook forward priority filter - 1; }}
add chain {ip} suitcase forwarded {{ type filter hook forward priority filter + 100; }}
add chain {ip} suitcase postrouting {{ type nat hook postrouting priority srcnat; }}
"""

# Each chain's rules. A packet to one of the host's own addresses may be for a published port; so may one that the host itself sends, but
# not to 127.0.0.1: the kernel routes nothing from there to a container, and the switch that changes that (route_localnet) opens what
# listens there to the neighbours.
CHAINS = {
    "published": """\
dnat {ip} to meta l4proto . {ip} daddr . th dport map @ports
dnat {ip} to meta l4proto . th dport map @everywhere
""",
    "prerouting": """\
fib daddr type local jump published
""",
    "output": """\
{ip} daddr != {loopback} fib daddr type local jump published
""",
    # What comes from a bridge of ours may be stopped by its own network or by the one it goes to; all else is others' business.
    "forward": """\
iifname vmap @leaving
oifname vmap @entering
""",
    # To a bridge that is not a way out: somebody else's containers or machines. Their owner decides, we add nothing to it.
    "outside": """\
oifname vmap @entering
meta oifkind "bridge" oifname != @uplinks accept
goto pass
""",
    # Ours to decide, and we let it pass: marked, for the rule that gets it past the policy of iptables (see ``netfilter.foreign``).
    "pass": """\
meta mark set meta mark or {mark:#x}
accept
""",
    # When all others have seen it, the mark goes again; others' packets keep theirs.
    "forwarded": """\
iifname @bridges meta mark set meta mark and {others:#x}
oifname @bridges meta mark set meta mark and {others:#x}
""",
    "postrouting": """\
iifname vmap @masquerading
oifname vmap @reflecting
""",
}


def made(families: Iterable[str] = ("ip", "ip6"), ways_out: Iterable[str] = ()) -> Change:
    """The tables. May be done again at any time: then the rules are as they should be, and what is in the maps stays.

    ``ways_out``: see ``uplinks``.
    """
    do = undo = ""
    for ip in families:
        words = WORDS[ip] | {"ip": ip, "mark": MARK, "others": 0xFFFFFFFF ^ MARK}
        do += MADE.format(**words) + "".join(rules(chain, text.format(**words), ip) for chain, text in CHAINS.items())
        do += f"flush set {ip} suitcase uplinks\n"
        do += "".join(f'add element {ip} suitcase uplinks {{ "{name}" }}\n' for name in sorted(ways_out) if INTERFACE.fullmatch(name))
        undo += f"add table {ip} suitcase\ndelete table {ip} suitcase\n"
    return Change("the table suitcase", do, undo)


def rules(chain: str, text: str, ip: str) -> str:
    """The chain's rules, in place of those that it has."""
    return f"flush chain {ip} suitcase {chain}\n" + "".join(f"add rule {ip} suitcase {chain} {line}\n" for line in text.splitlines())


# The kernel's routes: in which file, and which columns say where to, for how much of the address (nothing of it: a default route), by what.
ROUTES = {"ip": ("route", 1, 7, 0), "ip6": ("ipv6_route", 0, 1, 9)}


def uplinks(families: Iterable[str] = ("ip", "ip6")) -> set[str]:
    """The interfaces that this machine's default routes go over; on many a machine that is a bridge. See proc_pid_net(5)."""
    found = set()
    for file, to, mask, name in (ROUTES[one] for one in families):
        with suppress(FileNotFoundError), open(f"/proc/thread-self/net/{file}") as lines:
            found |= {row[name] for row in map(str.split, lines) if not (row[to] + row[mask]).strip("0")}
    return found - {"lo"}
