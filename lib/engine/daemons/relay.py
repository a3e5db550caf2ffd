"""The way in from the host's own loopback: what comes to a published port there goes on to the container, and its answers come back.

From 127.0.0.1 the kernel leads nothing into a container unless a switch is set that lets neighbours in as well (route_localnet), and ::1
has no such switch. So these few bytes go through here. One thread serves all; one slow reader holds up nobody but its own sender.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

AT_ONCE = 1 << 16  # bytes
MOST = 512  # connections, in all
PATIENCE = 5  # seconds for the thread to come round
IDLE = 90  # seconds after which a UDP client is forgotten; as conntrack's for one that was answered is 120


class Half:
    """One direction of a connection: what has been read at its one end and is not yet written at the other."""

    def __init__(self, source: socket.socket, sink: socket.socket):
        self.source, self.sink, self.waiting, self.ended = source, sink, b"", False

    def move(self) -> None:
        """As much as goes just now. Raises ``OSError`` when the connection is broken."""
        with suppress(BlockingIOError):
            if not self.waiting and not self.ended:
                self.waiting = self.source.recv(AT_ONCE)
                self.ended = not self.waiting
                if self.ended:
                    self.sink.shutdown(socket.SHUT_WR)
            if self.waiting:
                self.waiting = self.waiting[self.sink.send(self.waiting) :]


class Connection:
    """A client's connection and ours to the container."""

    def __init__(self, client: socket.socket, target: tuple[str, int]):
        self.client = client
        self.server = socket.socket(socket.AF_INET6 if ":" in target[0] else socket.AF_INET, socket.SOCK_STREAM)
        for one in (self.client, self.server):
            one.setblocking(False)
        self.connecting = self.server.connect_ex(target) in (errno.EINPROGRESS, errno.EAGAIN)
        self.halves = [Half(self.client, self.server), Half(self.server, self.client)]

    def wants(self) -> dict[socket.socket, int]:
        """What to wait for, at either end."""
        if self.connecting:
            return {self.server: selectors.EVENT_WRITE}
        found = dict.fromkeys((self.client, self.server), 0)
        for half in self.halves:
            if half.waiting:
                found[half.sink] |= selectors.EVENT_WRITE
            elif not half.ended:
                found[half.source] |= selectors.EVENT_READ
        return found

    def go_on(self) -> bool:
        """False when it is over."""
        try:
            if self.connecting:
                if number := self.server.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    raise OSError(number, os.strerror(number))
                self.connecting = False
            for half in self.halves:
                half.move()
        except OSError:
            return False
        return not all(half.ended and not half.waiting for half in self.halves)

    def close(self) -> None:
        for one in (self.client, self.server):
            one.close()


class Way:
    """A published port: where we listen, and where it leads."""

    def __init__(self, relay: Relay, listening: socket.socket):
        self.relay, self.listening = relay, listening
        self.target: tuple[str, int] | None = None  # nowhere, as yet
        self.open: set = set()
        self.datagrams = listening.type == socket.SOCK_DGRAM
        self.clients: dict[tuple, Answers] = {}
        relay.selector.register(listening, selectors.EVENT_READ, self.arrived if self.datagrams else self.called)

    def called(self) -> None:
        """Somebody wants a connection. One too many is closed at once, rather than left to wait."""
        with suppress(OSError):
            client, _ = self.listening.accept()
            if self.target is None or len(self.open) >= MOST:
                return client.close()
            connection = Connection(client, self.target)
            self.open.add(connection)
            self.relay.watch(connection, lambda: self.go_on(connection))

    def go_on(self, connection: Connection) -> None:
        if connection.go_on():
            self.relay.watch(connection, lambda: self.go_on(connection))
        else:
            self.forget(connection)

    def arrived(self) -> None:
        """A datagram: each client has a socket of ours, so that the answers find their way back."""
        with suppress(OSError):
            data, client = self.listening.recvfrom(AT_ONCE)
            if self.target is None:
                return
            if client not in self.clients:
                self.retire()
                self.clients[client] = Answers(self, client)
            self.clients[client].send(data)

    def retire(self) -> None:
        """Whoever has been silent for long goes, and of too many whoever has been silent for longest."""
        now = time.monotonic()
        by_age = sorted(self.clients.values(), key=lambda one: one.used)
        for one in by_age[: max(0, len(by_age) - MOST + 1)] + [one for one in by_age if now - one.used > IDLE]:
            self.clients.pop(one.client, None)
            self.forget(one)

    def forget(self, one) -> None:
        self.open.discard(one)
        self.relay.unwatch(one)
        one.close()

    def lead(self, target: tuple[str, int] | None) -> None:
        """To somewhere else: who was on the old way finds the new one by coming again."""
        if target != self.target:
            self.clear()
            self.target = target

    def clear(self) -> None:
        for one in [*self.open, *self.clients.values()]:
            self.forget(one)
        self.clients.clear()

    def close(self) -> None:
        self.clear()
        self.relay.selector.unregister(self.listening)
        self.listening.close()


