"""A container's TCP connection to its resolver: many questions, answered as each is known, in whatever order. See RFC 7766.

Who stands idle, sends nonsense, or asks and never reads, holds up nobody but himself.
"""

from __future__ import annotations

import select
import socket

from lib.network.names.answering import HEADER
from lib.network.names.streams import Stream

AT_ONCE = 2048  # bytes that one connection has read before the others have their turn
UNREAD, WAITING = 1 << 17, 64  # bytes of answers that nobody reads, and questions without one, from which on it is not heard for a while


class Connection:
    """``client`` is the container's; ``sock`` is ours from now on."""

    def __init__(self, client, sock: socket.socket):
        self.client, self.sock = client, sock
        self.stream, self.waiting, self.ended = Stream(), 0, False
        sock.setblocking(False)
        client.connections[self] = None
        self.server.idle.touch(self)
        self.watch()

    @property
    def server(self):
        return self.client.server

    @property
    def closed(self) -> bool:
        return self not in self.client.connections

    def watch(self) -> None:
        """Wait for what there is to wait for; with nothing left to wait for, it is over."""
        heard = not self.ended and self.waiting < WAITING and len(self.stream.to_go) < UNREAD
        if self.ended and not self.waiting and not self.stream.to_go:
            return self.close()
        self.server.watch(self.sock.fileno(), self.ready, select.EPOLLIN * heard | (select.EPOLLOUT if self.stream.to_go else 0))

    def ready(self, events: int) -> None:
        try:
            if events & (select.EPOLLERR | select.EPOLLHUP):
                raise ConnectionResetError
            if events & select.EPOLLOUT:
                self.stream.flush(self.sock)
            if events & select.EPOLLIN:
                self.read()
        except OSError:
            return self.close()
        if not self.closed:
            self.watch()

    def read(self) -> None:
        """Raises ``OSError`` for what cannot be the beginning of a question."""
        try:
            data = self.sock.recv(AT_ONCE)
        except BlockingIOError:
            return
        self.ended = not data
        self.client.look()
        for message in self.stream.take(data):
            if len(message) < HEADER.size:
                raise ConnectionResetError
            self.active()
            self.waiting += 1
            self.client.take(message, True, self.answer)

    def answer(self, answer: bytes) -> None:
        """The answer to one question; perhaps long after it, and nobody is there any more."""
        if self.closed:
            return
        self.waiting -= 1
        if answer:
            self.stream.put(answer)
        self.active()
        try:
            self.stream.flush(self.sock)
        except OSError:
            return self.close()
        self.watch()

    def active(self) -> None:
        """The one that has been idle longest is always the first."""
        self.client.connections[self] = self.client.connections.pop(self)
        self.server.idle.touch(self)

    def close(self) -> None:
        if not self.closed:
            del self.client.connections[self]
            self.server.idle.drop(self)
            self.server.unwatch(self.sock.fileno())
            self.sock.close()
