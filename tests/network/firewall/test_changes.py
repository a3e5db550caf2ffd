"""A change of the firewall as text: what it is made of, and that it can be taken back at any time, twice, and when all has gone."""

from __future__ import annotations

import errno

import pytest
from helpers.needs import requires

from lib import state
from lib.netfilter import nft, programs
from lib.network import firewall

FRONT = "suitcase-f00001"


def published(number: int = 1, address: str = "172.31.1.2") -> firewall.Change:
    return firewall.published("tcp", "", 8000 + number, address, 80)


# -- as text ----------------------------------------------------------------------------------------------------------------


def test_a_port_is_one_element():
    assert published().do == "add element ip suitcase everywhere { tcp . 8001 : 172.31.1.2 . 80 }\n"
    for host_ip in ("0.0.0.0", ""):
        assert firewall.published("tcp", host_ip, 8001, "172.31.1.2", 80) == published()
    at_one_address = firewall.published("udp", "fd32::1", 53, "fd31::2", 5353)
    assert at_one_address.do == "add element ip6 suitcase ports { udp . fd32::1 . 53 : fd31::2 . 5353 }\n"


@pytest.mark.parametrize(
    "host_ip, address", [("127.0.0.1", "172.31.1.2"), ("127.9.9.9", "172.31.1.2"), ("::1", "fd31::2"), ("0:0::1", "fd31::2")]
)
def test_by_a_loopback_address_no_packet_is_translated(host_ip, address):
    change = firewall.published("tcp", host_ip, 8080, address, 80)
    assert (change.do, change.undo) == ("", "")


def test_a_network_is_five_elements_in_each_of_its_families():
    change = firewall.opened(FRONT, ["172.31.1.0/24", "172.31.9.0/24", "fd31::/64"])
    elements = [line for line in change.do.splitlines() if line.startswith("add element")]
    assert [line.split()[2] for line in elements] == ["ip"] * 5 + ["ip6"] * 5
    assert all(f'"{FRONT}"' in line for line in elements) and sum(" : jump " in line for line in elements) == 8
    assert "ip saddr { 172.31.1.0/24, 172.31.9.0/24 } masquerade" in change.do


def test_all_that_a_network_is():
    """The page to read: what nft is told for one network of one family, and how it is taken back."""
    told = firewall.opened("suitcase-f00001", ["172.31.1.0/24"])
    rules = [line.removeprefix("add rule ip suitcase ") for line in told.do.splitlines() if line.startswith("add rule")]
    assert rules == [
        "leaving-suitcase-f00001 ct state established,related goto pass",
        "leaving-suitcase-f00001 goto outside",
        'entering-suitcase-f00001 iifname "suitcase-f00001" goto pass',
        "entering-suitcase-f00001 ct state established,related goto pass",
        "entering-suitcase-f00001 ct status dnat goto pass",
        "entering-suitcase-f00001 drop",
        'masquerading-suitcase-f00001 oifname != "suitcase-f00001" ip saddr { 172.31.1.0/24 } masquerade',
        "reflecting-suitcase-f00001 ip saddr { 172.31.1.0/24 } ct status dnat masquerade",
    ]
    assert told.undo.splitlines()[:5] == [
        "add chain ip suitcase reflecting-suitcase-f00001",
        'add element ip suitcase reflecting { "suitcase-f00001" : jump reflecting-suitcase-f00001 }',
        'delete element ip suitcase reflecting { "suitcase-f00001" : jump reflecting-suitcase-f00001 }',
        "flush chain ip suitcase reflecting-suitcase-f00001",
        "delete chain ip suitcase reflecting-suitcase-f00001",
    ]
    internal = firewall.opened("suitcase-f00001", ["172.31.1.0/24"], internal=True)
    assert [line.removeprefix("add rule ip suitcase ") for line in internal.do.splitlines() if line.startswith("add rule")] == [
        'leaving-suitcase-f00001 oifname != "suitcase-f00001" drop',
        'entering-suitcase-f00001 iifname "suitcase-f00001" goto pass',
        "entering-suitcase-f00001 drop",
    ]


def test_what_the_outside_sees_of_it():
    assert "masquerade\n" not in firewall.opened(FRONT, ["172.31.1.0/24"], masquerade=False).do.replace("ct status dnat masquerade", "")
    assert "iifname" not in firewall.opened(FRONT, ["172.31.1.0/24"], icc=False).do
    assert "goto pass" not in firewall.opened(FRONT, ["172.31.1.0/24"], internal=True, icc=False).do


def test_only_names_addresses_and_numbers_get_into_a_text_for_nft():
    for wrong in (
        lambda: firewall.opened('x" drop; flush ruleset #', ["172.31.1.0/24"]), lambda: firewall.opened("a*", ["172.31.1.0/24"]),
        lambda: firewall.opened(FRONT, ["172.31.1.0/24 } drop"]), lambda: firewall.opened(FRONT, ["front/24"]),
        lambda: firewall.opened(FRONT, ["172.31.1.0"]), lambda: firewall.published("tcp", "fe80::1%x }", 80, "fd31::2", 80),
        lambda: firewall.published("tcp }", "", 80, "172.31.1.2", 80), lambda: firewall.published("tcp", "", 0, "172.31.1.2", 80),
        lambda: firewall.published("tcp", "", 80, "172.31.1.2", 65536), lambda: firewall.published("tcp", "1 }", 80, "172.31.1.2", 80),
        lambda: firewall.published("tcp", "", 80, "web", 80), lambda: firewall.published("tcp", "::", 80, "fd31::2\n", 80),
        lambda: firewall.published("tcp", "fd32::1", 80, "172.31.1.2", 80), lambda: firewall.published("icmp", "", 80, "172.31.1.2", 80),
    ):  # fmt: skip
        with pytest.raises(ValueError):
            wrong()


