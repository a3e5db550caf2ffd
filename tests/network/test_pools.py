"""Which addresses a network is given, and what is said when there are none."""

from __future__ import annotations

import pytest

from lib.network import pools

ALL = {f"172.{number}.0.0/16": f"network n{number}" for number in range(17, 32)} | {"192.168.0.0/16": "a route over tun0"}


def first(**words) -> dict:
    return pools.wanted(**words)[0]


def test_the_first_that_nobody_has():
    assert first() == {"subnet": "172.17.0.0/16", "gateway": "172.17.0.1", "range": ""}
    assert first(taken={"172.17.0.0/16": "docker0", "172.18.4.0/24": "a route"})["subnet"] == "172.19.0.0/16"
    most = {name: who for name, who in ALL.items() if name != "192.168.0.0/16"}
    assert first(taken=most | {"192.168.0.0/20": "a"})["subnet"] == "192.168.16.0/20"
    assert first(taken={"0.0.0.0/0": "everything"})["subnet"] == "172.17.0.0/16", "the default route is in nobody's way"


def test_an_exhausted_pool_lists_who_has_it_and_what_to_do():
    with pytest.raises(ValueError, match="could not find an available, non-overlapping IPv4 address pool among the defaults") as caught:
        pools.wanted(taken=ALL)
    said = str(caught.value)
    assert "network n17" in said and "a route over tun0" in said and "--subnet" in said


def test_ipv6_is_a_unique_local_one_of_this_stores_own(tmp_path, monkeypatch):
    found = []
    for name in "ab":
        monkeypatch.setenv("SUITCASE_STORE", str(tmp_path / name))
        found.append(pools.wanted(ipv6=True)[1]["subnet"])
    assert all(one.startswith("fd") and one.endswith("::/64") for one in found) and found[0] != found[1]
    assert [pools.version(one) for one in pools.wanted(ipv4=False, ipv6=True)] == [6]
    assert pools.wanted(ipv6=True, taken={found[1]: "x"})[1]["subnet"] != found[1]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ({"subnets": ["10.9.0.0/24"]}, {"subnet": "10.9.0.0/24", "gateway": "10.9.0.1", "range": ""}),
        ({"subnets": ["10.9.0.0/24"], "gateways": ["10.9.0.254"]}, {"subnet": "10.9.0.0/24", "gateway": "10.9.0.254", "range": ""}),
        (
            {"subnets": ["10.9.0.0/16"], "ranges": ["10.9.5.0/24"]},
            {"subnet": "10.9.0.0/16", "gateway": "10.9.5.1", "range": "10.9.5.0/24"},
        ),
    ],
)
def test_what_is_asked_for(words, found):
    assert first(**words) == found


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"subnets": ["10.9.0.0/24"], "taken": {"10.0.0.0/8": "a route over tun0"}}, "Pool overlaps .*10.0.0.0/8 .a route over tun0."),
        ({"subnets": ["10.9.0.7/24"]}, "invalid subnet 10.9.0.7/24: it should be 10.9.0.0/24"),
        ({"subnets": ["shop"]}, "invalid subnet shop: write it as"),
        ({"subnets": ["10.9.0.0/24"], "gateways": ["10.8.0.1"]}, "no matching subnet for gateway 10.8.0.1"),
        ({"subnets": ["10.9.0.0/24"], "ranges": ["10.8.0.0/25"]}, "no matching subnet for range 10.8.0.0/25"),
        ({"subnets": ["10.9.0.0/24", "10.8.0.0/24"]}, "doesn't support multiple subnets"),
        ({"ipv4": False}, "IPv4 or IPv6 must be enabled"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant(words, said):
    with pytest.raises(ValueError, match=said):
        pools.wanted(**words)
