"""The host's resolv.conf, and what becomes of it in a container: Docker's rules."""

from __future__ import annotations

from lib.network.names import Hosts, Resolvers, behind_the_stub

TEXT = """# made by somebody
; and somebody else
nameserver 10.0.0.1
nameserver fe80::1%eth0  trailing
nameserver nonsense
nameserver
domain old.example
search a.example b.example
options timeout:1
options ndots:2 edns0
sortlist 130.155.160.0/255.255.240.0
"""


def test_what_a_file_says():
    assert Resolvers.of(TEXT) == Resolvers(
        ("10.0.0.1", "fe80::1%eth0"), ("a.example", "b.example"), ("timeout:1", "ndots:2", "edns0"),
        ("sortlist 130.155.160.0/255.255.240.0",),
    )  # fmt: skip
    assert Resolvers.of("") == Resolvers()
    assert Resolvers.of(str(Resolvers.of(TEXT))) == Resolvers.of(TEXT)


def test_a_container_asks_us_and_its_single_words_go_without_a_search_domain():
    assert str(Resolvers(("10.0.0.1",), ("a.example",)).ours()) == "nameserver 127.0.0.11\nsearch a.example\noptions ndots:0\n"


def test_who_has_set_ndots_keeps_it_unless_it_is_no_number():
    for options, kept, ndots in (
        (("ndots:3",), ("ndots:3",), True),
        (("edns0", "ndots:x"), ("edns0", "ndots:0"), False),
        (("ndots",), ("ndots:0",), False),
    ):
        found = Resolvers(options=options)
        assert (found.ours().options, found.ndots) == (kept, ndots)


def test_flags_take_the_place_of_what_the_host_says():
    host = Resolvers(("10.0.0.1",), ("a.example",), ("timeout:1",))
    assert host.but() == host
    assert host.but(["10.9.9.9"], ["b.example"], ["ndots:1"]) == Resolvers(("10.9.9.9",), ("b.example",), ("ndots:1",))
    assert host.but(search=["."]).search == ()


def test_on_the_default_network_servers_on_the_hosts_loopback_are_of_no_use():
    host = Resolvers(("127.0.0.53", "::1", "10.0.0.1", "2001:db8::1"))
    assert host.plain(chosen=False, ipv6=False).servers == ("10.0.0.1",)
    assert host.plain(chosen=False, ipv6=True).servers == ("10.0.0.1", "2001:db8::1")
    assert host.plain(chosen=True, ipv6=False) == host
    assert Resolvers(("127.0.0.53",)).plain(chosen=False, ipv6=False).servers == ("8.8.8.8", "8.8.4.4")
    assert "2001:4860:4860::8888" in Resolvers().plain(chosen=False, ipv6=True).servers


def test_behind_a_stub_on_the_hosts_loopback_are_servers_that_a_container_can_ask(tmp_path):
    """As Docker does it where systemd-resolved is: whom the host itself asks, not whom anybody might."""
    (tmp_path / "behind").write_text("nameserver 10.0.0.1\nsearch a.example\n")
    found = Resolvers(("10.0.0.1",), ("a.example",))
    assert behind_the_stub(Resolvers(("127.0.0.53",), ("a.example",)), tmp_path / "behind") == found
    for host in (Resolvers(("127.0.0.1",)), Resolvers(("127.0.0.53", "10.0.0.2")), Resolvers()):
        assert behind_the_stub(host, tmp_path / "behind") == host, "that is somebody else's"
    assert behind_the_stub(Resolvers(("127.0.0.53",)), tmp_path / "nothing").plain(chosen=False, ipv6=False).servers[0] == "8.8.8.8"


def test_the_hosts_file_is_read_again_when_it_has_changed(tmp_path):
    hosts = Hosts(tmp_path / "link")
    assert hosts.now() == Resolvers()
    (tmp_path / "link").symlink_to(tmp_path / "file")  # as systemd-resolved has it
    for number in range(20):
        (tmp_path / "file").write_text(f"nameserver 10.0.0.{number}\n")
        assert hosts.now().servers == (f"10.0.0.{number}",)
    (tmp_path / "file").unlink()
    assert hosts.now() == Resolvers()


def test_a_file_that_is_no_text_has_no_servers(tmp_path):
    (tmp_path / "file").write_bytes(bytes(range(256)) * 1000)
    assert Hosts(tmp_path / "file").now().servers == ()
