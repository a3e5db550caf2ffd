"""Names in a small world of a test's own: a host and containers that are network namespaces, a network on disk, a name server outside."""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import subprocess
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import dns.flags
import dns.message
import dns.query
import dns.rcode

from lib import linux
from lib.ingredients import Nameserver
from lib.network.names import ADDRESS, Server, Settings
from lib.process import callers

SECONDS = 20  # after which a test fails instead of hanging


def namespace() -> int:
    """A descriptor of a new network namespace, its loopback switched on."""

    def made() -> int:
        linux.unshare("net")
        linux.link_up("lo")
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return callers.called_in(own, made)
    finally:
        os.close(own)


def facts(number: int, name: str, **more) -> dict:
    """What a member's file says: of the container with this number, which is also the last one of its addresses."""
    return {
        "container": f"{number:012x}" + "f" * 52, "name": name, "hostname": f"host{number}", "aliases": [], "mac": "", "network": "front",
        "ipv4": f"172.18.0.{number}", "ipv6": f"fd00::{number:x}", "user_defined": True, "internal": False,
    } | more  # fmt: skip


class Networks:
    """The folder that says who is on which network."""

    def __init__(self, folder: Path):
        self.folder = folder

    def place(self, member: dict) -> Path:
        return self.folder / f"{hash(member['network']) & 0xFFFFFFFFFFFF:012x}" / "members" / member["container"][:12]

    def join(self, number: int, name: str, **more) -> dict:
        member = facts(number, name, **more)
        place = self.place(member)
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = place.with_name(f".{place.name}")
        draft.write_text(json.dumps(member))
        draft.rename(place)
        return member

    def leave(self, member: dict) -> None:
        self.place(member).unlink()


class Upstream:
    """A name server at port 53 of an address in a namespace. ``answer`` makes an answer of a question (and whether it came by TCP): a
    message, bytes, or None for silence."""

    def __init__(self, inside: int, address: str, answer: Callable):
        self.answer, self.asked = answer, []
        self.udp, self.tcp = (socket.socket(fileno=callers.socket_in(inside, kind, address, 53)) for kind in ("udp", "tcp"))
        self.ended, end = os.pipe()
        self.end = end
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        while self.ended not in (ready := select.select([self.udp, self.tcp, self.ended], [], [])[0]):
            with suppress(OSError):
                if self.udp in ready:
                    packet, sender = self.udp.recvfrom(65535)
                    if said := self.said(packet, sender, False):
                        self.udp.sendto(said, sender)
                if self.tcp in ready:
                    self.talk(*self.tcp.accept())

    def talk(self, line: socket.socket, sender: tuple) -> None:
        with line:
            line.settimeout(SECONDS)
            size = struct.unpack("!H", line.recv(2, socket.MSG_WAITALL))[0]
            if said := self.said(line.recv(size, socket.MSG_WAITALL), sender, True):
                line.sendall(struct.pack("!H", len(said)) + said)

    def said(self, packet: bytes, sender: tuple, tcp: bool) -> bytes | None:
        self.asked.append((packet, sender, tcp))
        said = self.answer(dns.message.from_wire(packet), tcp)
        return said.to_wire(max_size=65535) if isinstance(said, dns.message.Message) else said

    def close(self) -> None:
        os.write(self.end, b"x")
        self.thread.join()
        for one in (self.udp, self.tcp):
            one.close()
        for fd in (self.ended, self.end):
            os.close(fd)


def saying(address: str, rcode: dns.rcode.Rcode = dns.rcode.NOERROR) -> Callable:
    """An answer for every question: this address."""

    def answer(question: dns.message.Message, tcp: bool) -> dns.message.Message:
        reply = dns.message.make_response(question, recursion_available=True)
        reply.set_rcode(rcode)
        if rcode == dns.rcode.NOERROR:
            reply.answer.append(dns.rrset.from_text(question.question[0].name, 60, "IN", "A", address))
        return reply

    return answer


class Arena:
    """A host, containers, and the resolver between them."""

    def __init__(self, folder: Path):
        self.folder, self.undo = folder, ExitStack()
        self.networks, self.resolv_conf = Networks(folder / "networks"), folder / "resolv.conf"
        self.host = self.namespace()
        self.containers: dict[str, int] = {}
        self.server: Server | None = None
        self.names_servers()
        self.start()
        self.undo.callback(lambda: self.server.close())

    def namespace(self) -> int:
        made = namespace()
        self.undo.callback(os.close, made)
        return made

    def start(self) -> None:
        """The resolver, whose thread stands in the host's namespace."""
        self.server = callers.called_in(self.host, Server, self.networks.folder, self.resolv_conf)

    def names_servers(self, *addresses: str) -> None:
        draft = self.folder / "resolv.new"
        draft.write_text("".join(f"nameserver {one}\n" for one in addresses))
        draft.rename(self.resolv_conf)

    def upstream(self, answer: Callable, address: str = "127.0.0.53", inside: int | None = None) -> Upstream:
        one = Upstream(self.host if inside is None else inside, address, answer)
        self.undo.callback(one.close)
        return one

    def container(self, number: int, name: str, servers: tuple[str, ...] = (), ndots: bool = False, **more) -> dict:
        """A container that is on a network and has its resolver."""
        member, inside = self.networks.join(number, name, **more), self.namespace()
        self.containers[name] = inside
        made = Nameserver(str(self.folder), servers, ndots)
        sockets = [callers.socket_in(inside, kind, ADDRESS, made.port) for kind in ("udp", "tcp")]
        callers.nft_in(inside, made.rules)
        self.server.serve(member["container"], *sockets, Settings(servers, ndots, made.port))
        return member

    def inside(self, name: str, call: Callable, *args):
        return callers.called_in(self.containers[name], call, *args)

    def ask(self, asker: str, name: str, kind: str = "A", tcp: bool = False, **how) -> dns.message.Message:
        question = dns.message.make_query(name, kind, **how)
        return self.inside(asker, (dns.query.tcp if tcp else dns.query.udp), question, ADDRESS, SECONDS)

    def addresses(self, asker: str, name: str, kind: str = "A", tcp: bool = False) -> list[str]:
        return [str(one) for rrset in self.ask(asker, name, kind, tcp).answer for one in rrset]

    def line(self, name: str) -> socket.socket:
        """A TCP connection of a container to its resolver."""

        def connected() -> socket.socket:
            return socket.create_connection((ADDRESS, 53), timeout=SECONDS)

        return self.inside(name, connected)

    def run(self, name: str, *argv: str) -> str:
        return self.inside(name, lambda: subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS).stdout)

    def close(self) -> None:
        self.undo.close()