# -- in the kernel ------------------------------------------------------------------------------------------------------------


def listed(host) -> str:
    return host.run("nft", "list", "ruleset")


@requires("root", "nft", "ip")
def test_all_is_as_before_in_whatever_order_it_is_taken_back(host):
    changes = [firewall.made(), firewall.opened(FRONT, ["172.31.1.0/24", "fd31::/64"]), published(1), published(2)]
    looks = [listed(host)]
    for change in changes:
        host(firewall.apply, change)
        looks.append(listed(host))
    for change, before in zip(reversed(changes), reversed(looks[:-1]), strict=True):
        for _ in range(2):
            host(state.undo_all, [change.undoing])
            assert listed(host) == before
    for change in (firewall.joined("all", changes), changes[0]):
        host(firewall.apply, change)
        for one in changes:  # the table first: then there is nothing any more that the others could remove
            host(state.undo_all, [one.undoing])
        assert listed(host) == ""


@requires("root", "nft", "ip")
def test_a_change_may_be_done_again(host):
    changes = [firewall.made(), firewall.opened(FRONT, ["172.31.1.0/24"]), published()]
    for change in changes:
        host(firewall.apply, change)
    before = listed(host)
    for change in changes:
        host(firewall.apply, change)
        assert listed(host) == before


@requires("root", "nft", "ip")
def test_an_undo_leaves_alone_what_is_anothers_by_now(host):
    """A record may be undone long after: the port is another container's."""
    host(firewall.apply, firewall.joined("both", [firewall.made(["ip"]), published(address="172.31.1.3")]))
    before = listed(host)
    host(state.undo_all, [published(address="172.31.1.2").undoing])
    assert listed(host) == before


@requires("root", "nft", "ip")
def test_one_more_port_is_one_element_however_many_there_are(host):
    many = [published(number) for number in range(300)]
    host(firewall.apply, firewall.joined("300 ports", [firewall.made(["ip"]), *many]))
    one = published(300)
    assert one.do.count("\n") == one.do.count("add element") == 1
    assert one.undo.count("\n") == 2
    host(firewall.apply, one)
    host(state.undo_all, [one.undoing])
    assert listed(host).count(" : 172.31.1.2 . 80") == 300


@requires("root", "nft", "ip")
def test_a_port_that_another_has(host):
    host(firewall.apply, firewall.joined("one", [firewall.made(["ip"]), published()]))
    with pytest.raises(
        OSError, match=r"could not be opened for port 8001/tcp of 172.31.1.3.*another container has that port already"
    ) as caught:
        host(firewall.apply, published(address="172.31.1.3"))
    assert caught.value.errno == errno.EEXIST


@requires("root", "nft", "ip")
def test_a_change_is_made_as_a_whole_or_not_at_all(host):
    with pytest.raises(OSError, match=r"No such file or directory.*, in the line: add element ip suitcase everywhere") as caught:
        host(firewall.apply, firewall.joined("a network and a port", [firewall.made(["ip6"]), published()]))
    assert caught.value.errno == errno.ENOENT and listed(host) == ""


@requires("root", "nft", "ip")
def test_an_undo_whose_table_is_there_in_another_family_alone(host):
    """Then nft asks whether we had meant that one."""
    host(firewall.apply, firewall.made(["ip6"]))
    host(state.undo_all, [published().undoing])


def test_an_nft_that_was_killed_has_undone_nothing(monkeypatch):
    monkeypatch.setattr(nft, "run", lambda *_: (-9, ""))
    with pytest.raises(ExceptionGroup, match="undos failed") as caught:
        state.undo_all([published().undoing])
    assert "nft: it ended with -9" in str(caught.value.exceptions[0])


@pytest.mark.parametrize("said, number, advice", [
    ("Error: Could not process rule: Operation not supported", errno.EOPNOTSUPP, "this kernel has no nftables"),
    ("netlink: Error: cache initialization failed: Protocol not supported", errno.EPROTONOSUPPORT, "this kernel has no nftables"),
    ("/dev/stdin:1:1-1: Error: Could not process rule: Operation not permitted", errno.EPERM, "run as root"),
])  # fmt: skip
def test_why_there_is_no_firewall(monkeypatch, said, number, advice):
    monkeypatch.setattr(nft, "run", lambda *_: (1, said))
    with pytest.raises(OSError, match=advice) as caught:
        firewall.apply(published())
    assert caught.value.errno == number


def test_without_nft(monkeypatch):
    monkeypatch.setattr(programs, "FOLDERS", ())
    with pytest.raises(FileNotFoundError, match=r"port 8001/tcp .*: nft is not installed.*apt-get install nftables"):
        firewall.apply(published())


def test_several_undos_in_one_transaction_and_one_of_them_has_nothing_left(host):
    """What another's chain keeps it from undoes the rest all the same."""
    one, other = firewall.made(["ip"]), firewall.made(["ip6"])
    host(firewall.apply, firewall.joined("both", [one, other]))
    host.run("nft", "-f", "-", text="add chain ip suitcase theirs\nadd rule ip suitcase theirs ip protocol vmap { tcp : jump published }")
    gone = "delete chain ip suitcase nosuch\n"
    host(nft.take_back, gone, other.undo)
    assert host.run("nft", "list", "tables") == "table ip suitcase\n"
    host(nft.take_back, one.undo, other.undo)
    assert host.run("nft", "list", "ruleset") == ""
