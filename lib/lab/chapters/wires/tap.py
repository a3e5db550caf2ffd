"""A tap on a wire: what passes an interface, in words. It hears what tcpdump(8) would, see packet(7)."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from contextlib import suppress

from lib.lab.chapters.places import Place

ETH_P_ALL, ARP, IPV4 = 3, 0x0806, 0x0800
PINGS = {8: "ping", 0: "pong"}
UNREACHABLE = {0: "no route there", 1: "nobody there", 3: "no such port", 4: "too big", 13: "forbidden"}  # codes of ICMP type 3
FLAGS = {0x02: "SYN", 0x12: "SYN, ACK", 0x04: "RST", 0x14: "RST"}
KNOWN = (socket.IPPROTO_ICMP, socket.IPPROTO_TCP, socket.IPPROTO_UDP)
SETTLE = 0.02  # seconds in which the last packet still arrives


class Tap:
    """Within its block it listens to a link of a place; ``wants`` is what a line must have in it to be of interest."""

    def __init__(self, place: Place, link: str, wants: str = ""):
        self.place, self.link, self.wants = place, link, wants
        self.lines: list[str] = []

    def __enter__(self) -> Tap:
        self.line = self.place(listening, self.link)
        return self

    def __exit__(self, *error) -> None:
        time.sleep(SETTLE)
        with self.line, suppress(BlockingIOError):
            while True:
                words = in_words(self.line.recv(200))
                if words and self.wants in words and words not in self.lines:
                    self.lines.append(words)

    def __repr__(self) -> str:
        heard = self.lines or ["(silence)"]
        return "\n".join(f"on {self.place.name}'s {self.link}: {line}" for line in heard)


def listening(link: str) -> socket.socket:
    line = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    line.bind((link, ETH_P_ALL))
    line.setblocking(False)
    return line


def in_words(frame: bytes) -> str:
    """A packet in a line; nothing for what a chapter does not speak of."""
    kind, body = struct.unpack_from("!H", frame, 12)[0], frame[14:]
    if kind == ARP:
        return arp(body)
    return " ".join(ipv4(body)) if kind == IPV4 and body[9] in KNOWN else ""


def arp(body: bytes) -> str:
    """See RFC 826."""
    operation, asker, wanted = struct.unpack_from("!H", body, 6)[0], address(body[14:18]), address(body[24:28])
    return f"who has {wanted}? tell {asker}" if operation == 1 else f"{asker} is me"


def ipv4(packet: bytes) -> Iterator[str]:
    """From whom, to whom, what. See RFC 791."""
    protocol, fragment = packet[9], struct.unpack_from("!H", packet, 6)[0] & 0x1FFF
    rest = packet[4 * (packet[0] & 15) :]
    ends = [address(packet[12:16]), address(packet[16:20])]
    if protocol in (socket.IPPROTO_TCP, socket.IPPROTO_UDP) and not fragment:
        ends = [f"{end}:{port}" for end, port in zip(ends, struct.unpack_from("!HH", rest), strict=True)]
    yield " → ".join(ends)
    if protocol == socket.IPPROTO_ICMP:
        yield PINGS.get(rest[0]) or UNREACHABLE.get(rest[1], "?")
    if protocol == socket.IPPROTO_TCP:
        yield FLAGS.get(rest[13] & 0x17, "…")


def address(four: bytes) -> str:
    return socket.inet_ntoa(four)
