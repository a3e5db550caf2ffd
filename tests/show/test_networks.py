"""Pictures of networks: what is plugged into what, and a packet's way."""

import pytest
from helpers.needs import requires

from lib import show
from lib.lab.chapters.places import Place, cable


@pytest.fixture
def host():
    place = Place("host")
    yield place
    place.close()


@requires("root", "ip")
def test_the_topology_is_read_from_the_kernel_of_the_place_that_one_is_in(host):
    web = Place("web")
    try:
        cable(host, "to-web", web, "eth0", ["10.5.0.2/24"])
        host.ip(
            "link add br0 type bridge",
            "addr add 10.5.0.1/24 dev br0",
            "link add way0 type bridge",
            "link set to-web master br0 alias web-1",
        )
        with host:
            labelled, named = show.topology(), show.topology({"to-web": "web 10.5.0.2"})
    finally:
        web.close()
    assert labelled.alt == "host: bridge br0 10.5.0.1 with web-1; bridge way0 with nobody; ways out: none."
    assert "with web 10.5.0.2;" in named.alt and ">10.5.0.2</text>" in named.data


def test_a_packet_s_way_is_marked_where_it_ended():
    hops = [("laptop: eth0", "10.0.0.2 →\n10.0.0.1:80", "passed"), ("host: lan", "", "died"), ("db: eth0", "", "never")]
    picture = show.path(hops, "no answer")
    assert picture.alt.startswith("The way of a packet. laptop: eth0: passed (10.0.0.2 → 10.0.0.1:80); host: lan: died; db: eth0: never.")
    assert all(f">{sign} {who}</text>" in picture.data for sign, who in (("✓", "laptop"), ("✕", "host"), ("–", "db")))
