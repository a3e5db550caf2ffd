"""Links, addresses and routes: the few messages by which a container is put on a network, as plain data, sent in one batch.

See rtnetlink(7) and netlink(7). The new process itself sends some of them, where there is no Python library on the disk any more, and a
daemon of ours takes a cable away with the standard library alone. So they are written here; whoever has time and wants to *read* the
kernel's tables takes pyroute2.

    send([["bridge", "suitcase-a1b2c3", 1500], ["up", "lo"]])
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Sequence

NETLINK_ROUTE, NLM_F_REQUEST, NLM_F_ACK, NLM_F_EXCL, NLM_F_CREATE, NLMSG_ERROR = 0, 1, 4, 0x200, 0x400, 2
NLM_F_REPLACE, METRIC = 0x100, 1024  # the metric is what a route of IPv6 has if nobody says otherwise
NEW = NLM_F_CREATE | NLM_F_EXCL
RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_NEWROUTE = 16, 17, 20, 24
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_MASTER, IFLA_LINKINFO, IFLA_NET_NS_PID, IFLA_AF_SPEC = 1, 3, 4, 10, 18, 19, 26
IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA, IFLA_BRPORT_MODE, IFLA_BRPORT_ISOLATED = 4, 5, 4, 33
IFLA_INFO_KIND, IFLA_INFO_DATA, VETH_INFO_PEER, IFLA_INET6_ADDR_GEN_MODE, NO_LINK_LOCAL = 1, 2, 1, 8, 1
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_FLAGS, IFA_F_NODAD = 1, 2, 4, 8, 2
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY = 1, 4, 5, 6
MAIN, STATIC, UNICAST, EVERYWHERE, ON_LINK = 254, 4, 1, 0, 253  # a route's table, origin, type, scope
IFF_UP, NESTED = 1, 0x8000
IFLA_INET_CONF, IPV4_DEVCONF_ARP_NOTIFY = 1, 22
LARGEST = 1 << 16  # bytes of an answer


def attribute(kind: int, value: bytes | str | int | None) -> bytes:
    """One attribute: length, type, value, filled up to four bytes; nothing for None."""
    if value is None:
        return b""
    if isinstance(value, str):
        value = value.encode() + b"\0"
    elif isinstance(value, int):
        value = struct.pack("I", value)
    head = struct.pack("HH", 4 + len(value), kind)
    return head + value + bytes(-len(value) % 4)


def nested(kind: int, *attributes: bytes) -> bytes:
    return attribute(kind | NESTED, b"".join(attributes))


def about_link(index: int = 0, flags: int = 0) -> bytes:
    """The head of every message on a link (``struct ifinfomsg``): which one, and which of its flags are to be set."""
    return struct.pack("BxHiII", socket.AF_UNSPEC, 0, index, flags, flags)


def index_of(link: str) -> int:
    """The number of a link. Raises ``OSError`` that names it."""
    try:
        return socket.if_nametoindex(link)
    except OSError as error:
        raise OSError(error.errno or errno.ENODEV, os.strerror(error.errno or errno.ENODEV), link) from None


def mac_of(text: str | None) -> bytes | None:
    return bytes.fromhex(text.replace(":", "")) if text else None


# -- the messages: each gives its type, its flags, its body --------------------------------------------------------------


def bridge(name: str, link_address: str, mtu: int) -> tuple[int, int, bytes]:
    """A switch, switched on. Its address is given, or it would change with each cable that is plugged in."""
    words = [attribute(IFLA_IFNAME, name), attribute(IFLA_ADDRESS, mac_of(link_address)), attribute(IFLA_MTU, mtu or None)]
    return RTM_NEWLINK, NEW, about_link(0, IFF_UP) + b"".join(words) + nested(IFLA_LINKINFO, attribute(IFLA_INFO_KIND, "bridge"))


def veth(name: str, master: str | None, inside: str, pid: int | str, mac: str | None, mtu: int) -> tuple[int, int, bytes]:
    """A cable: its one end here, plugged into the bridge ``master``, the other one ``inside`` the namespace of ``pid``. See veth(4)."""
    end = about_link() + attribute(IFLA_IFNAME, inside) + attribute(IFLA_NET_NS_PID, int(pid))
    end += attribute(IFLA_ADDRESS, mac_of(mac)) + attribute(IFLA_MTU, mtu or None)
    about = attribute(IFLA_INFO_KIND, "veth") + nested(IFLA_INFO_DATA, attribute(VETH_INFO_PEER | NESTED, end))
    here = attribute(IFLA_IFNAME, name) + attribute(IFLA_MTU, mtu or None) + attribute(IFLA_MASTER, index_of(master) if master else None)
    return RTM_NEWLINK, NEW, about_link(0, IFF_UP) + here + nested(IFLA_LINKINFO, about)


def hairpin(link: str) -> tuple[int, int, bytes]:
    """A bridge may send a packet back into the cable that it came from: to a container that reaches itself by the host's address.

    Only with br_netfilter does it come to that; else such a packet is routed, and comes from the host's own end.
    """
    return port(link, IFLA_BRPORT_MODE)


def isolated(link: str) -> tuple[int, int, bytes]:
    """A bridge hands nothing on from this cable to another one that is isolated, too: only to the host, and from it."""
    return port(link, IFLA_BRPORT_ISOLATED)


def port(link: str, switch: int) -> tuple[int, int, bytes]:
    """Set a switch of a bridge's port. See ``bridge link`` in bridge(8)."""
    words = attribute(IFLA_INFO_SLAVE_KIND, "bridge") + nested(IFLA_INFO_SLAVE_DATA, attribute(switch, b"\1"))
    return RTM_NEWLINK, 0, about_link() + attribute(IFLA_IFNAME, link) + nested(IFLA_LINKINFO, words)


