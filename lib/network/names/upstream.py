"""Questions that others have to answer: each goes to one name server after the other, until one knows.

Nobody outside may answer in a server's place: every question goes out under a number and from a port that nobody can guess, and what comes
back counts only if number, address and question are right. Who floods us takes places from nobody but himself.
"""

from __future__ import annotations

import os
import select
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from dnslib import RCODE

from lib.network.names.ages import Ages
from lib.network.names.answering import Query, refusal
from lib.network.names.streams import Stream

PORT = 53
SERVERS, PATIENCE = 3, 4  # name servers that are asked at most, and seconds that each has
ALL, SHARE = 1024, 256  # questions on their way, at most; and of one container
AT_ONCE = 1 << 16  # bytes
Reply = Callable[[bytes], None]
HELPLESS = RCODE.SERVFAIL, RCODE.REFUSED  # another server may know


class Server(NamedTuple):
    """A name server; ``inside`` says that it is the container's to reach (``--dns``), else it is the host's."""

    address: str
    inside: bool = False


def connected(address: str, kind: int) -> socket.socket:
    """A socket to a name server, from a port of the kernel's choice; only what comes from there is heard. Raises ``OSError``."""
    one = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind | socket.SOCK_NONBLOCK)
    try:
        one.connect((address, PORT))
    except BlockingIOError:  # a connection takes its time
        pass
    except BaseException:
        one.close()
        raise
    return one


class Flight:
    """One question on its way."""

    def __init__(self, forwarder: Forwarder, client: str, query: Query, servers: Sequence[Server], tcp: bool, reply: Reply):
        self.forwarder, self.client, self.query, self.tcp, self.reply = forwarder, client, query, tcp, reply
        self.left = deque(servers[:SERVERS])
        self.server, self.ident = Server(""), b""
        self.sock: socket.socket | None = None
        self.stream: Stream | None = None

    def go_on(self) -> None:
        """Ask the next server; if there is none any more, nobody knows."""
        while self.left:
            self.server = self.left.popleft()
            if self.call(socket.SOCK_DGRAM):
                return
        self.end(refusal(self.query.packet, RCODE.SERVFAIL))

    def call(self, kind: int) -> bool:
        """Ask this server; whether that could be done."""
        self.hang_up()
        self.ident = os.urandom(2)
        question = self.ident + self.query.packet[2:]
        try:
            self.sock = self.forwarder.dial(self.client, self.server, kind)
            if kind == socket.SOCK_STREAM:
                self.stream = Stream()
                self.stream.put(question)
            else:
                self.sock.send(question)
        except (OSError, RuntimeError):  # it cannot be reached; or no thread can be made that would enter the container's namespace
            return False
        self.forwarder.ages.touch(self)
        self.forwarder.loop.watch(self.sock.fileno(), self.ready, select.EPOLLIN | (select.EPOLLOUT if self.stream else 0))
        return True

    def ready(self, events: int = select.EPOLLIN) -> None:
        try:
            answers = self.received(events)
        except BlockingIOError:
            return
        except OSError:  # nobody listens there
            return self.go_on()
        any(self.heard(answer) for answer in answers)

    def received(self, events: int) -> list[bytes]:
        """What has come. Raises ``OSError``."""
        if not self.stream:
            return [self.sock.recv(AT_ONCE)]
        if events & select.EPOLLOUT:
            self.stream.flush(self.sock)
            self.forwarder.loop.watch(self.sock.fileno(), self.ready, select.EPOLLIN | (select.EPOLLOUT if self.stream.to_go else 0))
        if not (data := self.sock.recv(AT_ONCE)):
            raise ConnectionResetError
        return self.stream.take(data)

    def heard(self, answer: bytes) -> bool:
        """Whether this was what we wait for; what is not is as if it had never come."""
        if answer[:2] != self.ident or not self.query.answered_by(answer):
            return False
        cut = answer[2] & 0x02
        if answer[3] & 0xF in HELPLESS:
            self.go_on()
        elif not (cut and self.tcp and not self.stream):
            self.end(answer)
        elif not self.call(socket.SOCK_STREAM):
            self.go_on()
        return True

    def end(self, answer: bytes) -> None:
        self.give_up()
        self.reply(answer)

    def give_up(self) -> None:
        self.hang_up()
        self.forwarder.ages.drop(self)
        self.forwarder.flights[self.client].pop(self, None)

    def hang_up(self) -> None:
        if self.sock:
            self.forwarder.loop.unwatch(self.sock.fileno())
            self.sock.close()
        self.sock = self.stream = None


class Forwarder:
    """All questions that are on their way.

    ``loop`` watches their sockets, ``dial`` makes one: for a client, to a server, of a kind. Raises ``OSError``.
    """

    def __init__(self, loop, dial: Callable[[str, Server, int], socket.socket], clock: Callable[[], float]):
        self.loop, self.dial = loop, dial
        self.ages = Ages(PATIENCE, clock)
        self.flights: dict[str, dict[Flight, None]] = {}

    def ask(self, client: str, query: Query, servers: Sequence[Server], tcp: bool, reply: Reply) -> None:
        """Have ``reply`` called with an answer, sooner or later."""
        if not self.has_room(client):
            return reply(refusal(query.packet, RCODE.REFUSED))
        flight = Flight(self, client, query, servers, tcp, reply)
        self.flights[client][flight] = None
        flight.go_on()

    def has_room(self, client: str) -> bool:
        """May this client have one more? When all places are taken, the oldest one of who has most is given to him, if he has fewer."""
        own = len(self.flights.setdefault(client, {}))
        if own >= SHARE:
            return False
        if len(self.ages) < ALL:
            return True
        greediest = max(self.flights.values(), key=len)
        if len(greediest) <= own + 1:
            return False
        first = next(iter(greediest))
        first.end(refusal(first.query.packet, RCODE.REFUSED))
        return True

    def expire(self) -> None:
        """Who has not answered by now will not: the next."""
        for flight in self.ages.over():
            self.ages.drop(flight)
            flight.go_on()

    def forget(self, client: str) -> None:
        """He has gone: nobody waits for an answer."""
        for flight in list(self.flights.get(client, ())):
            flight.give_up()
        self.flights.pop(client, None)
