"""The same networks made by Podman's netavark and by us: who reaches whom is one matrix, but for what is named here, with the reason."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess

import pytest
from helpers.arena import Arena, Place, Probe, wrong
from helpers.hosts import BUSYBOX, host
from helpers.needs import requires

from lib.process import callers
from lib.state import kept

__all__ = ["host"]
NETAVARK = next((path for path in ("/usr/lib/podman/netavark", "/usr/libexec/podman/netavark") if os.path.exists(path)), None)
pytestmark = [
    requires("root", "overlay", "busybox", "nft", "ip", "iptables"), pytest.mark.timeout(120),
    pytest.mark.skipif(not NETAVARK, reason="needs netavark (apt-get install netavark)"),
]  # fmt: skip
NETWORKS = {"front": ("10.71.1", ["web", "app"]), "back": ("10.71.2", ["db"]), "inner": ("10.71.3", ["vault", "safe"])}
ADDRESSES = {who: f"{net}.{number}" for net, members in NETWORKS.values() for number, who in enumerate(members, 2)}
PORTS = {"web": [("", 8080, 80)], "app": [("127.0.0.1", 8082, 80)]}
HOST, NEIGHBOUR = "10.31.1.1", "10.31.1.2"

# Where we differ, and what it is with us: a neighbour with a route gets no further than to a published port, as with Docker since version
# 28; and everybody may use one by the host's address, he himself and other networks, too, as with Docker.
OURS = {"neighbour → web": False, "neighbour → app": False, "neighbour → db": False, "web → port": True, "db → port": True}


class Inside:
    """A container, as a place: by its process."""

    def __init__(self, name: str, pid: int):
        self.name, self.pid = name, pid

    def __call__(self, call, *args):
        fd = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY)
        try:
            return callers.called_in(fd, call, *args)
        finally:
            os.close(fd)


def with_a_neighbour(arena: Arena, here: Place) -> Place:
    """Who has set routes to all our subnets."""
    neighbour = arena.place("neighbour")
    arena.cable(here, "lan", neighbour, "eth0", [f"{NEIGHBOUR}/24"], *(f"{net}.0/24 via {HOST}" for net, _ in NETWORKS.values()))
    here.ip(f"addr add {HOST}/24 dev lan", f"route add default via {NEIGHBOUR}")
    return neighbour


def ours(host) -> dict:
    """The containers that we make."""
    for name, (net, _) in NETWORKS.items():
        host(f"network create --subnet {net}.0/24 {'--internal' * (name == 'inner')} {name}")
    for name, who in ((name, who) for name, (_, members) in NETWORKS.items() for who in members):
        ports = " ".join(f"-p {ip}{':' * bool(ip)}{outer}:{inner}" for ip, outer, inner in PORTS.get(who, ()))
        host(f"run -d --name {who} --network {name} --ip {ADDRESSES[who]} {ports} {BUSYBOX} sleep 100")
    return {one["name"]: Inside(one["name"], one["state"]["pid"]) for one in kept.every()}


def theirs(arena: Arena, here: Place, config: str) -> tuple[dict, list]:
    """Places that netavark connects; and what was asked for each, to undo it by."""
    places, asked = {}, []
    for name, (net, members) in NETWORKS.items():
        for who in members:
            places[who] = arena.place(who)
            options = request(name, net, who)
            asked.append((str(places[who]), options))
            netavark(here, config, "setup", *asked[-1])
    return places, asked


def request(name: str, net: str, who: str) -> str:
    ports = [
        {"container_port": inner, "host_ip": ip, "host_port": outer, "protocol": "tcp", "range": 1}
        for ip, outer, inner in PORTS.get(who, ())
    ]
    info = {
        "name": name, "id": name.encode().hex().ljust(64, "0"), "driver": "bridge", "network_interface": f"nv-{name}", "dns_enabled": False,
        "subnets": [{"subnet": f"{net}.0/24", "gateway": f"{net}.1"}], "ipv6_enabled": False, "internal": name == "inner",
        "options": {"isolate": "true"}, "ipam_options": {"driver": "host-local"},
    }  # fmt: skip
    return json.dumps({
        "container_id": who.encode().hex().ljust(64, "0"), "container_name": who, "port_mappings": ports, "network_info": {name: info},
        "networks": {name: {"static_ips": [ADDRESSES[who]], "interface_name": "eth0"}},
    })  # fmt: skip


def netavark(here: Place, config: str, verb: str, tid: str, options: str) -> None:
    done = here(
        subprocess.run, [NETAVARK, "--config", config, verb, f"/proc/self/task/{tid}/ns/net".replace("self", str(os.getpid()))],
        input=options, text=True, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done


def matrix(arena: Arena, here: Place, neighbour: Place, containers: dict) -> dict[str, bool]:
    """Who reaches whom: each container by its own address, the published ports, and the outside."""
    everybody = {"host": here, "neighbour": neighbour, **containers}
    for who in ("neighbour", *containers):
        arena.serve(everybody[who], 80)
    targets = {one: (ADDRESSES[one], 80) for one in containers} | {"outside": (NEIGHBOUR, 80), "port": (HOST, 8080)}
    targets |= {"port of the loopback's": (HOST, 8082), "loopback's port": ("127.0.0.1", 8080)}
    pairs = [
        (who, what) for who, what in itertools.product(everybody, targets) if who != what and (who, what) != ("neighbour", "outside")
        and (what != "loopback's port" or who == "host")
    ]  # fmt: skip
    probes = [Probe(f"{who} → {what}", everybody[who], "tcp", *targets[what], " ") for who, what in pairs]
    heard = wrong(probes, patience=2)
    return {one.name: bool(heard[one.name]) for one in probes}


def test_who_reaches_whom(host, tmp_path):
    neighbour = with_a_neighbour(host.arena, host.place)
    mine = matrix(host.arena, host.place, neighbour, ours(host))
    other = host.arena.place("their host")
    config = str(tmp_path / "netavark")
    os.mkdir(config)
    places, asked = theirs(host.arena, other, config)
    try:
        its = matrix(host.arena, other, with_a_neighbour(host.arena, other), places)
    finally:
        for each in asked:
            netavark(other, config, "teardown", *each)
        shutil.rmtree(config)
    assert {name: reached for name, reached in mine.items() if name in OURS} == OURS
    assert {name for name in mine if mine[name] != its[name]} <= OURS.keys()
    assert (mine["app → web"], mine["db → web"], mine["web → outside"], mine["vault → outside"]) == (True, False, True, False)
