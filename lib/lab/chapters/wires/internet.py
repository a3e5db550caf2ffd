"""The Internet of a chapter's small world: a place that answers at every address that this machine's name servers have.

So a container that is told to ask them gets an answer at once, whether or not the machine has a network: nobody knows a name but these.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from contextlib import suppress
from pathlib import Path

from dnslib import QTYPE, RCODE, RR, A, DNSRecord

from lib.lab.chapters.places import Place

DEFAULTS = {"8.8.8.8", "8.8.4.4"}  # whom a container asks whose host asks only itself


class Names:
    """A name server in some places, until it is closed."""

    def __init__(self, known: dict[str, str], outside: Place, host: Place):
        self.known = known
        there = name_servers() | DEFAULTS
        own = {one for one in there if ipaddress.ip_address(one).is_loopback}
        outside.ip(*(f"addr add {one}/32 dev lo" for one in sorted(there - own)))
        self.lines = [(host if one in own else outside)(opened, one) for one in sorted(there)]
        for line in self.lines:
            threading.Thread(target=self.serve, args=[line], daemon=True).start()

    def serve(self, line: socket.socket) -> None:
        with suppress(OSError):  # it was closed
            while True:
                question, asker = line.recvfrom(512)
                if not question:
                    return
                line.sendto(self.answer(question), asker)

    def answer(self, packet: bytes) -> bytes:
        question = DNSRecord.parse(packet)
        reply, name = question.reply(), str(question.q.qname).rstrip(".")
        if name not in self.known:
            reply.header.rcode = RCODE.NXDOMAIN
        elif question.q.qtype == QTYPE.A:
            reply.add_answer(RR(name, rdata=A(self.known[name]), ttl=60))
        return reply.pack()

    def close(self) -> None:
        for line in self.lines:
            with suppress(OSError):  # whoever waits wakes up
                line.shutdown(socket.SHUT_RDWR)
            line.close()


def opened(address: str) -> socket.socket:
    line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    line.bind((address, 53))
    return line


def name_servers() -> set[str]:
    """Whom this machine asks, of those with an IPv4 address. See resolv.conf(5)."""
    words = [line.split() for line in Path("/etc/resolv.conf").read_text().splitlines()]
    return {word[1] for word in words if word[:1] == ["nameserver"] and ":" not in word[1]}
