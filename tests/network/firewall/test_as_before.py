"""When everything is undone the machine is as it was: rules, the rules of others, and every switch of the kernel's network."""

from __future__ import annotations

import pytest
from helpers.asbefore import look
from helpers.needs import requires
from helpers.town import FRONT, INNER, SUBNETS

from lib import state
from lib.netfilter import foreign, forwarding, iptables
from lib.network import firewall

pytestmark = requires("root", "nft", "ip", "iptables")


@pytest.fixture
def machine(host):
    """One with two firewalls of its own, that hands no packets on."""
    for program in ("iptables-nft", "ip6tables-legacy"):
        for words in ("-P FORWARD DROP", "-N DOCKER-USER", "-A FORWARD -j DOCKER-USER", "-A FORWARD -i br9 -j ACCEPT"):
            host.run(program, *words.split())
    host.run("nft", "add table inet mine")
    host.sysctl("ipv4/ip_forward", "0")
    host.sysctl("ipv6/conf/all/forwarding", "0")
    return host


def opened(host) -> list[list]:
    """All deeds in the order of a first container, and the undos for them."""
    changes = [firewall.made(), firewall.opened(FRONT, SUBNETS[FRONT]), firewall.opened(INNER, SUBNETS[INNER], internal=True)]
    changes += [firewall.published(protocol, "", 8080, "172.31.1.2", 80) for protocol in ("tcp", "udp")]
    undos = [*(host(forwarding.undo, family) for family in ("ip", "ip6")), ["withdraw_exception"], *(one.undoing for one in changes)]
    for family in ("ip", "ip6"):
        host(forwarding.switch_on, family)
    host(foreign.let_pass)
    for change in changes:
        host(firewall.apply, change)
    return [*undos, ["forget_flows", "172.31.1.2"]]


def test_all_is_as_before(machine):
    before = look(machine)
    undos = opened(machine)
    assert look(machine) != before
    for _ in range(2):
        machine(state.undo_all, undos)
        assert look(machine) == before


@pytest.mark.parametrize(
    "theirs", ["nft flush ruleset", "nft delete table ip suitcase", "iptables-nft -F", "sysctl -w net.ipv4.ip_forward=0"]
)
def test_others_have_undone_some_of_it_already(machine, theirs):
    undos = opened(machine)
    machine.run(*theirs.split())
    machine(state.undo_all, undos)
    after = look(machine)
    assert not any("suitcase" in text for text in after.values())
    assert after["/proc/sys/net/ipv4/ip_forward"] == after["/proc/sys/net/ipv6/conf/all/forwarding"] == "0"


def test_one_undo_fails_and_the_others_are_done(machine, monkeypatch):
    undos = opened(machine)
    monkeypatch.setattr(iptables, "run", lambda argv: (4, "another app is holding the lock"))
    with pytest.raises(ExceptionGroup):
        machine(state.undo_all, undos)
    monkeypatch.undo()
    assert "table ip suitcase" not in look(machine)["nft"]
