"""The real dockerd and we on one host: both keep working, whoever comes first, and when we are gone the host is as it was."""

from __future__ import annotations

import socket
from contextlib import ExitStack, contextmanager

import pytest
from helpers.asbefore import look
from helpers.hosts import BUSYBOX, Host, host
from helpers.needs import requires
from helpers.waiting import wait_for

from lib import bases
from lib.lab import peers

__all__ = ["host"]
pytestmark = [requires("root", "overlay", "busybox", "nft", "ip", "iptables"), pytest.mark.timeout(180)]
SERVE = "echo {} > /index.html; httpd -p 81 -h /; httpd -f -p 80 -h /"  # 81 is published by nobody


class Street:
    """A host with a neighbour, where Docker's containers and ours live beside each other."""

    def __init__(self, host: Host):
        self.host, self.neighbour = host, host.arena.place("neighbour")
        host.arena.cable(host.place, "lan", self.neighbour, "eth0", ["10.31.1.2/24"])
        host.place.ip("addr add 10.31.1.1/24 dev lan", "route add default via 10.31.1.2")

    def docker(self, daemon: peers.Docker) -> None:
        self.daemon = daemon
        self.host.place.run("iptables", "-P", "FORWARD", "DROP")  # as it does itself where forwarding was off
        daemon.import_folder(bases.busybox(), "theirs")
        daemon.call("run", "-d", "--name", "whale", "-p", "8082:80", "theirs", "sh", "-c", SERVE.format("whale"))

    def ours(self) -> None:
        self.host("network create front")
        self.host(f"run -d --name web --network front -p 8081:80 {BUSYBOX} sh -c '{SERVE.format('web')}'")

    def whale(self, script: str) -> str:
        try:
            return self.daemon.call("exec", "whale", "sh", "-c", script)
        except peers.Missing as error:
            return str(error)

    def web(self, script: str) -> str:
        return self.host.inside("web", script, None)

    def page(self, port: int) -> str:
        """What the neighbour gets from this port of the host's."""

        def ask() -> str:
            with socket.create_connection(("10.31.1.1", port), 1) as one:
                one.sendall(b"GET / HTTP/1.0\r\n\r\n")
                return b"".join(iter(lambda: one.recv(4096), b"")).decode()

        try:
            return self.neighbour(ask).split()[-1]
        except OSError:
            return ""

    def theirs_work(self) -> bool:
        return self.page(8082) == "whale" and "1 packets received" in self.whale("ping -c1 -W1 10.31.1.2")

    def ours_work(self) -> bool:
        return self.page(8081) == "web" and "1 packets received" in self.web("ping -c1 -W1 10.31.1.2")

    def met(self) -> list[str]:
        """What each gets from the other: by its own address, and by a port that the host has published for it."""
        theirs = self.daemon.call("inspect", "-f", "{{.NetworkSettings.IPAddress}}", "whale")
        ours = self.host("inspect --format '{{.NetworkSettings.Networks.front.IPAddress}}' web").out.strip()
        get = "timeout 1 wget -qO- http://{}/ 2> /dev/null || true"
        asked = [(self.web, f"{theirs}:81"), (self.whale, f"{ours}:81"), (self.web, "10.31.1.1:8082"), (self.whale, "10.31.1.1:8081")]
        return [who(get.format(address)).strip() for who, address in asked]


APART = ["", "", "whale", "web"]


@pytest.fixture
def street(host):
    return Street(host)


@contextmanager
def dockerd(street: Street):
    """Docker on this host."""
    with ExitStack() as undo:
        undo.enter_context(street.host.place)
        try:
            daemon = undo.enter_context(peers.dockerd(network=True))
        except peers.Missing as reason:
            pytest.skip(f"no docker to compare with: {reason}")
        street.docker(daemon)
        yield


def seen(host: Host) -> dict[str, str]:
    found = look(host.place)
    return found | {
        words: host.place.run("ip", *words.split()) for words in ("-br link", "-br addr", "route", "-6 route show type unicast")
    }


def test_docker_first(street):
    """And at the end it has all that it had."""
    with dockerd(street):
        wait_for(street.theirs_work)
        before = seen(street.host)
        street.ours()
        wait_for(lambda: street.ours_work() and street.theirs_work())
        assert street.met() == APART
        street.host.clear()
        after = seen(street.host)
        assert {name for name in before if before[name] != after[name]} == set()
        assert street.theirs_work()


def test_docker_second_and_reloaded(street):
    """What it does to the rules of others, and whoever flushes its own: the manager hears of it."""
    street.ours()
    wait_for(street.ours_work)
    with dockerd(street):
        wait_for(lambda: street.ours_work() and street.theirs_work())
        assert street.met() == APART
        street.host.place.run("iptables", "-F", "DOCKER-USER")
        wait_for(street.ours_work)
        street.host.clear()
        assert street.theirs_work(), "forwarding stays on, as Docker has come since"
        assert not any("suitcase" in text for text in seen(street.host).values())
