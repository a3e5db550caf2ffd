"""Names for a notebook's own containers: answered from the process that holds them, and no longer than it does.

A container that outlives its caller is answered by the manager; this one ends with its caller, and so may its resolver.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import ClassVar

from lib import state
from lib.ingredients import Nameserver
from lib.network import alive
from lib.network.names.server import Server
from lib.network.names.settings import Settings
from lib.shield import Shield


class Answered(Nameserver):
    """The container's end of a resolver that is answered here; ``ident`` is the container's. For the others see ``Nameserver``."""

    def __init__(self, ident: str, servers: Sequence[str] = (), ndots: bool = False, links: Sequence[Sequence[str]] = ()):
        super().__init__("", servers, ndots, links)
        self.ident = ident
        self.of: Resolver | None = None

    def begin(self, given: dict[str, int]) -> None:
        """Its sockets are there: answer at them. Whoever gives them keeps them, and closes them."""
        self.of = Resolver.take(self.ident)
        settings = Settings(tuple(self.servers), self.ndots, self.port, tuple(map(tuple, self.links)))
        self.of.server.serve(self.ident, *(os.dup(given[name]) for name in self.gives), settings)

    def end(self) -> None:
        """The container has gone; the last one takes the resolver along."""
        if self.of:
            self.of.drop(self.ident)
            self.of = None


class Resolver:
    """One for each network namespace in which this process has containers with names: from there it asks the host's own name servers."""

    _there: ClassVar[dict[int, Resolver]] = {}
    _lock = threading.Lock()

    def __init__(self, here: int):
        self.here, self.server, self.answered = here, Server(state.runtime_dir() / "networks"), set()

    @classmethod
    def take(cls, ident: str) -> Resolver:
        """The one of the namespace that we are in, for one container more. Raises ``OSError``, ``RuntimeError`` if there is no room."""
        with Shield(), cls._lock:
            here = alive.here()
            one = cls._there.get(here) or cls(here)
            cls._there[here] = one
            one.answered.add(ident)
            return one

    def drop(self, ident: str) -> None:
        with Shield(), self._lock:
            self.server.forget(ident)
            self.answered.discard(ident)
            if not self.answered and self._there.pop(self.here, None):
                self.server.close()

    @classmethod
    def after_fork(cls) -> None:
        """In a forked child no thread goes on: whoever has containers there needs a resolver of its own."""
        cls._there, cls._lock = {}, threading.Lock()


os.register_at_fork(after_in_child=Resolver.after_fork)
