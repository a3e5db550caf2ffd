"""An address of IPv6 has come to a link: its neighbours are told, who may know it of one that had it before. See RFC 4861, 7.2.6.

For IPv4 the kernel does so when a link's own address is set (``rtnetlink.tells``). Not when it goes up, as arp_notify and ndisc_notify have
it: the bridge at the cable's other end often does not hand on anything yet, and of 40 announcements 3 were lost. Nor through a packet
socket: whoever closes one waits for the kernel some hundredths of a second.
"""

from __future__ import annotations

import socket
import struct
from contextlib import suppress

ALL_NODES, ADVERTISEMENT, OVERRIDE, LINK_ADDRESS = "ff02::1", 136, 0x20 << 24, 2
NEIGHBOURS_ONLY = 255  # hops: who gets it with fewer knows that it has come from further away, and does not believe it


def announce(link: str, mac: str, address: str) -> None:
    """Tell all neighbours on this link that this address is here, at ``mac``. It is a courtesy: who cannot starts without."""
    with suppress(OSError), socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as line:
        line.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, NEIGHBOURS_ONLY)
        line.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex(link))
        line.bind((address, 0))
        told = struct.pack("!BBHI", ADVERTISEMENT, 0, 0, OVERRIDE) + socket.inet_pton(socket.AF_INET6, address)
        line.sendto(told + bytes([LINK_ADDRESS, 1]) + bytes.fromhex(mac.replace(":", "")), (ALL_NODES, 0))  # the kernel adds the rest
