"""A change of the rules is noticed, whoever made it; to mend what is whole is none."""

from __future__ import annotations

import pytest
from helpers.needs import requires

from lib.linux import readable
from lib.netfilter import foreign, watching
from lib.network import firewall

pytestmark = requires("root", "nft", "ip", "iptables")


@pytest.fixture
def kernel(host):
    with host(watching.watch) as kernel:
        yield kernel


def told(kernel) -> bool:
    return bool(readable([kernel], 0)) and watching.has_changed(kernel)


def test_a_reload_is_noticed_and_mended(host, kernel):
    assert not told(kernel) and not watching.has_changed(kernel)
    host.run("iptables-nft", "-P", "FORWARD", "DROP")
    for _ in range(3):
        assert told(kernel)
        host(foreign.let_pass)
        assert told(kernel)
        host(foreign.let_pass)
        assert not told(kernel)  # so who mends when told does not go round in circles
        host.run("iptables-nft", "-F")


def test_a_flush_is_noticed(host, kernel):
    host(firewall.apply, firewall.made())
    assert told(kernel) and not told(kernel)
    host.run("nft", "flush", "ruleset")
    assert told(kernel)


def test_more_than_a_socket_holds(host, kernel):
    many = [firewall.published("tcp", "", number, "172.31.1.2", 80) for number in range(1, 20_000)]
    host(firewall.apply, firewall.joined("many ports", [firewall.made(["ip"]), *many]))
    while told(kernel):
        pass
    host.run("nft", "flush", "ruleset")
    assert told(kernel)
