"""The instruments of chapter 4: places, taps, questions, and the verdict on a request that was followed."""

import os
import signal
import socket
import subprocess
from types import SimpleNamespace

import pytest
from dnslib import DNSRecord
from helpers.needs import requires

from lib import linux
from lib.lab.chapters.places import Place, cable
from lib.lab.chapters.wires import probes, speed
from lib.lab.chapters.wires.following import Hop, Way, serve
from lib.lab.chapters.wires.internet import Names
from lib.lab.chapters.wires.tap import Tap

pytestmark = requires("root", "ip")


@pytest.fixture
def pair():
    """Two places and a cable between them."""
    left, right = Place("left"), Place("right")
    cable(left, "eth0", right, "eth0", ["10.6.0.2/24"])
    left.ip("addr add 10.6.0.1/24 dev eth0")
    yield left, right
    for place in (left, right):
        if not place.closed:
            place.close()


def test_whoever_enters_a_place_is_there_until_he_leaves(pair):
    def links():
        return subprocess.run(["ip", "-o", "link", "show", "eth0"], capture_output=True, text=True).stdout, os.readlink("/proc/self/ns/net")

    before = links()[1]
    with pair[0] as left, pair[1]:
        there = links()
    assert "eth0@" in there[0] and there[1] != before == links()[1] and left is pair[0]


def test_an_interrupt_on_the_way_in_leaves_one_where_one_was(pair, monkeypatch):
    real, before = linux.setns, os.readlink("/proc/self/ns/net")

    def interrupted(*words):
        real(*words)
        monkeypatch.undo()
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(linux, "setns", interrupted)
    with pytest.raises(KeyboardInterrupt), pair[0]:
        raise AssertionError("nobody gets here")
    assert os.readlink("/proc/self/ns/net") == before and not pair[0].way_home


def test_what_is_there_already_may_be_made_again_and_what_is_wrong_is_told(pair):
    pair[0].ip("addr add 10.6.0.1/24 dev eth0")
    with pytest.raises(ValueError, match='left: Cannot find device "nosuch"'):
        pair[0].ip("link set nosuch up")
    pair[1].close()
    with pytest.raises(ValueError, match="right has been tidied away: run the cell again that made it"):
        pair[1](os.getpid)


def test_a_tap_hears_the_shout_and_the_ping(pair):
    left, right = pair
    left.ip("neigh flush dev eth0")
    with Tap(right, "eth0") as wire, Tap(right, "eth0", "nothing of this kind") as deaf:
        assert left(probes.pinged, "10.6.0.2") == "answered"
    assert "on right's eth0: who has 10.6.0.2? tell 10.6.0.1" in repr(wire)
    assert wire.lines[-2:] == ["10.6.0.1 → 10.6.0.2 ping", "10.6.0.2 → 10.6.0.1 pong"]
    assert repr(deaf) == "on right's eth0: (silence)"


@pytest.mark.parametrize("size", [0, 1, 7, 1400, 4000])
def test_a_ping_of_any_size_comes_back(pair, size):
    assert pair[0](probes.pinged, "10.6.0.2", size) == "answered"


def test_each_kind_of_no_has_its_word(pair):
    left, right = pair
    asked = [left(probes.pinged, "10.6.0.9"), left(probes.pinged, "10.7.0.1"), left(probes.routed, "10.7.0.1")]
    assert asked == ["no answer", "Network is unreachable", "Network is unreachable"]
    assert left(probes.routed, "10.6.0.2") == "10.6.0.1"
    server = serve(right, "10.6.0.2", 80, "you are {client}")
    try:
        assert left(probes.knocked, "10.6.0.2", 80) == "open" and left(probes.knocked, "10.6.0.2", 81) == "Connection refused"
        assert left(probes.fetched, "http://10.6.0.2") == "you are 10.6.0.1"
        assert left(probes.fetched, "http://10.6.0.2:81") == "Connection refused"
    finally:
        server.shutdown()
        server.server_close()


def test_a_silence_in_which_the_machine_did_something_else_is_no_answer(monkeypatch):
    now, said, took = [0.0], ["no answer", "no answer", "answered"], [3.0, 1.0, 0.1]
    monkeypatch.setattr(probes, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def ask() -> str:
        now[0] += took.pop(0)
        return said.pop(0)

    assert probes.unhurried(ask)() == "answered"
    said, took = ["no answer", "answered"], [probes.PATIENCE, 0.1]
    assert probes.unhurried(ask)() == "no answer"


def test_the_internet_knows_the_names_that_it_was_told_and_no_other(pair):
    left, right = pair
    names = Names({"example.com": "203.0.113.9"}, outside=right, host=left)
    try:
        known, other = (names.answer(bytes(DNSRecord.question(name).pack())) for name in ("example.com", "nosuch"))
        right.ip("addr add 8.8.8.8/32 dev lo")
        line = right(socket.socket, socket.AF_INET, socket.SOCK_DGRAM)
        with line:
            line.settimeout(5)
            line.sendto(bytes(DNSRecord.question("example.com").pack()), ("8.8.8.8", 53))
            assert str(DNSRecord.parse(line.recv(512)).a.rdata) == "203.0.113.9"
    finally:
        names.close()
    assert str(DNSRecord.parse(known).a.rdata) == "203.0.113.9" and DNSRecord.parse(other).header.rcode == 3


def test_what_goes_through_a_cable_is_measured(pair):
    left, right = pair
    found = speed.best_of_three({"a cable": (right, left, ("10.6.0.2", speed.PORT))}, 1 << 20, 10)["a cable"]
    assert found.bytes > 1e6 and 0 < found.seconds < 1


SEEN = "10.0.0.2:4000 → 10.0.0.1:80 SYN"


@pytest.mark.parametrize(
    ("heard", "said", "fates", "verdict"),
    [
        ([SEEN, SEEN], "a page", ["passed", "passed", "passed"], "answered: a page"),
        ([SEEN, SEEN], "Connection refused", ["passed", "passed", "died"], "Connection refused: it arrived, and nobody was listening"),
        ([SEEN, ""], "no answer", ["passed", "died", "never"], "no answer: last seen at laptop: eth0"),
    ],
)
def test_a_request_died_at_the_first_hop_that_has_not_seen_it(pair, heard, said, fates, verdict):
    hops = [Hop(name, Tap(pair[0], "eth0")) for name in ("laptop: eth0", "host: lan")]
    for hop, line in zip(hops, heard, strict=True):
        hop.tap.lines = [line]
    way = Way(hops, "db: the app", said)
    assert (way.fates, way.verdict) == (fates, verdict) and verdict in repr(way)
