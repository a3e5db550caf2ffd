"""Who reaches whom: one matrix, asked in namespaces, by TCP and UDP, IPv4 and IPv6; and each rule is needed for it."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from helpers.arena import Place, Probe, wrong
from helpers.needs import requires
from helpers.town import BACK, FRONT, INNER, LAN, OUTSIDE, SUBNETS, Town, address, at

from lib.netfilter import foreign, iptables, nft
from lib.network import firewall
from lib.network.firewall.change import Change

pytestmark = requires("root", "nft", "ip", "iptables")
TRANSPORTS = [(protocol, version) for protocol in ("tcp", "udp") for version in (4, 6)]
BRIDGE_SWITCHES = ("bridge/bridge-nf-call-iptables", "bridge/bridge-nf-call-ip6tables")


def opened() -> Change:
    """Three networks and their published ports."""
    networks = [firewall.opened(FRONT, SUBNETS[FRONT]), firewall.opened(BACK, SUBNETS[BACK])]
    networks.append(firewall.opened(INNER, SUBNETS[INNER], internal=True))
    ports = []
    for protocol, version in TRANSPORTS:
        web, db, vault = (address(bridge, 2, version) for bridge in (FRONT, BACK, INNER))
        ports += [firewall.published(protocol, "", 8080, web, 80), firewall.published(protocol, OUTSIDE[version] + "1", 8081, web, 80)]
        ports += [firewall.published(protocol, {4: "127.0.0.1", 6: "::1"}[version], 8082, web, 80)]
        ports += [firewall.published(protocol, "", 8090, db, 80), firewall.published(protocol, "", 8070, vault, 80)]
    return firewall.joined("the town", [firewall.made(), *networks, *ports])


def probes(town: Town, protocol: str, version: int) -> list[Probe]:
    """The matrix. A line: who asks, at which address and port, and who must answer whom ("": nobody)."""
    web, sister, db, vault, safe = (address(*one, version) for one in ((FRONT, 2), (FRONT, 3), (BACK, 2), (INNER, 2), (INNER, 3)))
    front, back = address(FRONT, 1, version), address(BACK, 1, version)
    lan, outside = LAN[version], OUTSIDE[version]
    loopback = {4: "127.0.0.1", 6: "::1"}[version]
    lines = [
        # members of a network, and other networks
        (town.web, sister, 80, f"sister sees {web}"),
        (town.web, db, 80, ""),
        (town.db, web, 80, ""),
        (town.web, lan + "1", 8090, "db sees"),
        (town.web, back, 8090, "db sees"),
        (town.db, front, 8080, "web sees"),
        # out, and to the host
        (town.web, outside + "2", 80, f"outside sees {outside}1"),
        (town.web, lan + "2", 80, f"neighbour sees {lan}1"),
        (town.web, front, 8000, f"host sees {web}"),
        # in, by a published port
        (town.outside, outside + "1", 8080, f"web sees {outside}2"),
        (town.neighbour, lan + "1", 8080, f"web sees {lan}2"),
        (town.outside, outside + "1", 8081, "web sees"),
        (town.neighbour, lan + "1", 8081, ""),
        (town.neighbour, lan + "1", 8082, ""),
        # the neighbour has set a route: nothing published, and published to 127.0.0.1 (8082), come to the same
        (town.neighbour, web, 80, ""),
        (town.neighbour, web, 8080, ""),
        (town.neighbour, db, 80, ""),
        # itself and a sister, by the host's address
        (town.web, front, 8080, "web sees"),
        (town.web, lan + "1", 8080, "web sees"),
        (town.sister, lan + "1", 8080, "web sees"),
        # the host
        (town.host, web, 80, "web sees"),
        (town.host, lan + "1", 8080, "web sees"),
        (town.host, loopback, 8080, ""),
        # nothing goes into an internal network, or out
        (town.vault, safe, 80, f"safe sees {vault}"),
        (town.vault, outside + "2", 80, ""),
        (town.vault, web, 80, ""),
        (town.vault, lan + "1", 8080, ""),
        (town.neighbour, vault, 80, ""),
        (town.neighbour, lan + "1", 8070, ""),
        (town.web, vault, 80, ""),
        (town.web, lan + "1", 8070, ""),
        # bridges that are not ours: among themselves; by a published port; and not straight
        (town.guest, address("docker7", 2, version), 80, "whale sees"),
        (town.guest, lan + "1", 8080, "web sees"),
        (town.guest, web, 80, ""),
    ]
    return [probe(who, protocol, where, port, says) for who, where, port, says in lines]


def probe(who: Place, protocol: str, where: str, port: int, says: str) -> Probe:
    return Probe(f"{who.name} → {protocol} {where} {port}", who, protocol, where, port, says)


def matrix(town: Town) -> list[Probe]:
    return [one for transport in TRANSPORTS for one in probes(town, *transport)]


def faults(town: Town, asked: list[Probe], **how) -> dict[str, str]:
    """Wrong answers, and packets that came into the internal network, though nothing came out of it."""
    town.arena.answering.heard.clear()
    found = wrong(asked, **how)
    members = tuple(at(subnet, number) for subnet in SUBNETS[INNER] for number in (2, 3))
    strays = {line for line in town.arena.answering.heard if line.startswith(("vault", "safe")) and not line.endswith(members)}
    return found | dict.fromkeys(strays, "came in")


@pytest.fixture
def rules(town):
    change = opened()
    town.host(firewall.apply, change)
    yield change
    town.host(nft.take_back, change.undo)


@pytest.mark.parametrize("iptables", ["0", "1"])
def test_the_matrix(town, rules, iptables):
    """Also with br_netfilter: then what a bridge hands on by itself meets the rules too."""
    for name in BRIDGE_SWITCHES:
        town.host.sysctl(name, iptables)
    assert faults(town, matrix(town)) == {}


# -- other wishes -----------------------------------------------------------------------------------------------------------


@contextmanager
def one_network(town: Town, version: int, **wishes):
    """Of one family, with a published port of the sister's."""
    ip = {4: "ip", 6: "ip6"}[version]
    subnet, sister = SUBNETS[FRONT][version == 6], address(FRONT, 3, version)
    port = firewall.published("udp", "", 8080, sister, 80)
    change = firewall.joined("a network", [firewall.made([ip]), firewall.opened(FRONT, [subnet], **wishes), port])
    town.host(firewall.apply, change)
    try:
        yield
    finally:
        town.host(nft.take_back, change.undo)