class Answers:
    """What comes back to one client of UDP."""

    def __init__(self, way: Way, client: tuple):
        self.way, self.client, self.used = way, client, time.monotonic()
        self.server = socket.socket(socket.AF_INET6 if ":" in way.target[0] else socket.AF_INET, socket.SOCK_DGRAM)
        self.server.setblocking(False)
        self.server.connect(way.target)
        way.relay.watch(self, self.take)

    def wants(self) -> dict[socket.socket, int]:
        return {self.server: selectors.EVENT_READ}

    def send(self, data: bytes) -> None:
        self.used = time.monotonic()
        self.server.send(data)

    def take(self) -> None:
        with suppress(OSError):
            self.way.listening.sendto(self.server.recv(AT_ONCE), self.client)
            self.used = time.monotonic()

    def close(self) -> None:
        self.server.close()


class Relay:
    """All of them, in one thread, which ends with the process. Only that thread touches the selector; others ask it to."""

    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.ways: dict[str, list[Way]] = {}
        self.asked: deque[Callable[[], None]] = deque()
        self.waking, self.wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.watched: dict[object, set[socket.socket]] = {}
        self.selector.register(self.waking, selectors.EVENT_READ, lambda: os.read(self.waking, AT_ONCE))
        self.ended = False
        self.thread = threading.Thread(target=self.serve, name="relay", daemon=True)
        self.thread.start()

    def open(self, ident: str, fd: int) -> None:
        """Serve the listening socket ``fd``, which is ours from now on, until ``close(ident)``. ``lead`` says where it leads."""
        self.ask(lambda: self.ways.setdefault(ident, []).append(Way(self, socket.socket(fileno=fd))))

    def lead(self, ident: str, targets: Sequence[tuple[str, int] | None]) -> None:
        """Where each of its sockets leads from now on, in the order in which they were opened; None is nowhere."""
        self.ask(lambda: [way.lead(target) for way, target in zip(self.ways.get(ident, ()), targets, strict=False)])

    def close(self, ident: str) -> None:
        """When this returns, its ports are free: whoever starts it again a moment later wants them."""
        done = threading.Event()
        self.ask(lambda: [way.close() for way in self.ways.pop(ident, ())])
        self.ask(done.set)
        done.wait(PATIENCE)

    def end(self) -> None:
        """Close everything, and wait until that is done."""
        self.ask(lambda: [way.close() for ways in self.ways.values() for way in ways])
        self.ask(lambda: setattr(self, "ended", True))
        self.thread.join()
        self.selector.close()
        for fd in (self.waking, self.wake):
            os.close(fd)

    def ask(self, what: Callable[[], None]) -> None:
        self.asked.append(what)
        with suppress(BlockingIOError):  # it has been woken often enough
            os.write(self.wake, b"!")

    def serve(self) -> None:
        while not self.ended:
            for key, _ in self.selector.select():
                if self.selector.get_map().get(key.fd) is key:  # else it was closed by what came before it in this round
                    key.data()
            while self.asked:
                self.asked.popleft()()

    def watch(self, one, then: Callable[[], None]) -> None:
        """Wait for what it wants."""
        wanted, before = {sock: events for sock, events in one.wants().items() if events}, self.watched.get(one, set())
        for sock in before - wanted.keys():
            self.selector.unregister(sock)
        for sock, events in wanted.items():
            (self.selector.modify if sock in before else self.selector.register)(sock, events, then)
        self.watched[one] = set(wanted)

    def unwatch(self, one) -> None:
        for sock in self.watched.pop(one, ()):
            self.selector.unregister(sock)
