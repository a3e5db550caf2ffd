"""One resolver for all containers: one loop over their sockets, which never waits for anybody.

It runs in a thread, of the manager's or of a notebook's; the others say what is to be served, and it is done at the loop's next turn.
"""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from lib.network.names import upstream
from lib.network.names.ages import Ages
from lib.network.names.client import Client, Note
from lib.network.names.resolvconf import HOSTS, Hosts
from lib.network.names.settings import Settings
from lib.network.names.upstream import Forwarder
from lib.network.names.zone import SHORT, Zone
from lib.process import callers

IDLE = 15  # seconds after which a connection that nobody uses is closed: more than three name servers may take
AT_ONCE = 64  # sockets that are looked at in one turn


class Server:
    """``networks`` is the folder that says who is on which network; ``resolv_conf`` the host's."""

    def __init__(self, networks: Path, resolv_conf: Path | str = HOSTS, clock: Callable[[], float] = time.monotonic):
        self.zone, self.hosts = Zone(networks), Hosts(resolv_conf)
        self.idle = Ages(IDLE, clock)
        self.forwarder = Forwarder(self, self.dial, clock)
        self.clients: dict[str, Client] = {}
        self.events = select.epoll()
        self.handlers: dict[int, Callable[[int], None]] = {}
        self.orders: deque[Callable[[], None]] = deque()
        self.closing = False
        self.woken = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.watch(self.woken, self.obey)
        self.thread = threading.Thread(target=self.run, name="names", daemon=True)
        self.thread.start()

    # what others say

    def serve(self, container: str, udp: int, tcp: int, settings: Settings) -> None:
        """Answer a container from now on, at these two descriptors, which are ours then."""
        self.order(partial(self.take_on, container[:SHORT], udp, tcp, settings))

    def forget(self, container: str) -> None:
        """It has ended. Its sockets go, and with them the last that holds its network namespace."""
        self.order(partial(self.let_go, container[:SHORT]))

    def noted(self, container: str) -> list[Note]:
        """What it has asked of late."""
        client = self.clients.get(container[:SHORT])
        return list(client.notes.copy()) if client else []

    def close(self) -> None:
        """End, and wait until everything is closed."""
        self.order(partial(setattr, self, "closing", True))
        self.thread.join()

    def order(self, order: Callable[[], None]) -> None:
        self.orders.append(order)
        os.eventfd_write(self.woken, 1)

    # the loop

    def run(self) -> None:
        try:
            while not self.closing:
                self.turn()
        finally:
            for container in list(self.clients):
                self.let_go(container)
            self.events.close()
            os.close(self.woken)

    def turn(self) -> None:
        """What has come is seen to; what nobody waits for any longer is given up."""
        for fd, events in self.events.poll(self.patience(), AT_ONCE):
            if handler := self.handlers.get(fd):  # it may have been closed a moment ago
                with suppress(Exception):  # of whatever kind: the others are to be served all the same
                    handler(events)
        with suppress(Exception):
            self.forwarder.expire()
        for connection in self.idle.over():
            connection.close()

    def patience(self) -> float | None:
        return min((left for left in (self.forwarder.ages.left(), self.idle.left()) if left is not None), default=None)

    def watch(self, fd: int, handler: Callable[[int], None], events: int = select.EPOLLIN) -> None:
        """Have ``handler`` called whenever one of these events is there."""
        known = fd in self.handlers
        self.handlers[fd] = handler
        (self.events.modify if known else self.events.register)(fd, events)

    def unwatch(self, fd: int) -> None:
        if self.handlers.pop(fd, None):
            self.events.unregister(fd)

    def obey(self, events: int) -> None:
        os.eventfd_read(self.woken)
        while self.orders:
            self.orders.popleft()()

    def take_on(self, container: str, udp: int, tcp: int, settings: Settings) -> None:
        self.let_go(container)
        self.clients[container] = Client(self, container, udp, tcp, settings)

    def let_go(self, container: str) -> None:
        if client := self.clients.pop(container, None):
            client.close()

    def dial(self, container: str, server: upstream.Server, kind: int) -> socket.socket:
        """A socket to a name server, made where it can be reached. Raises ``OSError``."""
        if not server.inside:
            return upstream.connected(server.address, kind)
        inside = callers.of_socket(self.clients[container].udp.fileno())
        try:
            return callers.called_in(inside, upstream.connected, server.address, kind)
        finally:
            os.close(inside)