@pytest.mark.parametrize("version", [4, 6])
def test_without_icc_members_reach_each_other_by_published_ports_alone(town, version):
    """The bridge's ports are isolated; who sends by way of the gateway instead meets our rule."""
    sister = address(FRONT, 3, version)
    straight = probe(town.web, "udp", sister, 80, "")
    by_the_host = probe(town.web, "udp", LAN[version] + "1", 8080, "sister sees")
    out = probe(town.web, "udp", OUTSIDE[version] + "2", 80, f"outside sees {OUTSIDE[version]}1")
    for name in BRIDGE_SWITCHES:
        town.host.sysctl(name, "0")
    ports = [f"link set v-{name} type bridge_slave isolated" for name in ("web", "sister")]
    town.host.ip(*(f"{port} on" for port in ports))
    route = f"route add {sister} via {address(FRONT, 1, version)}"
    with one_network(town, version, icc=False):
        assert wrong([straight, by_the_host, out]) == {}
        town.web.ip(route)
        assert wrong([straight, by_the_host, out]) == {}
        town.web.ip(route.replace("add", "del"))
    town.host.ip(*(f"{port} off" for port in ports))
    for name in BRIDGE_SWITCHES:
        town.host.sysctl(name, "1")
    with one_network(town, version, icc=False):  # with br_netfilter the rule alone does it
        assert wrong([straight, by_the_host, out]) == {}


