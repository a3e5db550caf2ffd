"""Our few messages to the kernel, and pyroute2's word for what came of them."""

from __future__ import annotations

import errno
import os
import subprocess
import threading

import pytest
from helpers.arena import Arena
from helpers.needs import requires
from pyroute2 import IPRoute

from lib import state
from lib.netfilter import rtnetlink

pytestmark = requires("root")


@pytest.fixture
def place():
    with Arena() as arena:
        yield arena.place("host")


def links() -> dict:
    with IPRoute() as kernel:
        return {link.get_attr("IFLA_IFNAME"): link for link in kernel.get_links()}


def addresses(name: str) -> set[tuple]:
    with IPRoute() as kernel:
        found = kernel.get_addr(index=links()[name]["index"])
    return {(one.get_attr("IFA_ADDRESS"), one["prefixlen"], one.get_attr("IFA_BROADCAST")) for one in found}


def routes(family: int) -> set[tuple]:
    with IPRoute() as kernel:
        found = kernel.get_routes(family=family, table=254)
    return {(one.get_attr("RTA_DST"), one["dst_len"], one.get_attr("RTA_GATEWAY")) for one in found}


def test_a_bridge_a_cable_into_another_namespace_addresses_and_a_way_out(place):
    other = subprocess.Popen(["unshare", "-n", "sleep", "60"])
    try:
        before = os.readlink("/proc/self/ns/net")
        while os.readlink(f"/proc/{other.pid}/ns/net") == before:
            pass
        place(rtnetlink.send, [["bridge", "br", "02:42:ac:12:00:01", 1400]])
        place(rtnetlink.send, [["address", "br", "172.18.0.1", 16], ["address", "br", "fd00::1", 64], ["no_link_local", "br"]])
        place(rtnetlink.send, [["veth", "out", "br", "eth0", str(other.pid), "02:42:ac:12:00:02", 1400], ["up", "lo"]])
        there = place(links)
        assert there["br"].get_nested("IFLA_LINKINFO", "IFLA_INFO_KIND") == "bridge" and there["br"].get_attr("IFLA_MTU") == 1400
        assert there["br"].get_attr("IFLA_ADDRESS") == "02:42:ac:12:00:01" and there["br"]["flags"] & 1
        assert there["out"].get_attr("IFLA_MASTER") == there["br"]["index"] and there["out"].get_attr("IFLA_MTU") == 1400
        assert place(addresses, "br") == {("172.18.0.1", 16, "172.18.255.255"), ("fd00::1", 64, None)}
        inside = subprocess.run(["nsenter", "-t", str(other.pid), "-n", "ip", "-o", "link", "show", "eth0"], capture_output=True, text=True)
        assert "02:42:ac:12:00:02" in inside.stdout
    finally:
        other.kill()
        other.wait()


def test_routes_and_the_way_out_replaced(place):
    place(rtnetlink.send, [["bridge", "br", "02:42:0a:00:00:01", 0]])
    place(rtnetlink.send, [["address", "br", "10.0.0.1", 24], ["address", "br", "fd00::1", 64]])
    place(rtnetlink.send, [["route", "br", "0.0.0.0/0", "10.0.0.9"], ["route", "br", "::/0", "fd00::9"], ["route", "br", "10.9.0.0/16"]])
    assert {(None, 0, "10.0.0.9"), ("10.9.0.0", 16, None)} <= place(routes, 2)
    place(rtnetlink.send, [["leads", "10.0.0.7"], ["leads", "fd00::7"]])
    assert [one for one in place(routes, 2) if not one[1]] == [(None, 0, "10.0.0.7")]
    assert [one for one in place(routes, 10) if not one[1]] == [(None, 0, "fd00::7")]


@pytest.mark.parametrize(
    ("messages", "code", "named"),
    [
        ([["gone", "nosuch"]], errno.ENODEV, "gone nosuch"),
        ([["up", "lo"], ["bridge", "lo", "02:42:0a:00:00:01", 0]], errno.EEXIST, "bridge lo"),
        ([["address", "nosuch", "10.0.0.1", 24]], errno.ENODEV, "nosuch"),
        ([["route", "lo", "0.0.0.0/0", "10.99.0.1"]], errno.ENETUNREACH, "route lo 0.0.0.0/0 10.99.0.1"),
    ],
)
def test_what_the_kernel_refuses_is_named(place, messages, code, named):
    with pytest.raises(OSError, match=named) as caught:
        place(rtnetlink.send, messages)
    assert caught.value.errno == code


@pytest.mark.parametrize("threads", [True, False])
def test_a_link_that_is_removed_is_gone_when_that_returns(place, threads, monkeypatch):
    """Though the kernel goes on waiting for those who may still look at it; and who is gone may be removed again."""
    if not threads:
        monkeypatch.setattr(threading.Thread, "start", lambda _: (_ for _ in ()).throw(RuntimeError("can't start new thread")))
    for _ in range(3):
        place(rtnetlink.send, [["bridge", "br", "02:42:ac:12:00:01", 1400]])
        place(state.UNDOS["delete_link"], "br")
        assert "br" not in place(links)
        place(state.UNDOS["delete_link"], "br")
    with pytest.raises(OSError, match="gone lo"):
        place(state.UNDOS["delete_link"], "lo")