def plugged(link: str, master: str) -> tuple[int, int, bytes]:
    """The outer end of a cable, in the bridge ``master`` (again)."""
    return RTM_NEWLINK, 0, about_link(index_of(link)) + attribute(IFLA_MASTER, index_of(master))


def up(link: str) -> tuple[int, int, bytes]:
    return RTM_NEWLINK, 0, about_link(index_of(link), IFF_UP)


def no_link_local(link: str) -> tuple[int, int, bytes]:
    """It makes up no IPv6 address (fe80::) of its own. See addr_gen_mode in ip-sysctl.rst."""
    mode = nested(socket.AF_INET6, attribute(IFLA_INET6_ADDR_GEN_MODE, bytes([NO_LINK_LOCAL])))
    return RTM_NEWLINK, 0, about_link(index_of(link)) + nested(IFLA_AF_SPEC, mode)


def tells(link: str) -> tuple[int, int, bytes]:
    """Whenever its own address is set, it tells its neighbours which of IPv4 are there. See arp_notify in ip-sysctl.rst."""
    switches = nested(IFLA_INET_CONF, attribute(IPV4_DEVCONF_ARP_NOTIFY, 1))
    return RTM_NEWLINK, 0, about_link(index_of(link)) + nested(IFLA_AF_SPEC, nested(socket.AF_INET, switches))


def mac(link: str, address: str) -> tuple[int, int, bytes]:
    """Its own address."""
    return RTM_NEWLINK, 0, about_link(index_of(link)) + attribute(IFLA_ADDRESS, mac_of(address))


def gone(link: str) -> tuple[int, int, bytes]:
    return RTM_DELLINK, 0, about_link() + attribute(IFLA_IFNAME, link)


def parsed(text: str) -> tuple[int, bytes, int]:
    """``172.18.0.2/16`` as the kernel takes it: family, address, bits of the network (``ipaddress`` is too large here)."""
    word, _, length = text.partition("/")
    family = socket.AF_INET6 if ":" in word else socket.AF_INET
    packed = socket.inet_pton(family, word)
    return family, packed, int(length or 8 * len(packed))


def address(link: str, text: str, length: int) -> tuple[int, int, bytes]:
    """An address, and how many bits of it are the network's. One of IPv6 is used at once: nobody else can have it (no DAD)."""
    family, packed, _ = parsed(text)
    words = attribute(IFA_ADDRESS, packed) + attribute(IFA_LOCAL, packed)
    if family == socket.AF_INET:
        everybody = int.from_bytes(packed) | (1 << 32 - length) - 1
        words += attribute(IFA_BROADCAST, everybody.to_bytes(4)) if length < 31 else b""
    else:
        words += attribute(IFA_FLAGS, IFA_F_NODAD)
    return RTM_NEWADDR, NEW, struct.pack("BBBBI", family, length, 0, EVERYWHERE, index_of(link)) + words


def route(link: str, to: str, via: str | None = None, metric: int = 0) -> tuple[int, int, bytes]:
    """A way ``to`` a network (``0.0.0.0/0`` and ``::/0`` are everything), through a neighbour, or (without ``via``) just out there."""
    family, packed, length = parsed(to)
    scope = EVERYWHERE if via or family == socket.AF_INET6 else ON_LINK
    words = attribute(RTA_DST, packed if length else None) + attribute(RTA_OIF, index_of(link))
    words += attribute(RTA_GATEWAY, parsed(via)[1] if via else None) + attribute(RTA_PRIORITY, metric or None)
    return RTM_NEWROUTE, NEW, struct.pack("BBBBBBBBI", family, length, 0, 0, MAIN, STATIC, scope, UNICAST, 0) + words


def leads(via: str) -> tuple[int, int, bytes]:
    """The way to everywhere leads through this neighbour now, whatever it was before."""
    family, packed, _ = parsed(via)
    words = attribute(RTA_GATEWAY, packed) + attribute(RTA_PRIORITY, METRIC if family == socket.AF_INET6 else None)
    return (
        RTM_NEWROUTE,
        NLM_F_CREATE | NLM_F_REPLACE,
        struct.pack("BBBBBBBBI", family, 0, 0, 0, MAIN, STATIC, EVERYWHERE, UNICAST, 0) + words,
    )


MESSAGES = {
    one.__name__: one for one in (bridge, veth, hairpin, isolated, plugged, up, no_link_local, tells, mac, gone, address, route, leads)
}


# -- sending ------------------------------------------------------------------------------------------------------------


def packed(sequence: int, kind: int, flags: int, body: bytes) -> bytes:
    return struct.pack("IHHII", 16 + len(body), kind, flags | NLM_F_REQUEST | NLM_F_ACK, sequence, 0) + body + bytes(-len(body) % 4)


def send(messages: Sequence[Sequence]) -> None:
    """Send messages, each ``[name, word…]``, in one batch. Raises ``OSError``, which names the first that the kernel refused."""
    batch = b"".join(packed(number, *MESSAGES[name](*words)) for number, (name, *words) in enumerate(messages))
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_ROUTE) as line:
        line.send(batch)
        refused = dict(answers(line, len(messages)))
    for number, (name, *words) in enumerate(messages):
        if code := refused.get(number):
            raise OSError(code, os.strerror(code), f"{name} {' '.join(str(word) for word in words if word)}")


def answers(line: socket.socket, count: int):
    """The errno that each message was answered with, 0 if it was done: (number, errno)."""
    while count > 0:
        told = line.recv(LARGEST)
        while told:
            length, kind, _, number, _ = struct.unpack_from("IHHII", told)
            if kind == NLMSG_ERROR:
                yield number, -struct.unpack_from("i", told, 16)[0]
                count -= 1
            told = told[(length + 3) & ~3 :]
