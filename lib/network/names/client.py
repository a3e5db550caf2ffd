"""One container as its resolver sees it: its two sockets, what it knows, what it has asked."""

from __future__ import annotations

import random
import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from dnslib import QTYPE, RCODE

from lib.network.names import answering
from lib.network.names.answering import Nonsense, Query
from lib.network.names.connections import Connection
from lib.network.names.settings import ADDRESS, Settings
from lib.network.names.upstream import Server
from lib.network.names.zone import View

AT_ONCE = 32  # packets that one container has answered before the others have their turn
PACKET = 4096  # bytes of a question; of a longer one the beginning will do
CONNECTIONS = 128  # of one container
KEPT, TURNS = 64, 8  # answers that we remember for it, and in how many turns
NOTED = 100  # questions, the latest


class Note(NamedTuple):
    """A question that was asked, when, and what was answered."""

    moment: float
    container: str
    name: str
    type: str
    answer: str


class Known:
    """An answer of ours, which holds until somebody comes or goes; each turn of it is packed once."""

    def __init__(self, query: Query, records: list):
        self.query, self.records = query, records
        self.turns = min(max(1, len(records)), TURNS)
        self.turn = random.randrange(self.turns)  # or the first one would be asked first by all
        self.packets: dict[int, bytes] = {}
        self.words = ", ".join(str(one.rdata) for one in records) or "nothing of this type"

    def next(self) -> bytes:
        """The answer, but for its number."""
        self.turn = (self.turn + 1) % self.turns
        if self.turn not in self.packets:
            self.packets[self.turn] = answering.packed(self.query, self.records, self.turn * len(self.records) // self.turns)[2:]
        return self.packets[self.turn]


class Client:
    """``server`` is whose loop watches its sockets, which are ours from now on: descriptors, UDP and listening TCP."""

    def __init__(self, server, container: str, udp: int, tcp: int, settings: Settings):
        self.server, self.container, self.settings = server, container, settings
        self.udp, self.tcp = socket.socket(fileno=udp), socket.socket(fileno=tcp)
        self.view = View()
        self.kept: dict[tuple[bytes, bool], Known] = {}
        self.connections: dict[Connection, None] = {}
        self.notes: deque[Note] = deque(maxlen=NOTED)
        for one, hear in (self.udp, self.hear), (self.tcp, self.let_in):
            one.setblocking(False)
            server.watch(one.fileno(), hear)

    def hear(self, events: int = 0) -> None:
        """Answer what has come by UDP."""
        come = []
        with suppress(BlockingIOError):
            while len(come) < AT_ONCE:
                come.append(self.udp.recvfrom(PACKET))
        self.look()
        for packet, sender in come:
            self.take(packet, False, partial(self.send, sender))

    def send(self, sender: tuple, answer: bytes) -> None:
        with suppress(OSError):  # its buffer is full, or the asker gone: it asks again
            if answer:
                self.udp.sendto(answer, sender)

    def let_in(self, events: int = 0) -> None:
        """Somebody comes by TCP. Who has stood idle longest makes room."""
        with suppress(OSError):
            caller, _ = self.tcp.accept()
            while len(self.connections) >= CONNECTIONS:
                next(iter(self.connections)).close()
            Connection(self, caller)

    def look(self) -> None:
        """Who is called what by now? Asked when the questions are there: whoever came before they were sent is to be found."""
        self.server.zone.refresh()
        view = self.server.zone.view(self.container, self.settings.ndots, self.settings.links)
        if view is not self.view:
            self.view, self.kept = view, {}

    def take(self, packet: bytes, tcp: bool, reply: Callable[[bytes], None]) -> None:
        """Have one packet answered, now or later; ``reply`` gets nothing (b"") where there is nothing to say."""
        try:
            found = self.answered(packet, tcp)
        except Nonsense as nonsense:
            found = nonsense.answer
        except Exception:  # of whatever kind: what nobody has thought of costs this one question
            found = answering.refusal(packet, RCODE.SERVFAIL)
        if isinstance(found, Query):
            self.forward(found, tcp, reply)
        else:
            reply(found)

    def answered(self, packet: bytes, tcp: bool) -> bytes | Query:
        """The answer; the question itself, if others have to be asked. Raises ``Nonsense``."""
        known = self.kept.get((packet[2:], tcp))
        if known is None:
            query = answering.understood(packet, tcp)
            if (records := answering.looked_up(query, self.view)) is None:
                return query
            if len(self.kept) >= KEPT:
                self.kept.clear()
            known = self.kept[packet[2:], tcp] = Known(query, records)
        self.note(known.query, known.words)
        return packet[:2] + known.next()

    def forward(self, query: Query, tcp: bool, reply: Callable[[bytes], None]) -> None:
        def heard(answer: bytes) -> None:
            self.note(query, RCODE.get(answer[3] & 0xF) + ", from outside")
            reply(answering.passed_on(query, answer))

        self.server.forwarder.ask(self.container, query, self.servers(), tcp, heard)

    def servers(self) -> list[Server]:
        """Whom to ask: those that its user has named, from in here; else the host's, from there, if one of its networks leads out.

        The host may be a container itself, with a 127.0.0.11 of its own; but in here that is us.
        """
        if self.settings.servers:
            return [Server(address, inside=True) for address in self.settings.servers if address != ADDRESS]
        return [Server(address) for address in self.server.hosts.now().servers] if self.view.outside else []

    def note(self, query: Query, words: str) -> None:
        question = query.question
        self.notes.append(Note(time.time(), self.container, str(question.qname), QTYPE.get(question.qtype), words))

    def close(self) -> None:
        self.server.forwarder.forget(self.container)
        for connection in list(self.connections):
            connection.close()
        for one in (self.udp, self.tcp):
            self.server.unwatch(one.fileno())
            one.close()
