"""Forwarding is switched on where it is off, and off again at the end, unless somebody has come who may need it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.needs import requires

from lib import state
from lib.netfilter import forwarding, nft

pytestmark = requires("root", "nft", "ip", "iptables")
ROOT = Path(__file__).parents[2]
SWITCHES = ("forwarding", "accept_redirects", "accept_ra")


@pytest.fixture
def lonely(host):
    """A machine that forwards nothing, with an uplink that it learns its way out by, and interfaces of other minds."""
    host.ip(*(f"link add {name} type veth peer name other-{name}" for name in ("uplink", "strict", "router")))
    host.sysctl("ipv4/ip_forward", "0")
    host.sysctl("ipv6/conf/all/forwarding", "0")
    for name, value in {
        "ipv4/conf/all/accept_redirects": "0", "ipv4/conf/router/forwarding": "1", "ipv6/conf/router/forwarding": "1",
        "ipv6/conf/strict/accept_ra": "0", "ipv6/conf/uplink/accept_ra": "1", "ipv6/conf/router/accept_ra": "1",
    }.items():  # fmt: skip
        host.sysctl(name, value)
    return host


def switches(host) -> dict[str, str]:
    """Every switch that the two change, or may change."""
    paths = [f"{conf}/{name}/{word}" for conf in forwarding.CONF.values() for name in host(os.listdir, conf) for word in SWITCHES]
    return {path: value for path in paths if (value := host(forwarding.value, path))}


def on(host, family: str) -> list:
    undo = host(forwarding.undo, family)
    host(forwarding.switch_on, family)
    assert host(forwarding.is_on, family)
    return undo


@pytest.mark.parametrize("family", ["ip", "ip6"])
def test_all_switches_are_as_before(lonely, family):
    before = switches(lonely)
    undo = on(lonely, family)
    assert switches(lonely) != before
    for _ in range(2):
        lonely(state.undo_all, [undo])
        assert switches(lonely) == before


def test_who_learns_its_way_out_goes_on_doing_so(lonely):
    on(lonely, "ip6")
    now = {
        name: lonely(forwarding.value, f"/proc/sys/net/ipv6/conf/{name}/accept_ra") for name in ("uplink", "strict", "router", "default")
    }
    assert now == {"uplink": "2", "strict": "0", "router": "1", "default": "1"}


@pytest.mark.parametrize("family", ["ip", "ip6"])
def test_what_was_on_is_not_ours_to_switch_off(host, family):
    host.sysctl("ipv4/ip_forward", "1")
    host.sysctl("ipv6/conf/all/forwarding", "1")
    before = switches(host)
    assert host(forwarding.undo, family) is None
    host(forwarding.switch_on, family)
    assert switches(host) == before


NEWCOMERS = {
    "the bridge docker0": ["ip", "link", "add", "docker0", "type", "bridge"],
    "the chain forward of the table inet mine": ["nft", "table inet mine { chain forward { type filter hook forward priority 0; }; }"],
    "the rule '-A FORWARD -i wg0 -j ACCEPT' of iptables": ["iptables-nft", "-A", "FORWARD", "-i", "wg0", "-j", "ACCEPT"],
    "the rule '-A FORWARD -i tun0 -j ACCEPT' of iptables": ["iptables-legacy", "-A", "FORWARD", "-i", "tun0", "-j", "ACCEPT"],
}


@pytest.mark.parametrize("who", NEWCOMERS)
def test_it_stays_for_who_has_come_since(lonely, who):
    undo = on(lonely, "ip")
    lonely.run(*NEWCOMERS[who])
    assert lonely(forwarding.put_back, *undo[1:]) == (
        f"/proc/sys/net/ipv4/conf/all/forwarding stays 1: {who} has come since we switched it on, and may need it"
    )
    assert lonely(forwarding.is_on, "ip")


@pytest.mark.parametrize("who", NEWCOMERS)
def test_not_for_who_was_there_before(lonely, who):
    """They lived without it."""
    lonely.run(*NEWCOMERS[who])
    undo = on(lonely, "ip")
    lonely.ip("link add suitcase-f00001 type bridge", "link add cable type veth peer name elbac")
    lonely(nft.carry_out, "add table ip suitcase; add chain ip suitcase forward { type filter hook forward priority 0; }")
    assert lonely(forwarding.put_back, *undo[1:]) == ""
    assert not lonely(forwarding.is_on, "ip")


def test_an_interface_that_has_gone_since(lonely):
    undo = on(lonely, "ip6")
    lonely.ip("link del uplink")
    assert lonely(forwarding.put_back, *undo[1:]) == "" and not lonely(forwarding.is_on, "ip6")


ALONE = """
import os
from lib import linux
from lib.netfilter import forwarding
linux.unshare("user", "net")
for name, words in (("setgroups", "deny"), ("uid_map", "1234 1234 1"), ("gid_map", "1234 1234 1")):
    linux.write(f"/proc/self/{name}", words)
print(sorted(forwarding.others("ip") | forwarding.others("ip6")))
"""


@requires("userns")
def test_a_user_in_a_network_of_his_own_finds_nobody_else_there():
    """The lists of iptables-legacy belong to a root that is nobody in there, so he may not read them."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", ALONE], user=1234, group=1234, extra_groups=[], env={"PYTHONPATH": str(ROOT)}, cwd="/",
        capture_output=True, text=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("[]\n", "")
