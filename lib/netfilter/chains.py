"""Which tables and chains of nftables are there, whoever made them: names and hooks, without the rules. See linux/netfilter/nf_tables.h.

Asked of the kernel, as ``nft list chains`` takes longer than all else that a container's start asks, and prints it in words that change.
"""

from __future__ import annotations

import errno
from collections import namedtuple

from lib.netfilter import netlink

GETTABLE, GETCHAIN = netlink.NFTABLES | 1, netlink.NFTABLES | 4
NO_NFTABLES = (errno.EINVAL, errno.EOPNOTSUPP)  # this kernel knows nothing of them
TABLE, NAME, HOOK, POLICY, HOOK_NUMBER = 1, 3, 4, 5, 1  # NFTA_CHAIN_… (a table's own name is its first attribute, too), NFTA_HOOK_HOOKNUM
FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
HOOKS = ("prerouting", "input", "forward", "output", "postrouting")
POLICIES = ("drop", "accept")

# ``hook`` and ``policy`` are empty if only other chains lead to it.
Chain = namedtuple("Chain", "family table name hook policy")


def tables() -> set[str]:
    """The names of all in this network namespace; none where the kernel has no nftables. Raises ``PermissionError`` if one isn't root."""
    return {text(netlink.attributes(one[netlink.HEADER :])[TABLE]) for one in every(GETTABLE)}


def chains() -> list[Chain]:
    """All of this network namespace; none where the kernel has no nftables. Raises ``PermissionError`` if one isn't root."""
    return [chain(one) for one in every(GETCHAIN)]


def every(what: int) -> list[bytes]:
    with netlink.opened() as kernel:
        return list(netlink.asked(kernel, what, netlink.NLM_F_DUMP, 0, fine=NO_NFTABLES))


def chain(message: bytes) -> Chain:
    parts = netlink.attributes(message[netlink.HEADER :])
    policy = POLICIES[number(parts[POLICY])] if POLICY in parts else ""
    return Chain(FAMILIES.get(message[16], ""), text(parts[TABLE]), text(parts[NAME]), hook(parts), policy)


def text(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="replace")


def hook(parts: dict[int, bytes]) -> str:
    if HOOK not in parts:
        return ""
    place = number(netlink.attributes(parts[HOOK])[HOOK_NUMBER])
    return HOOKS[place] if place < len(HOOKS) else ""


def number(value: bytes) -> int:
    return int.from_bytes(value, "big")
