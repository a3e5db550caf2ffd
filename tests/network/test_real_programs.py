"""Real servers and real clients on a network of ours: by name from container to container, by published port from outside."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.hosts import Host, host
from helpers.needs import requires
from helpers.waiting import wait_for

from lib import bases
from lib.images import Library, Store, archive
from lib.lab.doctor.prepare import SERVERS

__all__ = ["host"]
pytestmark = [requires("root", "overlay", "busybox", "nft", "mmdebstrap"), pytest.mark.timeout(300)]
IMAGE = "localhost/debian:servers"
DATABASE = """cd /usr/lib/postgresql/*/bin
./initdb -D /tmp/data -A trust --no-sync > /dev/null
echo host all all samenet trust >> /tmp/data/pg_hba.conf
exec ./postgres -D /tmp/data -k /tmp -h 0.0.0.0"""
TOWN = {
    "web": f"-p 8080:80 {IMAGE} nginx -g 'daemon off;'",
    "cache": f"-p 6379:6379 {IMAGE} redis-server --bind 0.0.0.0 --protected-mode no",
    "db": f"--user postgres {IMAGE} sh -c '{DATABASE}'",
    "client": f"{IMAGE} sleep 1000",
}


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Iterator[Path]:
    """A store with one image, in which all of these programs are."""
    place = tmp_path_factory.mktemp("images")
    archive.from_folder(Library(Store(place, durable=False)), bases.debian(SERVERS), IMAGE, {})
    yield place
    shutil.rmtree(place)


@pytest.fixture
def town(host, images, monkeypatch) -> Host:
    """Three servers and somebody who asks them, on one network; all servers are up."""
    monkeypatch.setenv("SUITCASE_IMAGES", str(images))
    host("network create town")
    for name, words in TOWN.items():
        host(f"run -d --name {name} --network town {words}")
    for ask in ("curl -sf http://web/", "redis-cli -h cache ping", "psql -h db -U postgres -c ''"):
        wait_for(lambda ask=ask: host(f"exec client {ask}", None).code == 0)
    return host


def address(host: Host, name: str) -> str:
    return json.loads(host(f"inspect --format '{{{{json .NetworkSettings.Networks.town.IPAddress}}}}' {name}").out)


def test_by_name_from_another_container(town):
    assert "Welcome to nginx" in town.inside("client", "curl -sS http://web/")
    assert town.inside("client", "redis-cli -h cache set greeting hello && redis-cli -h cache.town get greeting") == "OK\nhello\n"
    asked = "psql -h db -U postgres -tAc 'select count(*), inet_client_addr() from generate_series(1, 100000)'"
    assert town.inside("client", asked) == f"100000|{address(town, 'client')}\n", "a database sees who asks"
    assert town.inside("client", "dig +short web cache db").split() == [address(town, name) for name in ("web", "cache", "db")]
    assert town.inside("client", f"dig +short -x {address(town, 'db')}") == "db.town.\n"
    assert town("exec client curl -sS http://nosuch.town/", 6).err == "curl: (6) Could not resolve host: nosuch.town\n"


def test_a_server_that_is_restarted_is_found_again(town):
    town("restart -t 5 cache")
    assert wait_for(lambda: town.inside("client", "redis-cli -h cache ping", None)) == "PONG\n"
    town("rm -f web")
    town(f"run -d --name web --network town --hostname other {TOWN['web']}")
    assert "Welcome to nginx" in wait_for(lambda: town.inside("client", "curl -sS http://web/ 2> /dev/null", None))


@requires("curl", "redis-cli")
def test_by_published_port_from_the_host_and_from_its_neighbour(town):
    """A neighbour's packets are sent on by the kernel; the host's own are carried by us. A page of a megabyte gets there and back."""
    neighbour = town.arena.place("neighbour")
    town.arena.cable(town.place, "lan", neighbour, "eth0", ["10.31.1.2/24"])
    town.place.ip("addr add 10.31.1.1/24 dev lan")
    gateway = json.loads(town("inspect --format '{{json .NetworkSettings.Networks.town.Gateway}}' web").out)
    for who, where in ((town.place, "127.0.0.1"), (town.place, gateway), (neighbour, "10.31.1.1")):
        assert "Welcome to nginx" in who.run("curl", "-sSm", "20", f"http://{where}:8080/")
        assert who.run("redis-cli", "-h", where, "-x", "set", where, text="x" * 1_000_000) == "OK\n"
        assert len(who.run("redis-cli", "-h", where, "get", where)) == 1_000_001
    assert " addr=10.31.1.2:" in neighbour.run("redis-cli", "-h", "10.31.1.1", "client", "info"), "a server sees who asks"
