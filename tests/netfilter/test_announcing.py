"""A neighbour who knows an address of another one believes the new one at once."""

from __future__ import annotations

import re

import pytest
from helpers.arena import Arena
from helpers.hosts import BUSYBOX, host
from helpers.needs import requires
from helpers.waiting import wait_for

from lib.netfilter import rtnetlink
from lib.netfilter.announcing import announce

__all__ = ["host"]
pytestmark = requires("root", "ip")
OTHERS = "02:00:00:00:00:99"


@pytest.mark.parametrize("address", ["10.7.0.2", "fd07::2"])
def test_a_neighbour_who_knew_it_of_another(address):
    with Arena() as arena:
        here, there = arena.place("here"), arena.place("there")
        arena.cable(here, "out", there, "eth0", ["10.7.0.2/24", "fd07::2/64"])
        here.ip(
            "addr add 10.7.0.1/24 dev out", "addr add fd07::1/64 dev out nodad", f"neigh add {address} lladdr {OTHERS} dev out nud stale"
        )
        mac = re.search(r"link/ether (\S+)", there.run("ip", "link", "show", "eth0"))[1]
        if ":" in address:
            there(announce, "eth0", mac, address)
        else:
            there(rtnetlink.send, [["tells", "eth0"], ["mac", "eth0", mac]])
        wait_for(lambda: mac in here.run("ip", "neigh", "show", address))


def test_a_link_that_is_not_there_keeps_nobody_from_starting():
    announce("nosuch", OTHERS, "fd07::2")


@requires("overlay", "busybox", "nft")
@pytest.mark.timeout(60)
def test_a_container_announces_itself(host):
    run = f"run -d --network front --ip 10.77.0.9 --ip6 fd77::9 {{}} {BUSYBOX} sleep 60"
    host("network create --subnet 10.77.0.0/24 --subnet fd77::/64 front")
    host(run.format("--name first --mac-address 02:00:00:00:00:01"))
    host(f"run -d --name db --network front {BUSYBOX} sleep 60")
    host.inside("db", "ping -c1 -W5 10.77.0.9 && ping -c1 -W5 fd77::9")
    assert host.inside("db", "ip neigh").count("02:00:00:00:00:01") == 2
    host("rm -f first")
    host(run.format("--name second --mac-address 02:00:00:00:00:02"))
    wait_for(lambda: host.inside("db", "ip neigh").count("02:00:00:00:00:02") == 2)
