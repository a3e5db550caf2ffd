"""Names, as the manager serves them: one resolver, in a thread, from the first container on that has names.

Its sockets come from the keeper; if that has none (it was killed), they are opened again at the port on record. Nothing in the container
need know.
"""

from __future__ import annotations

import marshal
import os
import sys
from contextlib import ExitStack

from lib import state
from lib.engine.daemons.calling import FORMAT, PACKAGES, Keeper
from lib.engine.pipes import run_folder
from lib.ingredients import Nameserver
from lib.network.names.settings import ADDRESS, Settings
from lib.process import callers

LONGEST = 255  # characters of a name or an answer that are told


class Names:
    """The resolver, and the sockets of those whom it answers."""

    def __init__(self):
        self.server = None
        self.held: dict[str, tuple[int, ...]] = {}

    def serve(self, ident: str, pid: int) -> bool:
        """Answer this container, if it has names and has not been answered yet; False if that cannot be now."""
        settings = Settings.of(run_folder(ident))
        if settings is None or ident in self.held:
            return True
        try:
            server = self.resolver()
            self.held[ident] = opened(ident, pid, settings)
        except (OSError, RuntimeError):
            return False
        except ImportError:  # this Python has no dnslib any more: all else works on
            return True
        server.serve(ident, *map(os.dup, self.held[ident]), settings)
        return True

    def resolver(self):
        """What answers is large, and only imported if there is somebody to answer."""
        if self.server is None:
            sys.path += [folder for folder in [os.environ.get(PACKAGES)] if folder and folder not in sys.path]
            from lib.network.names.server import Server

            self.server = Server(state.runtime_dir() / "networks")
        return self.server

    def give_back(self, ident: str) -> None:
        """To a keeper that has come after one that was killed."""
        if fds := self.held.get(ident):
            hand_over(ident, fds)

    def forget(self, ident: str) -> None:
        """It has ended; whoever holds its sockets, holds its network namespace."""
        if fds := self.held.pop(ident, None):
            self.server.forget(ident)
            for fd in fds:
                os.close(fd)

    def told(self, ident: str) -> bytes:
        """What it has asked of late, as a message."""
        notes = self.server.noted(ident) if self.server else []
        return marshal.dumps([[one if isinstance(one, float) else one[:LONGEST] for one in note] for note in notes], FORMAT)


def opened(ident: str, pid: int, settings: Settings) -> tuple[int, ...]:
    """The sockets of a container, UDP and TCP: the keeper's, or new ones. Raises ``OSError``."""
    fds = tuple(Keeper.give(f"{ident}/{name}") for name in Nameserver.gives)
    if min(fds) >= 0:
        return fds
    for fd in fds:
        if fd >= 0:
            os.close(fd)
    with ExitStack() as undo:
        inside = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        undo.callback(os.close, inside)
        fds = opened_in(inside, settings.port)
    hand_over(ident, fds)
    return fds


def opened_in(netns: int, port: int) -> tuple[int, ...]:
    """Both or none. Raises ``OSError`` if a program in there has taken the port meanwhile."""
    with ExitStack() as undo:
        fds = []
        for kind in callers.KINDS:
            fds.append(callers.socket_in(netns, kind, ADDRESS, port))
            undo.callback(os.close, fds[-1])
        undo.pop_all()
    return tuple(fds)


def hand_over(ident: str, fds: tuple[int, ...]) -> None:
    """Have the keeper hold them, too: questions wait in them while there is no manager."""
    for name, fd in zip(Nameserver.gives, fds, strict=True):
        Keeper.hold(f"{ident}/{name}", fd)
