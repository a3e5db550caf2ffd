"""An arena for networks: a host, its neighbours and its containers, each a network namespace of its own, and who reaches whom.

Nothing of the machine's own network is touched, and no process has to be started. (What a place is: see ``lib.lab.chapters.places``.)

    with Arena() as arena:
        host, web = arena.place("host"), arena.place("web")
        arena.cable(host, "h0", web, "eth0", ["10.0.0.2/24"])
        host(nft.carry_out, "…")
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from lib.lab.chapters.places import Place, cable


@dataclass(frozen=True)
class Probe:
    """One question: may ``who`` reach this? ``says`` is how the answer must begin; "" if none may come."""

    name: str
    who: Place
    protocol: str
    address: str
    port: int
    says: str


@dataclass
class Arena:
    places: list[Place] = field(default_factory=list)

    def __enter__(self) -> Arena:
        self.answering = Answering()
        return self

    def __exit__(self, *error) -> None:
        self.answering.stop()
        for place in self.places:
            place.close()

    def place(self, name: str) -> Place:
        self.places.append(Place(name))
        return self.places[-1]

    def cable(self, here: Place, name: str, there: Place, inside: str, addresses: Iterable[str], *routes: str) -> None:
        """A cable between two places; the far end gets addresses and routes (``default via 10.0.0.1``)."""
        cable(here, name, there, inside, addresses, *routes)

    def serve(self, place: Place, port: int, address: str = "::") -> None:
        """Whoever asks there, by TCP or UDP, is told the place's name and under which address it is seen."""
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            self.answering.add(place(listener, kind, address, port), place.name)


def listener(kind: int, address: str, port: int) -> socket.socket:
    one = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    one.setblocking(False)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind((address, port))
    if kind == socket.SOCK_STREAM:
        one.listen(100)
    return one


class Answering:
    """A thread that answers for all servers of an arena."""

    def __init__(self):
        self.all, (self.end, ours) = selectors.DefaultSelector(), socket.socketpair()
        self.heard: set[str] = set()  # what was answered, also if no answer came home
        self.all.register(ours, selectors.EVENT_READ, "")
        self.thread = threading.Thread(target=self.loop)
        self.thread.start()

    def add(self, one: socket.socket, name: str) -> None:
        self.all.register(one, selectors.EVENT_READ, name)

    def loop(self) -> None:
        while True:
            for key, _ in self.all.select():
                if not key.data:
                    return
                self.answer(key.fileobj, key.data)

    def answer(self, server: socket.socket, name: str) -> None:
        with suppress(OSError):  # we cannot reach him: that is a result too
            if server.type == socket.SOCK_DGRAM:
                _, peer = server.recvfrom(100)
                server.sendto(self.seen(name, peer), peer)
            else:
                client, peer = server.accept()
                with client:
                    client.send(self.seen(name, peer))

    def seen(self, name: str, peer: tuple) -> bytes:
        line = f"{name} sees {peer[0].removeprefix('::ffff:')}"
        self.heard.add(line)
        return line.encode()

    def stop(self) -> None:
        self.end.close()
        self.thread.join()
        for key in list(self.all.get_map().values()):
            key.fileobj.close()
        self.all.close()


# -- who reaches whom -----------------------------------------------------------------------------------------------------


def wrong(probes: Iterable[Probe], patience: float = 10, quiet: float = 0.15) -> dict[str, str]:
    """All questions at once: those whose answer is not what it must be, each with what came.

    An answer that must come has ``patience`` seconds; when all of them are there, one that may not come has ``quiet`` more. Seconds in
    which a busy machine did not let us look do not count.
    """
    asked = {probe: probe.who(ask, probe) for probe in probes}
    answers, left, looked, again, waiting = {}, patience, time.monotonic(), 0.0, True
    while left > 0:
        if time.monotonic() > again:
            resend([(probe, one) for probe, one in asked.items() if probe not in answers])
            again = time.monotonic() + 0.1
        answers |= {probe: heard for probe, one in asked.items() if probe not in answers and (heard := hear(one))}
        if waiting and all(probe in answers for probe in asked if probe.says):
            left, waiting = quiet * any(not probe.says for probe in asked), False
        time.sleep(0.005)
        left, looked = left - min(time.monotonic() - looked, 0.05), time.monotonic()
    for one in asked.values():
        one.close()
    return {probe.name: came for probe in asked if not fits(came := answers.get(probe, ""), probe.says)}


def fits(came: str, says: str) -> bool:
    return came.startswith(says) and bool(came) == bool(says)


def ask(probe: Probe) -> socket.socket:
    kind = socket.SOCK_STREAM if probe.protocol == "tcp" else socket.SOCK_DGRAM
    one = socket.socket(socket.AF_INET6 if ":" in probe.address else socket.AF_INET, kind)
    one.setblocking(False)
    one.connect_ex((probe.address, probe.port))
    return one


def resend(pairs: Iterable[tuple[Probe, socket.socket]]) -> None:
    for probe, one in pairs:
        if probe.protocol == "udp":
            with suppress(OSError):  # refused: that came back from the last one
                one.send(b"?")


def hear(one: socket.socket) -> str:
    try:
        return one.recv(200).decode()
    except OSError:
        return ""


def seen_by(one: socket.socket, patience: float = 5) -> str:
    """Who answers this UDP client; "" if nobody does."""
    deadline = time.monotonic() + patience
    one.setblocking(False)
    while hear(one):  # what came late, to an earlier question
        pass
    while time.monotonic() < deadline:
        with suppress(OSError):
            one.send(b"?")
        time.sleep(0.01)
        if heard := hear(one):
            return heard.partition(" sees ")[0]
    return ""
