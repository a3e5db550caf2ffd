"""The same commands, word for word, to Docker and to ``suitcase``: who reaches whom on either's networks?"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

from lib import bases
from lib.cli import suitcase
from lib.lab import peers
from lib.lab.chapters.places import Place
from lib.lab.chapters.wires.probes import fetched

WEB = "sh -c 'mkdir /srv; echo 3 orders > /srv/index.html; httpd -f -h /srv'"
UFW = """table inet ufw {
    chain input { type filter hook input priority 0; policy drop; ct state established,related accept; iif lo accept; }
}"""
PORT, HOST = 5432, "192.168.7.1"


def answers(call: Callable[[str], str], host: Place, laptop: Place) -> dict[str, str]:
    """``call`` carries out a line and gives what it prints."""
    call("network create yard")
    call(f"run -d --name old --network bridge box {WEB}")
    call(f"run -d --name db --network yard -p {PORT}:80 box {WEB}")
    call(f"run -d --name private --network yard -p 127.0.0.1:{PORT + 1}:80 box {WEB}")
    address = call("inspect -f '{{.NetworkSettings.Networks.yard.IPAddress}}' private")
    host.run("nft", "-f", "-", text=UFW)
    laptop.ip(f"route add {address}/32 via {HOST}")
    found = {
        "by name, on the default network": inside(call, "bridge", "old"),
        "by name, on a network of one's own": inside(call, "yard", "db"),
        "from the LAN, by a published port, past ufw": laptop(fetched, f"http://{HOST}:{PORT}"),
        "from the LAN, if published to 127.0.0.1": laptop(fetched, f"http://{HOST}:{PORT + 1}"),
        "the same, by a neighbour who adds a route": laptop(fetched, f"http://{address}"),
    }
    laptop.ip(f"route del {address}/32")
    host.run("nft", "delete", "table", "inet", "ufw")
    return {question: "yes" if said == "3 orders" else "no" for question, said in found.items()}


def inside(call: Callable[[str], str], network: str, name: str) -> str:
    return call(f"run --rm --network {network} box timeout 2 wget -qO- http://{name}/")


def of_suitcase(host: Place, laptop: Place) -> dict[str, str]:
    def call(line: str) -> str:
        with redirect_stdout(StringIO()) as said, redirect_stderr(StringIO()):
            suitcase(line)
        return said.getvalue().strip()

    with host:
        return answers(call, host, laptop)


def of_docker(host: Place, laptop: Place) -> tuple[str, dict[str, str]]:
    """Its version, and its answers. It gets a daemon of its own, on the host of the chapter's world. Raises ``Missing``."""
    with host, peers.dockerd(network=True) as docker:

        def call(line: str) -> str:
            try:
                return docker.call(*shlex.split(line))
            except peers.Missing as error:  # a name that is not found is an answer, too
                return str(error)

        docker.import_folder(bases.busybox(), "box")
        return docker.call("version", "--format", "{{.Server.Version}}"), answers(call, host, laptop)
