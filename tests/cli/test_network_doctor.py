"""Whatever somebody does to the network under running containers is mended by itself, or the doctor says what to type, and that helps."""

from __future__ import annotations

import json
import os
import re
import socket

import pytest
from helpers.hosts import BUSYBOX, Host, host
from helpers.needs import requires
from helpers.waiting import wait_for

from lib.engine.daemons import calling
from lib.network import alive, find
from lib.state import shared

__all__ = ["host"]
pytestmark = [requires("root", "overlay", "busybox", "nft", "ip", "iptables"), pytest.mark.timeout(120)]
WEB = f"{BUSYBOX} sh -c 'echo hi > /index.html; httpd -f -p 80 -h /'"


@pytest.fixture
def town(host) -> Host:
    """Two containers on a network, one with a published port, and a neighbour outside."""
    host.neighbour = host.arena.place("neighbour")
    host.arena.cable(host.place, "lan", host.neighbour, "eth0", ["10.31.1.2/24"])
    host.place.ip("addr add 10.31.1.1/24 dev lan")
    host("network create --ipv6 front")
    host(f"run -d --name web --network front -p 8080:80 {WEB}")
    host(f"run -d --name db --network front {BUSYBOX} sleep 100")
    wait_for(lambda: reached(host) and "hi" in host.inside("db", "wget -qO- http://web/", None))
    return host


def reached(host: Host) -> bool:
    """From a container the neighbour, who knows no way back but to the host."""
    return "1 packets received" in host.inside("db", "ping -c1 -W1 10.31.1.2", None)


def bridge(host: Host) -> str:
    return next(name for name in host.links() if name.startswith("suitcase-"))


def ill(host: Host) -> str:
    return host("network doctor", 1).out


def test_the_doctor_when_all_is_well(host):
    assert "none is in use" in host("network doctor").out
    host(f"run -d --name web --network bridge {BUSYBOX} sleep 100")
    said = host("network doctor").out
    assert re.search(r"ok +network bridge +its bridge suitcase-[0-9a-f]{6} is up; plugged into it: web", said) and "WRONG" not in said
    assert said.splitlines()[0].split() == ["LOOKED", "AT", "FOUND"] and "forwarding of IPv4   on" in said and "IPv6" not in said


@pytest.mark.parametrize("deed", ["nft flush ruleset", "nft delete table ip suitcase", "iptables -P FORWARD DROP"])
def test_what_others_flush_or_forbid_is_mended_by_itself(town, deed):
    """The manager hears of it."""
    town.place.run(*deed.split())
    wait_for(lambda: reached(town))
    town("network doctor")


@pytest.mark.parametrize(("deed", "ails"), [("nft flush ruleset", "our table"), ("iptables-legacy -P FORWARD DROP", "iptables-legacy")])
def test_while_there_is_no_manager(town, deed, ails):
    """The next one looks before it listens; of the older iptables nobody would hear anything."""
    with town.place(calling.knock, "manager") as line:
        os.kill(int.from_bytes(line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)[:4], "little"), 9)
    town.place.run(*deed.split())
    assert ails in ill(town) and not reached(town)
    assert town.sh("--network none", "echo there") == "there\n"
    wait_for(lambda: reached(town))


@pytest.mark.parametrize(
    ("deed", "said", "is_lost"),
    [
        ("nft flush map ip suitcase everywhere", "such as 'ip suitcase everywhere: tcp . 8080", False),
        ("sysctl -w net.ipv4.ip_forward=0", "forwarding of IPv4   off", True),
        ("ip link delete {bridge}", "its bridge {bridge} is gone: somebody has deleted it under db, web", True),
        ("ip link set {bridge} down", "its bridge {bridge} is switched off", True),
        ("ip addr del 172.17.0.1/16 dev {bridge}", "has lost its address 172.17.0.1: containers find no gateway", True),
    ],
)
def test_what_the_doctor_makes_again(town, deed, said, is_lost):
    words = {"bridge": bridge(town)}
    town.place.run(*deed.format(**words).split())
    found = ill(town)
    assert said.format(**words) in found and found.endswith("What to type:\n  suitcase network doctor --repair\n")
    assert reached(town) != is_lost
    assert "WRONG" not in town("network doctor --repair").out
    wait_for(lambda: reached(town))
    assert town.inside("db", "wget -qO- http://web/") == "hi\n"
    assert "6 packets" not in town.inside("db", f"ping -c1 -W5 {town.place(find, 'front').gateway(6)}")


def test_cables_pulled_out_and_cut(town):
    """One that hangs loose is plugged in again; one that is gone comes back with its container's next start."""
    web, db = (name for name in sorted(town.links()) if re.fullmatch("suitcase[0-9a-f]{7}", name))
    town.place.ip(f"link set {web} nomaster", f"link delete {db}")
    found = ill(town)
    assert "not plugged into its bridge" in found and "the cable is gone of" in found
    gone = re.search(r"suitcase restart (web|db)", found)[1]
    assert gone in ill(town) and "not plugged" not in town("network doctor --repair", 1).out
    town(f"restart -t 0 {gone}")
    assert "WRONG" not in town("network doctor").out
    wait_for(lambda: reached(town) and "hi" in town.inside("db", "wget -qO- http://web/", None))


def test_the_bridge_deleted_and_the_containers_ended(town):
    """No error, and nothing is left (see the fixture)."""
    town.place.ip(f"link delete {bridge(town)}")
    assert town("rm -f web db").err == ""


def test_forwarding_switched_on_again_is_switched_off_in_the_end(host):
    host.place.sysctl("ipv4/ip_forward", "1")
    host(f"run -d --name web --network bridge {BUSYBOX} sleep 100")
    host.place.sysctl("ipv4/ip_forward", "0")
    host("network doctor --repair")
    assert host.place.run("sysctl", "-n", "net.ipv4.ip_forward") == "1\n"
    host("rm -f web")
    assert host.place.run("sysctl", "-n", "net.ipv4.ip_forward") == "0\n"


def test_nobody_joins_or_leaves_while_rules_are_made_again(host):
    """And where nobody is, nothing is made for it."""
    with host.place, alive.standing_still():
        assert alive.networks() == {}
    host(f"run -d --name web --network bridge {BUSYBOX} sleep 100")
    (network,) = host.place(alive.networks).values()
    assert json.loads(host("network inspect bridge").out)[0]["Containers"] and network["name"] == "bridge"
    with host.place, alive.standing_still(), pytest.raises(BlockingIOError):
        shared.fcntl.flock(open(f"{network['alive']}/lock"), shared.fcntl.LOCK_EX | shared.fcntl.LOCK_NB)
