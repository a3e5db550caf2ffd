"""Who is called what, as the members' files say."""

from __future__ import annotations

import json
import os
import socket
import time

from helpers.names import facts

from lib.network.names import View, Zone
from lib.network.names.zone import member_of, pointer


def seen_by(zone: Zone, member: dict) -> View:
    zone.refresh()
    return zone.view(member["container"])


def texts(found: list[bytes] | None) -> list[str] | None:
    return found and [socket.inet_ntop(socket.AF_INET if len(one) == 4 else socket.AF_INET6, one) for one in found]


def test_a_member_is_known_by_its_name_its_aliases_its_short_id_and_its_hostname(networks):
    web = networks.join(2, "web", aliases=["www", "Shop"])
    me = networks.join(3, "me")
    view = seen_by(Zone(networks.folder), me)
    for name in ("web", "www", "shop", web["container"][:12], "host2", "web.front", "shop.front"):
        assert texts(view.find(name)) == ["172.18.0.2", "fd00::2"], name
    for name in ("we", "web.back", "front", "web.front.front", "", ".", "web..front"):
        assert view.find(name) is None, name


def test_several_members_share_an_alias_and_an_address_is_told_once(networks):
    networks.join(2, "one", aliases=["db"], ipv6="")
    networks.join(3, "two", aliases=["db", "DB"], ipv6="")
    me = networks.join(4, "me")
    assert texts(seen_by(Zone(networks.folder), me).find("db")) == ["172.18.0.2", "172.18.0.3"]


def test_only_those_on_a_network_of_ones_own_are_known(networks):
    networks.join(2, "web", network="back")
    me = networks.join(3, "me")
    zone = Zone(networks.folder)
    assert seen_by(zone, me).find("web") is None
    networks.join(3, "me", network="back")
    assert texts(seen_by(zone, me).find("web.back")) == ["172.18.0.2", "fd00::2"]


def test_the_default_network_has_no_names(networks):
    networks.join(2, "web", network="bridge", user_defined=False)
    me = networks.join(3, "me", network="bridge", user_defined=False)
    view = seen_by(Zone(networks.folder), me)
    assert view.find("web") is None and view.pointed_at(pointer(bytes((172, 18, 0, 2)))) is None
    assert view.outside


def test_whoever_comes_or_goes_is_seen_at_the_next_look(networks):
    me, zone = networks.join(3, "me"), Zone(networks.folder)
    for number in range(4, 200):  # several within one tick of the kernel's clock
        member = networks.join(number, f"c{number}")
        assert seen_by(zone, me).find(f"c{number}"), number
        networks.leave(member)
        assert seen_by(zone, me).find(f"c{number}") is None, number


def test_one_that_is_called_otherwise_now_is_known_by_that(networks):
    me, zone = networks.join(3, "me"), Zone(networks.folder)
    networks.join(4, "old")
    assert seen_by(zone, me).find("old")
    networks.join(4, "new")
    assert seen_by(zone, me).find("new") and seen_by(zone, me).find("old") is None


def test_as_long_as_nobody_comes_or_goes_the_view_is_the_same_object(networks):
    me, zone = networks.join(3, "me"), Zone(networks.folder)
    first = seen_by(zone, me)
    assert seen_by(zone, me) is first
    networks.join(4, "web")
    assert seen_by(zone, me) is not first


def test_a_network_that_goes_and_comes_again_is_another(networks):
    me, zone = networks.join(3, "me"), Zone(networks.folder)
    assert seen_by(zone, me).find("me")
    place = networks.place(me)
    place.unlink()
    place.parent.rmdir()
    place.parent.parent.rmdir()
    assert seen_by(zone, me) == View()
    networks.join(3, "me")
    assert seen_by(zone, me).find("me")


def test_a_file_that_is_damaged_is_nobody_until_it_is_whole(networks):
    me, zone = networks.join(3, "me"), Zone(networks.folder)
    web = networks.join(4, "web")
    whole = networks.place(web).read_bytes()
    for broken in (b"", whole[:40], b"[]", b"null", b'{"container": 7}', whole.replace(b"172.18.0.4", b"172.18.0.400")):
        networks.place(web).write_bytes(broken)
        assert seen_by(zone, me).find("web") is None and seen_by(zone, me).find("me"), broken
    long_ago = time.time() - 60
    os.utime(networks.place(web).parent, (long_ago, long_ago))  # nothing else tells that there is something to look at
    assert seen_by(zone, me).find("web") is None
    networks.place(web).write_bytes(whole)
    assert seen_by(zone, me).find("web")


def test_who_has_an_address_is_told_with_the_network(networks):
    networks.join(2, "Web", network="Front")
    me = networks.join(3, "me", network="Front")
    view = seen_by(Zone(networks.folder), me)
    assert view.pointed_at("2.0.18.172.in-addr.arpa") == "Web.Front"
    assert view.pointed_at("2" + ".0" * 29 + ".d.f.ip6.arpa") == "Web.Front"
    assert view.pointed_at("9.0.18.172.in-addr.arpa") is None


def test_a_name_that_no_packet_can_hold_is_pointed_at_by_nobody(networks):
    networks.join(2, "w" * 64)
    networks.join(4, "a..b")
    me = networks.join(3, "me")
    view = seen_by(Zone(networks.folder), me)
    assert view.pointed_at("2.0.18.172.in-addr.arpa") is None and view.pointed_at("4.0.18.172.in-addr.arpa") is None


def test_there_is_a_way_out_unless_all_networks_are_internal(networks):
    zone = Zone(networks.folder)
    me = networks.join(3, "me", internal=True)
    assert not seen_by(zone, me).outside
    networks.join(3, "me", network="back")
    assert seen_by(zone, me).outside


def test_an_id_is_known_by_its_first_twelve_digits(tmp_path):
    member = facts(5, "web")
    short = member | {"container": member["container"][:12]}
    assert member_of(json.dumps(member).encode()) == member_of(json.dumps(short).encode())
