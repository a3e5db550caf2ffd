"""The small world of chapter 4: a server, a laptop on its LAN and the Internet, each a place of its own; and questions to ask in it.

The server has a store and daemons of its own, too, so that the machine's containers and networks are none of the chapter's business.
"""

from __future__ import annotations

import atexit
import os
import time
from contextlib import redirect_stdout, suppress
from io import StringIO
from pathlib import Path

from lib import network
from lib.build import build
from lib.cli import suitcase
from lib.engine.daemons import calling
from lib.engine.naming import shortnames
from lib.images import Library, Store
from lib.lab.chapters import tempfolder
from lib.lab.chapters.places import Place, cable
from lib.lab.chapters.wires import following
from lib.lab.chapters.wires.internet import Names
from lib.lab.chapters.wires.probes import fetched, pinged
from lib.state import kept

LAN, OUTSIDE = "192.168.7", "203.0.113"  # the second is set aside for books: nobody in the real Internet has it

IMAGES = {  # three small images: one that does as it is told, a shop, and its database
    "box": "",
    "shop": 'RUN mkdir /srv && echo the shop is open > /srv/index.html\nCMD ["httpd", "-f", "-p", "80", "-h", "/srv"]\n',
    "db": 'RUN mkdir /srv && echo 3 orders > /srv/index.html\nCMD ["sh", "-c", "httpd -f -p ${LISTEN:-0.0.0.0}:80 -h /srv"]\n',
}
ASK = """#!/bin/sh
exec 2> /dev/null
said=$(timeout 3 wget -qO- "http://$1/" 2>&1)
code=$?
[ $code = 143 ] && echo "no answer" || echo "$said"
exit $code
"""  # in all of them, as /bin/ask: somebody's page, or why there is none


def begin() -> tuple[Place, Place, Place]:
    """Build the world: the host, a laptop, the Internet. A second call begins anew."""
    end()
    folder = tempfolder.folder()
    os.environ |= {"SUITCASE_RUN": str(folder / "run"), "SUITCASE_STORE": str(folder / "store")}
    for name in ("host", "laptop", "outside"):
        _open.append(Place(name))
    host, laptop, outside = _open
    host.sysctl("ipv4/ip_forward", "0")  # where Docker runs, a new namespace may begin with 1
    cable(host, "lan", laptop, "eth0", [f"{LAN}.2/24"], f"default via {LAN}.1")
    cable(host, "uplink", outside, "eth0", [f"{OUTSIDE}.9/24"])
    host.ip(f"addr add {LAN}.1/24 dev lan", f"addr add {OUTSIDE}.1/24 dev uplink", f"route add default via {OUTSIDE}.9")
    _names.append(Names({"example.com": f"{OUTSIDE}.9"}, outside, host))
    fill(Library(Store()))
    with host:
        network.find("bridge")  # the default network has the first of the addresses, as everywhere
    return host, laptop, outside


def world() -> list[Place]:
    """The host, the laptop, and what is outside."""
    return _open[:3]


def place(name: str) -> Place:
    """A namespace more, in place of an older one of the same name."""
    remove(*(one for one in _open[3:] if one.name == name))
    _open.append(Place(name))
    return _open[-1]


def remove(*places: Place) -> None:
    """A namespace takes a while to go; its cable shall be gone at once."""
    for one in places:
        _open.remove(one)
        with suppress(ValueError):
            one.ip("link del eth0")
        one.close()


def fill(library: Library) -> None:
    shortnames.make(library, "localhost/busybox:static")
    context = tempfolder.folder() / "images"
    context.mkdir()
    (context / "ask").write_text(ASK)
    for name, steps in IMAGES.items():
        text = f"FROM localhost/busybox:static\nCOPY --chmod=755 ask /bin/\n{steps}"
        build(str(context), library, text=text, tags=(name,))


def end() -> None:
    """The world's end: its containers, its daemons, its places, its folder."""
    if _open:
        everybody_out(_open[0])
        calling.rest()
    for one in (*_names, *_open):
        one.close()
    _names.clear()
    _open.clear()
    for name, value in MACHINE.items():
        os.environ.pop(name, None)
        os.environ |= {name: value} if value is not None else {}
    tempfolder.clear()


def tidy() -> None:
    """Everybody out: no container, no switch, no rule, no place but the three is left, and the host passes nothing on."""
    host = _open[0]
    everybody_out(host)
    remove(*_open[3:])
    host.ip(*(f"link del {line.split(': ')[1]}" for line in host.run("ip", "-o", "link", "show", "type", "bridge").splitlines()))
    host.run("nft", "flush", "ruleset")
    host.sysctl("ipv4/ip_forward", "0")


def everybody_out(host: Place) -> None:
    with host, open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        for one in kept.every():
            suitcase(f"rm -f {one['id']}")
        suitcase("network prune -f")


PATIENCE = 30  # seconds that an app may take until it listens
MACHINE = {name: os.environ.get(name) for name in ("SUITCASE_RUN", "SUITCASE_STORE")}
_open: list[Place] = []
_names: list[Names] = []
atexit.register(end)


# -- containers on the host ---------------------------------------------------------------------------------------------


def up(line: str) -> None:
    """``suitcase run -d …``, without the long number that it prints; and when it returns, the app in there listens.

    In place of an older one of the same name: a cell may be run again.
    """
    words = line.split()
    older = [one["id"] for one in kept.every() if "--name" in words and one["name"] == words[words.index("--name") + 1]]
    with _open[0], redirect_stdout(StringIO()) as said:
        for ident in older:
            suitcase(f"rm -f {ident}")
        suitcase(f"run -d {line}")
        if words[-1] in ("shop", "db") and "--name" in words and "exit code" not in said.getvalue():
            await_listener(words[words.index("--name") + 1])


def await_listener(name: str) -> None:
    """See proc_pid_net(5): state 0A listens, and 0050 is port 80."""
    pid, deadline = following.Inside(name).pid, time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        rows = [row.split() for table in ("tcp", "tcp6") for row in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]]
        if any(row[1].endswith(":0050") and row[3] == "0A" for row in rows):
            return
        time.sleep(0.005)


def ask(container: str, whom: str) -> str:
    """What a container hears when it asks for somebody's page."""
    with _open[0], redirect_stdout(StringIO()) as said:
        suitcase(f"exec {container} ask {whom}")
    return said.getvalue().strip().splitlines()[0]


# -- questions that print their answer ----------------------------------------------------------------------------------


def ping(who: Place, address: str) -> None:
    """Ask an address whether it is there."""
    print(f"{who.name} → {address}: {who(pinged, address)}")


def get(who: Place, url: str) -> str:
    """Ask for a page, and give it back."""
    said = who(fetched, url)
    print(f"{who.name} → {url.removeprefix('http://')}: {said}")
    return said


ENTRIES = {"laptop": "lan", "outside": "uplink"}  # where a client comes in


def follow(client: Place, url: str, net: str, container: str) -> following.Way:
    """Ask for a page, and watch the request at every hop into a container on a network."""
    return following.follow(lambda: get(client, url), (client, "eth0"), _open[0], ENTRIES[client.name], net, container)
