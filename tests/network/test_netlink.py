"""Reading the kernel's tables from wherever one is: in a notebook, whose thread runs an event loop, and in another network."""

import asyncio
import os
import signal
import time

import pytest
from helpers.needs import requires

from lib.lab.chapters.places import Place
from lib.network import netlink, pools
from lib.process import callers


def names(kernel) -> set[str]:
    return {one.get_attr("IFLA_IFNAME") for one in kernel.get_links()}


@requires("root", "ip")
def test_the_tables_are_those_of_the_network_that_one_is_in():
    place = Place("elsewhere")
    try:
        place.ip("link add d0 type bridge", "link set d0 up", "addr add 10.8.0.1/24 dev d0")
        with place:
            inside, routes = netlink.asked(names), pools.routed()
    finally:
        place.close()
    assert inside == {"lo", "d0"} and routes["10.8.0.0/24"] == "a route over d0"
    assert "d0" not in netlink.asked(names)


def test_they_can_be_read_in_a_notebook_whose_thread_runs_an_event_loop():
    async def in_a_cell():
        return netlink.asked(names), pools.routed()

    links, _ = asyncio.run(in_a_cell())
    assert "lo" in links


@requires("root")
def test_an_interrupt_waits_until_the_thread_in_the_other_namespace_is_done():
    """Half waited for, it might stand still for ever, and with it the end of this Python."""
    done: list[int] = []

    def slow() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)
        done.append(1)

    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        with pytest.raises(KeyboardInterrupt):
            callers.called_in(own, slow)
        assert done == [1]
    finally:
        os.close(own)