@pytest.mark.parametrize("version", [4, 6])
def test_without_masquerade_the_outside_sees_the_container_itself(town, version):
    """Whoever wants that sets a route; nobody comes in by it, but to answer."""
    web, sister = address(FRONT, 2, version), address(FRONT, 3, version)
    route = f"route add {SUBNETS[FRONT][version == 6]} via {OUTSIDE[version]}1"
    town.outside.ip(route)
    with one_network(town, version, masquerade=False):
        asked = [probe(town.web, "udp", OUTSIDE[version] + "2", 80, f"outside sees {web}")]
        asked += [probe(town.outside, protocol, one, 80, "") for protocol in ("tcp", "udp") for one in (web, sister)]
        asked += [probe(town.outside, "udp", OUTSIDE[version] + "1", 8080, "sister sees")]
        asked += [probe(town.sister, "udp", LAN[version] + "1", 8080, "sister sees")]  # itself, by the host's address
        assert wrong(asked) == {}
    town.outside.ip(route.replace("add", "del"))


# -- beside others ----------------------------------------------------------------------------------------------------------


@contextmanager
def closed(town: Town, back_end: str):
    """Another's firewall: forwards nothing, but from one of his bridges to the other. As dockerd, ufw and firewalld leave it."""
    for name in ("iptables", "ip6tables"):
        program = f"{name}-{back_end}"
        for words in ("-P FORWARD DROP", "-A FORWARD -i virbr7 -o docker7 -j ACCEPT", "-A FORWARD -i docker7 -o virbr7 -j ACCEPT"):
            town.host.run(program, "-w", *words.split())
    try:
        yield
    finally:
        for name in ("iptables", "ip6tables"):
            for words in ("-P FORWARD ACCEPT", "-P INPUT ACCEPT", "-F"):
                town.host.run(f"{name}-{back_end}", "-w", *words.split())
        if back_end == "nft":
            town.host(nft.carry_out, "delete table ip filter; delete table ip6 filter")


def to_their_bridge(town: Town, protocol: str, version: int) -> Probe:
    """From a container of ours to one of theirs, of which only they may decide."""
    return probe(town.web, protocol, address("docker7", 2, version), 80, "")


def among_them(town: Town, protocol: str, version: int) -> Probe:
    return probe(town.guest, protocol, address("docker7", 2, version), 80, "whale sees")


@pytest.mark.parametrize("back_end", ["nft", "legacy"])
def test_beside_a_policy_of_iptables(town, rules, back_end):
    with closed(town, back_end):
        outward = probe(town.web, "udp", OUTSIDE[4] + "2", 80, f"outside sees {OUTSIDE[4]}1")
        assert wrong([outward], patience=0.3)  # an accept of ours does not override their policy
        town.host(foreign.let_pass)
        assert faults(town, [*matrix(town), *(to_their_bridge(town, *one) for one in TRANSPORTS)]) == {}
        town.host(foreign.withdraw)
        assert wrong([among_them(town, *one) for one in TRANSPORTS]) == {}
        assert "suitcase" not in town.host.run(f"iptables-{back_end}", "-w", "-S")


def test_nothing_of_this_is_left(town):
    assert wrong([among_them(town, *one) for one in TRANSPORTS]) == {}
    assert "suitcase" not in town.host.run("nft", "list", "ruleset")


MARKS = f"""
table ip theirs {{
    chain before {{
        type filter hook prerouting priority mangle
        iifname "virbr7" meta mark set {iptables.MARK:#x}
    }}
    chain after {{
        type filter hook postrouting priority mangle
        iifname "virbr7" meta mark != {iptables.MARK:#x} drop
        iifname != "virbr7" meta mark and {iptables.MARK:#x} == {iptables.MARK:#x} drop
    }}
}}
"""


