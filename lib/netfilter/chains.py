"""Which chains of nftables are there, whoever made them: their names and hooks, without the rules. See linux/netfilter/nf_tables.h.

Asked of the kernel, as ``nft list chains`` takes longer than all else that a container's start asks, and prints it in words that change.
"""

from __future__ import annotations

import errno
from collections import namedtuple

from lib.netfilter import netlink

GETCHAIN = netlink.NFTABLES | 4
TABLE, NAME, HOOK, POLICY, HOOK_NUMBER = 1, 3, 4, 5, 1  # NFTA_CHAIN_…, and NFTA_HOOK_HOOKNUM
FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
HOOKS = ("prerouting", "input", "forward", "output", "postrouting")
POLICIES = ("drop", "accept")

# ``hook`` and ``policy`` are empty if only other chains lead to it.
Chain = namedtuple("Chain", "family table name hook policy")


def chains() -> list[Chain]:
    """All of this network namespace; none where the kernel has no nftables."""
    with netlink.opened() as kernel:
        return [chain(one) for one in netlink.asked(kernel, GETCHAIN, netlink.NLM_F_DUMP, 0, fine=(errno.EINVAL, errno.EOPNOTSUPP))]


def chain(message: bytes) -> Chain:
    parts = netlink.attributes(message[netlink.HEADER :])
    table, name = (parts[kind].rstrip(b"\0").decode(errors="replace") for kind in (TABLE, NAME))
    return Chain(FAMILIES.get(message[16], ""), table, name, hook(parts), POLICIES[number(parts[POLICY])] if POLICY in parts else "")


def hook(parts: dict[int, bytes]) -> str:
    if HOOK not in parts:
        return ""
    place = number(netlink.attributes(parts[HOOK])[HOOK_NUMBER])
    return HOOKS[place] if place < len(HOOKS) else ""


def number(value: bytes) -> int:
    return int.from_bytes(value, "big")
