"""One request, followed: where it was seen on its way from a client into a container, and where it died."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from lib import network, show
from lib.engine import finding
from lib.lab.chapters.places import Place
from lib.lab.chapters.wires.tap import Tap
from lib.process.callers import called_in


@dataclass(frozen=True)
class Inside:
    """A container as a place: what is called through it is called in its network."""

    name: str

    @property
    def pid(self) -> int:
        return finding.current(self.name)["state"]["pid"]

    @property
    def ident(self) -> str:
        return finding.current(self.name)["id"]

    @property
    def address(self) -> str:
        """On the first of its networks."""
        everybody = (member for one in network.every() for member in one.members.values())
        return next(member["ipv4"] for member in everybody if member["container"] == self.ident)

    def __call__(self, call: Callable, *args):
        door = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return called_in(door, call, *args)
        finally:
            os.close(door)


@dataclass
class Hop:
    """A place that a request passes, by the name that a reader knows it by; ``seen`` is what was on the envelope there."""

    name: str
    tap: Tap
    seen: str = ""

    def look(self) -> None:
        """The first packet that asked for a connection, without the client's port, which nobody chose."""
        asked = next((line for line in self.tap.lines if line.endswith(" SYN")), "")
        ends = re.fullmatch(r"([\d.]+):\d+ → ([\d.]+:\d+) SYN", asked)
        self.seen = f"{ends[1]} →\n{ends[2]}" if ends else ""


@dataclass
class Way:
    """The hops of one request, in order, and what came of it."""

    hops: list[Hop]
    app: str
    said: str
    fates: list[str] = field(default_factory=list)

    def __post_init__(self):
        for hop in self.hops:
            hop.look()
        arrived = [bool(hop.seen) for hop in self.hops]
        answered = self.said not in ("no answer", "Connection refused")
        reached = [*arrived, all(arrived) and answered]
        first = reached.index(False) if False in reached else len(reached)
        self.fates = ["passed" if number < first else "died" if number == first else "never" for number in range(len(reached))]

    @property
    def verdict(self) -> str:
        if "died" not in self.fates:
            return f"answered: {self.said}"
        passed = self.fates.count("passed")
        if passed == len(self.hops):
            return f"{self.said}: it arrived, and nobody was listening"
        return f"{self.said}: last seen at {self.hops[passed - 1].name}"

    @property
    def picture(self) -> show.Picture:
        rows = [*((hop.name, hop.seen) for hop in self.hops), (self.app, "")]
        hops = [(name, seen, fate) for (name, seen), fate in zip(rows, self.fates, strict=True)]
        return show.path(hops, self.verdict)

    def _repr_mimebundle_(self, **_):
        return self.picture._repr_mimebundle_()

    def __repr__(self) -> str:
        return repr(self.picture)


def follow(ask: Callable[[], str], client: tuple[Place, str], host: Place, entry: str, net: str, container: str) -> Way:
    """Call ``ask`` (which makes the request and says what came of it) with taps at the client, the host's two sides and the container."""
    with host:
        bridge, inside = network.find(net).bridge, Inside(container)
        hops = [
            Hop(f"{client[0].name}: {client[1]}", Tap(*client)), Hop(f"host: {entry}", Tap(host, entry)),
            Hop(f"host: {net}", Tap(host, bridge)), Hop(f"{container}: eth0", Tap(inside, "eth0")),
        ]  # fmt: skip
        with ExitStack() as taps:
            for hop in hops:
                taps.enter_context(hop.tap)
            said = ask()
    return Way(hops, f"{container}: the app", said)


class Page(BaseHTTPRequestHandler):
    """Answers everybody with the same line, in which ``{client}`` is who asks."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{self.server.page.format(client=self.client_address[0])}\n".encode())

    def log_message(self, *_) -> None:
        pass


class Server(ThreadingHTTPServer):
    def handle_error(self, *_) -> None:
        """Whoever has given up waiting is no error of ours."""


SERVING: dict[tuple[str, int], Server] = {}  # a cell may be run again


def serve(place: Place, address: str, port: int, page: str) -> Server:
    """A web server in a place, until its ``shutdown`` and ``server_close``, or until another takes its port there."""
    if older := SERVING.pop((place.name, port), None):
        older.shutdown()
        older.server_close()
    server = SERVING[place.name, port] = place(Server, (address, port), Page)
    server.page = page
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return server