def test_our_mark_is_gone_when_a_packet_leaves_and_theirs_is_not(town, rules):
    town.host(nft.carry_out, MARKS)
    inward, outward = (
        probe(town.outside, "udp", OUTSIDE[4] + "1", 8080, "web sees"),
        probe(town.web, "udp", OUTSIDE[4] + "2", 80, "outside"),
    )
    assert wrong([inward, outward, among_them(town, "udp", 4)]) == {}
    town.host(nft.carry_out, "delete table ip theirs")


def test_the_way_out_may_be_a_bridge(town):
    """Then it is told, as what goes to another bridge is for its owner to decide."""
    town.host.ip(f"route replace default via {address('docker7', 2, 4)}")
    whale = probe(town.web, "udp", address("docker7", 2, 4), 80, f"whale sees {address('docker7', 1, 4)}")
    change = firewall.joined(
        "one network", [firewall.made(["ip"], town.host(firewall.uplinks)), firewall.opened(FRONT, SUBNETS[FRONT][:1])]
    )
    try:
        assert town.host(firewall.uplinks) == {"docker7", "outside"}  # by IPv4, by IPv6
        town.host(firewall.apply, change)
        with closed(town, "nft"):
            town.host(foreign.let_pass)
            assert wrong([whale]) == {}
            town.host(foreign.withdraw)
    finally:
        town.host(nft.take_back, change.undo)
        town.host.ip(f"route replace default via {OUTSIDE[4]}2")


def test_who_denies_what_comes_to_the_host_does_not_deny_a_published_port(town, rules):
    """As after ``ufw default deny``: its chain is INPUT, and a translated packet goes by FORWARD."""
    with closed(town, "nft"):
        town.host(foreign.let_pass)
        town.host.run("iptables-nft", "-P", "INPUT", "DROP")
        there, not_there = (probe(town.neighbour, "tcp", LAN[4] + "1", *one) for one in ((8080, "web sees"), (8000, "")))
        assert wrong([there, not_there]) == {}
        town.host(foreign.withdraw)


# -- each rule is needed ----------------------------------------------------------------------------------------------------

# Why nothing is seen of it when this one is missing.
SPARE = {"pass accept": "the chain's policy is accept", "forwarded": "see test_our_mark_is_gone_when_a_packet_leaves_and_theirs_is_not"}


def named(line: str) -> str:
    """A rule of one family, without the table and the network's name: ``entering ct status dnat goto pass``."""
    return line.removeprefix("add rule ip suitcase ").replace(f"-{FRONT} ", " ").replace(f"-{INNER} ", " internal ")


RULES = sorted({named(line) for line in opened().do.splitlines() if line.startswith("add rule ip ") and BACK not in line})


@pytest.fixture(scope="module")
def beside_iptables(town):
    for name in BRIDGE_SWITCHES:
        town.host.sysctl(name, "1")
    with closed(town, "nft"):
        town.host(foreign.let_pass)
        yield
        town.host(foreign.withdraw)


@pytest.mark.parametrize("rule", [rule for rule in RULES if not rule.startswith(tuple(SPARE))])
def test_without_this_rule_the_matrix_is_another(town, beside_iptables, rule):
    whole = opened()
    change = Change("a town with a hole", "".join(line for line in whole.do.splitlines(True) if named(line.strip()) != rule), whole.undo)
    assert change.do != whole.do
    town.host(firewall.apply, change)
    try:
        asked = [one for protocol in ("tcp", "udp") for one in probes(town, protocol, 4)]
        if not faults(town, [*asked, to_their_bridge(town, "udp", 4)], patience=0.25, quiet=0.1):
            town.host.run("iptables-nft", "-P", "FORWARD", "ACCEPT")  # what it forbids, their policy forbids as well
            assert faults(town, asked, patience=0.25, quiet=0.1)
    finally:
        town.host.run("iptables-nft", "-P", "FORWARD", "DROP")
        town.host(nft.take_back, whole.undo)
