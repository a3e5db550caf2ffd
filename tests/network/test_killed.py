"""Whoever is killed while a container joins its network leaves nothing that the next one does not find and take away."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from helpers.hosts import BUSYBOX, host
from helpers.lives import Lives
from helpers.needs import requires

from lib import state
from lib.engine import ending, lifecycle
from lib.engine.networks import connecting, publishing
from lib.netfilter import programs
from lib.network import Wish, create, every
from lib.state import kept, leases, shared

__all__ = ["host"]
pytestmark = [requires("root", "overlay", "busybox", "nft", "ip"), pytest.mark.timeout(180)]
PORT = {"protocol": "udp", "ip": "", "host": (8080, 8080), "port": 80}


class Killed:
    """SIGKILL of this process at the so many'th call of those that join a network."""

    def __init__(self, at: int, late: bool):
        self.left, self.late = at, late
        places = ((shared, "written"), (shared, "leased"), (shared, "make_folder"), (programs, "memory"), (os, "posix_spawn"))
        for where, name in places:
            setattr(where, name, self.counted(getattr(where, name)))
        for name, deed in shared.DEEDS.items():
            shared.DEEDS[name] = self.counted(deed)
        socket.socket.send = self.counted(socket.socket.send)

    def counted(self, original):
        def call(*args, **more):
            self.left -= 1
            due = not self.left
            if due and not self.late:
                os.kill(os.getpid(), signal.SIGKILL)
            done = original(*args, **more)
            if due:
                os.kill(os.getpid(), signal.SIGKILL)
            return done

        return call


def came_to_its_end(deed) -> bool:
    if (pid := os.fork()) == 0:
        try:
            deed()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_killed_at_every_step(host, late):
    with host.place:
        create("shop", ipv6=True)
        lives, at, ended = Lives(), 1, False
        while not ended:
            one = made(lives, "shop")

            def start(at: int = at, one: dict = one) -> None:
                Killed(at, late)
                lives.start(one)

            ended = came_to_its_end(start)
            gone(one)
            assert host.left() == [], at
            at += 1
        assert at > 20


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_killed_while_a_port_moves_to_another_network(host, late):
    """At every fifth step only: each takes a container of its own."""
    with host.place:
        for name in ("front", "more"):
            create(name)
        lives, at, ended = Lives(), 1 + 2 * late, False
        while not ended:
            one = lives.start(made(lives, "more"))

            def move(at: int = at, one: dict = one) -> None:
                Killed(at, late)
                connecting.connect(one, Wish("front"))
                connecting.disconnect(one, "front")

            ended = came_to_its_end(move)
            gone(one)
            assert host.left() == [], at
            at += 5
        assert at > 20


def made(lives: Lives, network: str) -> dict:
    """A container on this network that publishes a port."""
    facts, nothing = lives.facts("sleep 1000"), {word: [] for word in ("dns", "search", "dns_options", "hosts")}
    facts["network"] = {"mode": network, "networks": [{"network": network}], "ports": [PORT], **nothing}
    return lifecycle.create(lives.library, facts)


def gone(one: dict) -> None:
    """What somebody who was killed has left of it is undone, and it is removed."""
    state.gc()
    ending.remove(kept.load(kept.place(one)), force=True)


def test_a_port_that_somebody_takes_between_two_looks(host, monkeypatch):
    """There are no two looks: the port is bound before anything else is made, and whoever comes later is refused by the kernel."""
    with host.place:
        create("shop")
        first = publishing.Held([PORT | {"protocol": "tcp"}])
        with pytest.raises(OSError, match="address already in use") as caught:
            publishing.Held([PORT | {"protocol": "tcp"}])
        assert caught.value.errno == errno.EADDRINUSE
        said = host(f"run -d --name web --network shop -p 8080:80 {BUSYBOX} sleep 100", None)
        assert said.code == 125 and f"pid {os.getpid()}" in said.err and host.left() == []
        first.close()
        host("start web")


def test_two_who_make_the_same_network(host):
    """One of them is told that it is there; and all have subnets of their own."""
    line = [sys.executable, "-P", "-m", "lib.cli", "network", "create"]
    env = os.environ | {"PYTHONPATH": str(Path(state.__file__).parents[2])}

    def make(name: str) -> tuple[int, str]:
        done = host.place(subprocess.Popen, [*line, name], env=env, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        said = done.communicate()[1]
        return done.returncode, said

    with ThreadPoolExecutor(6) as many:
        found = list(many.map(make, ["same", "same", "same", "one", "two", "three"]))
    assert sorted(code for code, _ in found) == [0, 0, 0, 0, 1, 1]
    assert {said.strip() for code, said in found if code} == {"suitcase: network with name same already exists"}
    subnets = [pool["subnet"] for one in every() for pool in one.pools]
    assert len(subnets) == len(set(subnets)) == 4


def test_no_address_is_left(host):
    """Who has them is said; and as soon as one is free again it is given."""
    host("network create --subnet 10.9.9.0/30 tiny")
    host(f"run -d --name first --network tiny {BUSYBOX} sleep 100")
    said = host(f"run -d --name second --network tiny {BUSYBOX} sleep 100", None)
    assert said.code and "no available IPv4 address on network tiny (10.9.9.0/30): taken by first" in said.err
    host("rm -f first")
    host("start second")
    assert leases.everybody(next((state.runtime_dir() / "networks").glob("*")))
