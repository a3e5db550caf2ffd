"""The kernel's memory of who talks to whom (conntrack), made to forget: through ctnetlink, as whoever undoes has no library for it.

A flow keeps the translation that its first packet got. A UDP client that goes on sending is one flow for ever, so without this its packets
would go to where the container was. See libnetfilter_conntrack's documentation, and ``conntrack -D`` in conntrack(8).
"""

from __future__ import annotations

import errno
import math
import socket
import struct
from collections.abc import Callable, Collection, Iterable

from lib.netfilter import netlink
from lib.netfilter.netlink import attribute, attributes, nested

GET, DELETE = netlink.CTNETLINK | 1, netlink.CTNETLINK | 2
CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_STATUS, CTA_ID, CTA_ZONE, CTA_FILTER = 1, 2, 3, 12, 18, 25
CTA_TUPLE_IP, CTA_TUPLE_PROTO, CTA_PROTO_NUM, CTA_PROTO_DST_PORT = 1, 2, 1, 3
BY_ADDRESS, BY_PROTOCOL = 1, 1 << 3  # which field of a tuple counts: its source, its protocol
SOURCE = {socket.AF_INET: 1, socket.AF_INET6: 3}  # CTA_IP_V4_SRC, CTA_IP_V6_SRC
TRANSLATED = 1 << 4 | 1 << 5  # IPS_SRC_NAT, IPS_DST_NAT
DIRECTIONS = (CTA_TUPLE_ORIG, CTA_TUPLE_REPLY)
FEW = 500
NAME = (CTA_TUPLE_ORIG, CTA_ZONE, CTA_ID)  # a flow's
NO_CONNTRACK = (errno.EINVAL,)  # this kernel knows nothing of flows
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP, "sctp": 132}


def forget_flows(address: str) -> None:
    """Every flow that the container with this address began, and every one that it answers.

    A look at all flows takes some 10 ms where the kernel has room for many. So while there are few, we look once, and at each; else the
    kernel picks out which are ours, and can do so for one direction at a time.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    source = socket.inet_pton(family, address)
    if how_many() <= FEW:
        return forget(family, b"", lambda flow: any(source_of(flow[direction], family) == source for direction in DIRECTIONS))
    of_it = nested(CTA_TUPLE_IP, attribute(SOURCE[family], source))
    for direction in DIRECTIONS:
        forget(family, nested(direction, of_it) + which(direction, BY_ADDRESS))


def how_many() -> float:
    """Flows in this network namespace. See nf_conntrack-sysctl.rst."""
    try:
        with open("/proc/sys/net/netfilter/nf_conntrack_count") as file:
            return int(file.read())
    except OSError:
        return math.inf


def source_of(direction: bytes, family: int) -> bytes | None:
    return attributes(attributes(direction)[CTA_TUPLE_IP]).get(SOURCE[family])


def forget_ports(protocol: str, ports: Collection[int], versions: Iterable[int] = FAMILIES) -> None:
    """The flows to these ports of ours that nobody answered: the next packet of each finds its port published.

    In one look at all flows, however many ports: it takes some 10 ms where the kernel has room for many.
    """
    what = attribute(CTA_PROTO_NUM, bytes([PROTOCOLS[protocol]]))
    wanted = nested(CTA_TUPLE_ORIG, nested(CTA_TUPLE_PROTO, what)) + which(CTA_TUPLE_ORIG, BY_PROTOCOL)
    for version in versions:
        forget(FAMILIES[version], wanted, lambda flow: not status(flow) & TRANSLATED and port_of(flow) in ports)


def status(flow: dict[int, bytes]) -> int:
    return int.from_bytes(flow[CTA_STATUS], "big")


def port_of(flow: dict[int, bytes]) -> int:
    """The one that its first packet went to."""
    ends = attributes(attributes(flow[CTA_TUPLE_ORIG])[CTA_TUPLE_PROTO])
    return int.from_bytes(ends[CTA_PROTO_DST_PORT], "big")


def which(direction: int, fields: int) -> bytes:
    """The kernel is to look at this field of the tuple alone (since Linux 5.8)."""
    return nested(CTA_FILTER, attribute(direction, struct.pack("=I", fields)))


def forget(family: int, wanted: bytes, fits: Callable[[dict[int, bytes]], bool] = bool) -> None:
    """Delete the flows that are as ``wanted``, and fit. One may end by itself meanwhile."""
    with netlink.opened() as kernel:
        for flow in list(netlink.asked(kernel, GET, netlink.NLM_F_DUMP, family, wanted, fine=NO_CONNTRACK)):
            parts = attributes(flow[netlink.HEADER :])
            if fits(parts):
                name = b"".join(attribute(kind | netlink.NESTED * (kind == CTA_TUPLE_ORIG), parts[kind]) for kind in NAME if kind in parts)
                list(netlink.asked(kernel, DELETE, netlink.NLM_F_ACK, family, name, fine=(errno.ENOENT,)))
