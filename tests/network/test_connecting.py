"""What a container's wishes for networks become: steps and deeds, as data."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace

from lib.network import Network, bridges, definitions
from lib.network.connecting import published

POOLS = [{"subnet": "172.31.1.0/24", "gateway": "172.31.1.1"}, {"subnet": "fd31::/64", "gateway": "fd31::1"}]


def port(protocol: str, ip: str, host: int, inner: int = 80) -> dict:
    return {"protocol": protocol, "ip": ip, "host": host, "port": inner}


def test_the_ids_of_the_predefined_ones_are_made_of_their_names():
    assert {name: hashlib.sha256(name.encode()).hexdigest() for name in definitions.DRIVERS} == definitions.IDS


def test_a_port_for_everybody_leads_in_by_both_families():
    deeds, undos = published([port("tcp", "", 8080)], POOLS)
    assert deeds == [
        ["nft", "add element ip suitcase everywhere { tcp . 8080 : <ipv4> . 80 }\n"],
        ["nft", "add element ip6 suitcase everywhere { tcp . 8080 : <ipv6> . 80 }\n"],
    ]
    assert undos[:2] == [["forget_flows", "<ipv4>"], ["forget_flows", "<ipv6>"]], "last of all: until then packets may come"
    assert [name for name, _ in undos[2:]] == ["nft", "nft"]


def test_who_has_sent_to_a_udp_port_before_is_led_in_as_well():
    deeds, _ = published([port("udp", "", 53), port("udp", "", 54), port("tcp", "127.0.0.1", 80)], POOLS[:1])
    assert deeds[2:] == [["forget_ports", "udp", [53, 54], [4]]], "and to 127.0.0.1 no packet is translated"


def test_each_network_that_is_opened_tells_other_firewalls_of_us():
    """One may have started since the last: so it is a deed of each, and forgetting us one of all."""
    network = Network("f" * 64, "front", pools=[pool | {"range": ""} for pool in POOLS])
    name, place, member, _, _, deeds, undos, own = bridges.deeds(network)[0]
    assert (name, member, deeds, undos, own) == ("join", "f" * 12, [], [["withdraw_exception"]], [[["let_pass"]], []])
    assert bridges.undos(network)[0] == ["leave", place, member], "the last of all"
    assert [words[0] for words in bridges.undos(network)] == ["leave", "delete_link", "leave", "leave"]


def test_prune_passes_over_one_that_somebody_joins_meanwhile(monkeypatch):
    def remove(one) -> None:
        if one.name == "joined":
            raise definitions.NetworkError("error while removing network: network joined has active endpoints")

    there = [SimpleNamespace(name=name, user_defined=name != "bridge", members={}) for name in ("bridge", "joined", "kept", "idle")]
    monkeypatch.setattr(definitions, "every", lambda: there)
    monkeypatch.setattr(definitions, "remove", remove)
    assert [one.name for one in definitions.prune(lambda one: one.name != "kept")] == ["idle"]
