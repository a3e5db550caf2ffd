"""A UDP client that goes on sending reaches the container that is there now, not the one that was."""

from __future__ import annotations

import socket
from contextlib import contextmanager

import pytest
from helpers.arena import seen_by
from helpers.needs import requires
from helpers.town import FRONT, OUTSIDE, SUBNETS, address

from lib import state
from lib.netfilter import flows
from lib.network import firewall

pytestmark = requires("root", "nft", "ip")


@pytest.fixture(params=[flows.FEW, -1], ids=["few in all", "many in all"])
def few(request, monkeypatch):
    """How many flows we look at ourselves."""
    monkeypatch.setattr(flows, "FEW", request.param)


def published(town, who: str, version: int) -> firewall.Change:
    number = {"web": 2, "sister": 3}[who]
    change = firewall.published("udp", "", 8080, address(FRONT, number, version), 80)
    town.host(firewall.apply, change)
    return change


@contextmanager
def client(town, version: int):
    """One that always sends from the same port: to the kernel a single flow, for as long as it goes on."""
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    with town.outside(socket.socket, family, socket.SOCK_DGRAM) as one:
        one.connect((OUTSIDE[version] + "1", 8080))
        yield one


@pytest.fixture
def network(town):
    change = firewall.joined("one network", [firewall.made(), firewall.opened(FRONT, SUBNETS[FRONT])])
    town.host(firewall.apply, change)
    yield
    town.host(state.undo_all, [change.undoing])


@pytest.mark.parametrize("version", [4, 6])
def test_it_reaches_the_new_container(town, network, few, version):
    old = published(town, "web", version)
    with client(town, version) as one:
        assert seen_by(one) == "web"
        town.host(state.undo_all, [old.undoing])
        new = published(town, "sister", version)
        assert seen_by(one) == "web"  # the kernel remembers; and nobody may be there any more
        town.host(state.undo_all, [("forget_flows", address(FRONT, 2, version))])
        assert seen_by(one) == "sister"
    town.host(state.undo_all, [new.undoing])


@pytest.mark.parametrize("version", [4, 6])
def test_it_has_knocked_before_there_was_one(town, network, version):
    with client(town, version) as one:
        assert seen_by(one, patience=0.1) == ""
        new = published(town, "web", version)
        assert seen_by(one, patience=0.1) == ""
        town.host(flows.forget_ports, "udp", [53, 8080])
        assert seen_by(one) == "web"
        town.host(flows.forget_ports, "udp", [53, 8080])  # answered now, so it is not meant
        assert seen_by(one) == "web"
    town.host(state.undo_all, [new.undoing])


def test_all_other_flows_stay(town, network, few):
    old = published(town, "sister", 4)
    with client(town, 4) as one:
        assert seen_by(one) == "sister"
        town.host(state.undo_all, [old.undoing])
        town.host(flows.forget_flows, address(FRONT, 2, 4))
        town.host(flows.forget_flows, "2001:db8::1")
        for protocol in ("tcp", "udp"):
            town.host(flows.forget_ports, protocol, [8079, 8080])
        assert seen_by(one) == "sister"  # as long as the kernel remembers
        for _ in range(2):
            town.host(flows.forget_flows, address(FRONT, 3, 4))
        assert seen_by(one, patience=0.1) == ""
