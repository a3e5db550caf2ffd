"""The doctor finds whatever somebody did to the packets' way, says what to type, and that helps."""

from __future__ import annotations

import pytest
from helpers.arena import Probe, wrong
from helpers.needs import requires
from helpers.town import FRONT, OUTSIDE, SUBNETS, address

from lib import state
from lib.netfilter import foreign, iptables, nft, watching
from lib.network import firewall
from lib.network.firewall import diagnosis

pytestmark = requires("root", "nft", "ip", "iptables")


@pytest.fixture
def changes(town):
    """A network with a published port, in the town."""
    ports = [firewall.published("udp", "", number, address(FRONT, 2, 4), 80) for number in range(8080, 8100)]
    made = [firewall.made(["ip"]), firewall.opened(FRONT, SUBNETS[FRONT][:1]), *ports]
    town.host(firewall.apply, firewall.joined("the town", made))
    yield made
    town.host(state.undo_all, [made[0].undoing, ["withdraw_exception"]])
    town.host.sysctl("ipv4/ip_forward", "1")
    for program in ("iptables-nft", "iptables-legacy"):
        town.host.run(program, "-P", "FORWARD", "ACCEPT")
        town.host.run(program, "-F")
    town.host.run("nft", "delete table ip filter")


def ill(town, changes) -> list[firewall.Row]:
    return [row for row in town.host(firewall.doctor, changes, ["ip"]) if not row.fine]


def reached(town) -> bool:
    out = Probe("out", town.web, "udp", OUTSIDE[4] + "2", 80, "outside sees")
    into = Probe("in", town.outside, "udp", OUTSIDE[4] + "1", 8080, "web sees")
    return not wrong([out, into], patience=0.25)


DEEDS = {  # what somebody does, what is found, and whether packets are lost by it
    "nft flush ruleset": ("our table", "missing", True),
    "nft flush chain ip suitcase forward": ("our table", "2 missing, such as 'ip suitcase forward: iifname vmap @leaving'", False),
    "nft flush map ip suitcase everywhere": ("our table", "20 missing, such as 'ip suitcase everywhere: udp . 80", True),
    f"nft insert rule ip suitcase leaving-{FRONT} drop": ("our table", f"1 too many, such as 'ip suitcase leaving-{FRONT}: drop'", True),
    "sysctl -w net.ipv4.ip_forward=0": ("forwarding of IPv4", "off", True),
    "iptables-nft -P FORWARD DROP": ("iptables-nft", "does not know of us", True),
    "iptables-legacy -P FORWARD DROP": ("iptables-legacy", "does not know of us", True),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_what_is_ours_is_made_again(town, changes, deed):
    town.host.run("iptables-nft", "-P", "FORWARD", "ACCEPT")
    town.host(foreign.let_pass)
    assert ill(town, changes) == [] and reached(town)
    town.host.run("iptables-nft", "-F")
    town.host.run("iptables-legacy", "-F")
    what, found, is_lost = DEEDS[deed]
    town.host.run(*deed.split())
    rows = {row.what: row for row in ill(town, changes)}
    assert rows[what].found.startswith(found) or found in rows[what].found
    assert rows[what].cure == diagnosis.REPAIR
    assert reached(town) != is_lost
    town.host(firewall.repair, changes, ["ip"])
    assert ill(town, changes) == [] and reached(town)
    (row,) = ill(town, changes[:5])
    assert row.found == "17 too many, such as 'ip suitcase everywhere: udp . 8083 : 172.31.1.2 . 80'"


@pytest.mark.parametrize("deed", ["nft flush ruleset", "nft delete table ip suitcase", "iptables-nft -F"])
def test_what_is_heard_is_mended(town, changes, deed):
    """And when all is well again, nothing more is heard: a daemon does not go round in circles."""
    town.host.run("iptables-nft", "-P", "FORWARD", "DROP")
    with town.host(watching.watch) as kernel:
        town.host(firewall.mend, changes, ["ip"])
        town.host.run(*deed.split())
        rounds = 0
        while watching.has_changed(kernel):
            town.host(firewall.mend, changes, ["ip"])
            rounds += 1
    assert rounds == 2
    assert ill(town, changes) == [] and reached(town)


def test_a_chain_of_somebodys_own(town, changes):
    """We do not write into it, and say what to write: that helps."""
    town.host(nft.carry_out, "table inet mine {\nchain forward { type filter hook forward priority 0; policy drop; }\n}\n")
    try:
        (row,) = (row for row in ill(town, changes) if row.what == "table inet mine")
        assert row.cure.startswith("nft insert rule inet mine forward ") and not reached(town)
        town.host.run("nft", row.cure.removeprefix("nft "))
        assert reached(town) and not [row for row in ill(town, changes) if row.what == "table inet mine"]
    finally:
        town.host.run("nft", "delete table inet mine")


def test_two_ways_out(town, changes):
    town.host.ip(f"route add default via {address('docker7', 2, 4)} metric 9")
    town.host.sysctl("ipv4/conf/docker7/rp_filter", "1")
    try:
        (row,) = (row for row in ill(town, changes) if row.what == "rp_filter")
        assert row.cure == "sysctl -w net.ipv4.conf.docker7.rp_filter=2"
        town.host.sysctl("ipv4/conf/docker7/rp_filter", "2")
        assert not [row for row in ill(town, changes) if row.what == "rp_filter"]
    finally:
        town.host.ip(f"route del default via {address('docker7', 2, 4)} metric 9")


def test_a_back_end_whose_program_has_gone(town, changes, monkeypatch):
    monkeypatch.setattr(diagnosis, "find", lambda name: None)
    assert diagnosis.beside("iptables-legacy", iptables).cure == "install it again"


def test_the_pieces_of_a_listing():
    listing = """
# Warning: iptables-legacy tables present, use iptables-legacy to see them
table ip suitcase {
    map ports {
        type inet_proto . inet_service : ipv4_addr . inet_service
        elements = { tcp . 80 : 172.31.1.2 . 80,
                 tcp . 81 : 172.31.1.2 . 80 }
    }

    set empty {
        type ifname
    }

    chain forward {
        type filter hook forward priority filter - 1; policy accept;
        ct state established,related ip saddr { 10.0.0.0/8, 172.16.0.0/12 } accept
    }
}
"""
    assert sorted(diagnosis.pieces(listing)) == [
        "ip suitcase empty: type ifname",
        "ip suitcase forward: ct state established,related ip saddr { 10.0.0.0/8, 172.16.0.0/12 } accept",
        "ip suitcase forward: type filter hook forward priority filter - 1; policy accept;",
        "ip suitcase ports: tcp . 80 : 172.31.1.2 . 80",
        "ip suitcase ports: tcp . 81 : 172.31.1.2 . 80",
        "ip suitcase ports: type inet_proto . inet_service : ipv4_addr . inet_service",
    ]
