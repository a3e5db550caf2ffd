"""Questions to the kernel's netfilter, and its answers, in binary: see netlink(7), and linux/netfilter/nfnetlink.h."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

NETLINK_NETFILTER, NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP, NLMSG_ERROR, NLMSG_DONE = 12, 1, 4, 0x300, 2, 3
CTNETLINK, NFTABLES = 1 << 8, 10 << 8  # a subsystem's number is the upper half of a message's type
NESTED, KIND = 0x8000, 0x3FFF
HEADER = 20  # bytes before the attributes; the byte at 16 is the family
LARGEST = 1 << 16  # bytes of an answer


def opened() -> socket.socket:
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)


def asked(kernel: socket.socket, what: int, flags: int, family: int, body: bytes = b"", fine: tuple[int, ...] = ()) -> Iterator[bytes]:
    """The messages that it answers. Raises ``OSError``, except for the errnos in ``fine``: then there are none."""
    kernel.send(struct.pack("=IHHIIBBH", HEADER + len(body), what, NLM_F_REQUEST | flags, 0, 0, family, 0, 0) + body)
    while True:
        answer = kernel.recv(LARGEST)
        while answer:
            length, kind = struct.unpack_from("=IH", answer)
            if kind in (NLMSG_ERROR, NLMSG_DONE):
                number = -struct.unpack_from("=i", answer, 16)[0]
                if number and number not in fine:
                    raise OSError(number, "netlink: the kernel's netfilter refused")
                return
            yield answer[:length]
            answer = answer[aligned(length) :]


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value.ljust(aligned(len(value)), b"\0")


def nested(kind: int, value: bytes) -> bytes:
    return attribute(kind | NESTED, value)


def attributes(data: bytes) -> dict[int, bytes]:
    found = {}
    while data:
        length, kind = struct.unpack_from("=HH", data)
        found[kind & KIND] = data[4:length]
        data = data[aligned(length) :]
    return found


def aligned(length: int) -> int:
    return length + 3 & ~3
