"""``suitcase network`` and the flags of ``run`` beside it, with containers that run: in a network namespace of the test's own."""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from helpers.hosts import BUSYBOX, Host, host
from helpers.needs import requires
from helpers.waiting import wait_for

from lib import state
from lib.engine.daemons import calling
from lib.state import shared

__all__ = ["host"]
pytestmark = [requires("root", "overlay", "busybox"), pytest.mark.timeout(120)]


def test_create_ls_inspect_rm(host):
    ident = host("network create --label tier=front --ipv6 --opt com.docker.network.driver.mtu=1400 front").out.strip()
    assert re.fullmatch("[0-9a-f]{64}", ident)
    heads, *lines = host("network ls").out.splitlines()
    assert heads.split() == ["NETWORK", "ID", "NAME", "DRIVER", "SCOPE"] and lines[1].split() == [ident[:12], "front", "bridge", "local"]
    assert host("network ls --format {{.Name}}").out.split() == ["bridge", "front", "host", "none"]
    assert host("network ls -q --no-trunc -f name=fro").out.strip() == ident and host("network ls -qf label=tier=back").out == ""
    (one,) = json.loads(host(f"network inspect {ident[:8]}").out)
    assert (one["Name"], one["EnableIPv6"], one["Labels"]) == ("front", True, {"tier": "front"}) and len(one["IPAM"]["Config"]) == 2
    assert host("network rm front").out == "front\n"
    assert host("network rm front", 1).err == "suitcase: network front not found\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("network create bridge", "network with name bridge already exists"),
        ("network rm bridge", "bridge is a pre-defined network and cannot be removed"),
        ("network create -d overlay x", "could not find plugin overlay in v2 plugin registry"),
        ("network create --subnet 10.1.2.3/24 x", "it should be 10.1.2.0/24"),
        ("network inspect nosuch", "network nosuch not found"),
        (f"run --network nosuch {BUSYBOX}", "network nosuch not found"),
        (f"run --network a --network a {BUSYBOX}", 'network "a" is specified multiple times'),
        (f"run --network a --network host {BUSYBOX}", "cannot attach both user-defined and non-user-defined network-modes"),
        (f"run --network name=a,alias=x --network-alias y {BUSYBOX}", "cannot specify both --network-alias and per-network alias"),
        (f"run --network name=a,colour=red {BUSYBOX}", "invalid field key colour"),
        (f"run --ip 10.0.0.300 {BUSYBOX}", 'failed to parse IP: "10.0.0.300"'),
        (f"run --add-host db {BUSYBOX}", 'bad format for add-host: "db"'),
        (f"run --dns nowhere {BUSYBOX}", "nowhere is not an ip address"),
        (f"run --mac-address zz --network bridge {BUSYBOX}", "zz is not a valid mac address"),
        (f"run -p 80:70000 {BUSYBOX}", "invalid containerPort: 70000"),
        (f"run -p 8000-8002:80-81 {BUSYBOX}", "invalid ranges specified for container and host Ports"),
        (f"run -p 1.2.3:80:80 {BUSYBOX}", "invalid IP address: 1.2.3"),
        (f"run -p 80:80/icmp {BUSYBOX}", "invalid proto: icmp"),
        (f"run --network container:nosuch {BUSYBOX}", "No such container: nosuch"),
        (
            f"run --network container:a --add-host x:1.2.3.4 {BUSYBOX}",
            "conflicting options: custom host-to-IP mapping and the network mode",
        ),
        (f"run --network container:a --hostname x {BUSYBOX}", "conflicting options: hostname and the network mode"),
        (f"run --network container:a --dns 1.2.3.4 {BUSYBOX}", "conflicting options: dns and the network mode"),
        (f"run --network container:a -p 80 {BUSYBOX}", "conflicting options: port publishing and the container type network mode"),
        (f"run --network container:a --expose 80 {BUSYBOX}", "conflicting options: port exposing and the container type network mode"),
    ],
)
def test_what_cannot_be_meant(host, line, said):
    found = host(line, None)
    assert found.code and said in found.err


def test_names_addresses_and_who_is_there(host):
    host("network create front")
    host(f"run -d --name web --network front --network-alias www --hostname w {BUSYBOX} sleep 60")
    said = host.sh(
        "--network front", "ip -o -4 addr show eth0; cat /etc/hosts; ping -c1 -W5 web; ping -c1 -W5 www ; nslookup nosuch.example || true"
    )
    assert re.search(r"inet 172\.\d+\.0\.3/16", said) and re.search(r"172\.\d+\.0\.3\t[0-9a-f]{12}\n", said)
    assert said.count("1 packets received") == 2
    (one,) = json.loads(host("network inspect front").out)
    assert [there["Name"] for there in one["Containers"].values()] == ["web"]
    settings = json.loads(host("inspect --format '{{json .NetworkSettings.Networks.front}}' web").out)
    assert settings["IPAddress"].endswith(".0.2") and settings["IPPrefixLen"] == 16 and settings["MacAddress"].startswith("02:42:ac:")
    assert "has active endpoints" in host("network rm front", 1).err


@pytest.mark.parametrize("mode", ["host", "none"])
def test_who_is_on_no_network_is_told_of_hosts_too(host, mode):
    gateway = host("network inspect -f '{{(index .IPAM.Config 0).Gateway}}' bridge").out.strip()
    said = host.sh(f"--network {mode} --add-host x:1.2.3.4 --add-host y=host-gateway", "cat /etc/hosts")
    assert f"1.2.3.4\tx\n{gateway}\ty\n" in said


def test_the_default_bridge_knows_no_names(host):
    host(f"run -d --name web --network bridge {BUSYBOX} sleep 60")
    address = json.loads(host("inspect --format '{{json .NetworkSettings.Networks.bridge.IPAddress}}' web").out)
    said = host.sh(
        "--network bridge --dns 127.0.0.9", f"cat /etc/resolv.conf; ping -c1 -W5 {address} | grep received; ping -c1 web 2>&1 || true"
    )
    assert "nameserver 127.0.0.9" in said and "1 packets received" in said and "bad address 'web'" in said


def test_connect_and_disconnect_while_it_runs(host):
    host("network create front")
    host("network create --internal back")
    host(f"run -d --name web --network front {BUSYBOX} sleep 60")
    host(f"run -d --name db --network back {BUSYBOX} sleep 60")
    assert "bad address" in host("exec web ping -c1 db", 1).err
    host("network connect --alias shop back web")
    assert "1 packets received" in host.inside("web", "ping -c1 -W5 db")
    assert "1 packets received" in host.inside("db", "ping -c1 -W5 shop")
    assert "default via" in host.inside("web", "ip route") and "default" not in host.inside("db", "ip route")
    assert "already exists in network back" in host("network connect back web", 1).err
    host("network disconnect front web")
    assert "default" not in host.inside("web", "ip route") and "eth0" not in host.inside("web", "ip addr")
    assert "is not connected to network front" in host("network disconnect front web", 1).err
    assert host("ps --format '{{.Names}} {{.Networks}}'").out.splitlines() == ["db back", "web back"]


def test_a_network_whose_members_do_not_reach_each_other(host):
    host("network create --ipv6 --opt com.docker.network.bridge.enable_icc=false front")
    host(f"run -d --name web --network front {BUSYBOX} sleep 60")
    host(f"run -d --name db --network front {BUSYBOX} sleep 60")
    (one,) = json.loads(host("network inspect front").out)
    ways = [config["Gateway"] for config in one["IPAM"]["Config"]]
    web = next(there for there in one["Containers"].values() if there["Name"] == "web")
    for way, address in zip(ways, (web["IPv4Address"], web["IPv6Address"]), strict=True):
        host.inside("db", f"ping -c1 -W5 {way}")
        host.inside("db", f"ping -c1 -W1 {address.partition('/')[0]}", 1)


def test_connected_before_it_starts(host):
    host("network create front")
    host(f"create --name web --network none {BUSYBOX} sleep 60")
    host("network connect --ip 172.17.0.99 front web", None)
    host("start web")
    assert "172.17.0.99/16" in host.inside("web", "ip -4 addr")


def test_one_without_names_is_given_them_and_is_found_under_a_new_name(host):
    host("network create front")
    host(f"run -d --name web --network bridge {BUSYBOX} sleep 60")
    host(f"run -d --name db --network front {BUSYBOX} sleep 60")
    assert "127.0.0.11" not in host.inside("web", "cat /etc/resolv.conf")
    host("network connect front web")
    assert "1 packets received" in host.inside("web", "grep 127.0.0.11 /etc/resolv.conf && ping -c1 -W5 db")
    assert "1 packets received" in host.inside("db", "ping -c1 -W5 web")
    host("rename db store")
    assert "1 packets received" in host.inside("web", "ping -c1 -W5 store") and "find db" in host.inside("web", "nslookup db", 1)


def test_another_ones_network(host):
    host(f"run -d --name web --network bridge {BUSYBOX} sh -c 'echo hi > /index.html; httpd -f -p 80 -h /'")
    wait_for(lambda: "hi" in host.sh("--network container:web", "wget -qO- http://127.0.0.1/ || true"))
    host("stop -t 0 web")
    assert "cannot join network of a non running container" in host(f"run --rm --network container:web {BUSYBOX} true", None).err


def asked(host: Host, address: tuple, family: int = socket.AF_INET) -> str:
    def ask() -> str:
        with socket.socket(family) as one:
            one.settimeout(5)
            one.connect(address)
            one.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return b"".join(iter(lambda: one.recv(4096), b"")).decode()

    try:
        return host.place(ask)
    except OSError as error:
        return str(error)


def test_a_published_port_from_the_loopback_the_host_and_its_neighbours(host):
    host("network create front")
    host(f"run -d --name web --network front -p 8080:80 {BUSYBOX} sh -c 'echo hi > /index.html; httpd -f -p 80 -h /'")
    wait_for(lambda: "hi" in asked(host, ("127.0.0.1", 8080)))
    assert "hi" in asked(host, ("::1", 8080), socket.AF_INET6)
    gateway = json.loads(host("inspect --format '{{json .NetworkSettings.Networks.front.Gateway}}' web").out)
    assert "hi" in asked(host, (gateway, 8080)), "the host by another of its addresses"
    assert host.sh("--network front", f"wget -qO- http://{gateway}:8080/") == "hi\n", "a sibling, by the host's address"
    assert host.inside("web", f"wget -qO- http://{gateway}:8080/") == "hi\n", "itself, by the host's address"
    assert host("ps --format {{.Ports}}").out.strip() == "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"
    assert host("port web 80").out.splitlines() == ["0.0.0.0:8080", "[::]:8080"]
    host("stop -t 0 web")
    assert "refused" in asked(host, ("127.0.0.1", 8080)) and host("port web").out == ""
    host("start web")
    wait_for(lambda: "hi" in asked(host, ("127.0.0.1", 8080)))


def ways_in(host: Host) -> list[str]:
    """Who answers at the published port: by the host's loopback (the relay) and by another of its addresses (the kernel)."""
    return [asked(host, (address, 8080))[-3:] for address in ("127.0.0.1", "10.31.0.1")]


def leads_to(host: Host) -> str:
    """The address that the kernel sends to, for the one published port; of IPv4."""
    found = re.findall(r"tcp \. 8080 : ([\d.]+) \. 80", host.place.run("nft", "list", "ruleset"))
    return found[0] if len(found) == 1 else f"{found}"


def test_a_published_port_follows_the_way_out(host):
    """Docker moves it, too: the one with the highest priority leads, then the first by name, and an internal network never does."""
    host.place.run("ip", "addr", "add", "10.31.0.1/32", "dev", "lo")
    for words in ("front", "more", "--internal back"):
        host(f"network create {words}")
    there = "inspect --format '{{.NetworkSettings.Networks.%s.IPAddress}}' web"
    host(f"run -d --name web --network more -p 8080:80 {BUSYBOX} sh -c 'echo hi > /index.html; httpd -f -p 80 -h /'")
    wait_for(lambda: ways_in(host) == ["hi\n"] * 2)
    for verb, leading in (
        ("connect back", "more"), ("connect front", "front"), ("disconnect front", "more"),
        ("connect --gw-priority -1 front", "more"), ("disconnect more", "front"), ("connect --gw-priority 7 more", "more"),
    ):  # fmt: skip
        host(f"network {verb} web")
        assert leads_to(host) == host(there % leading).out.strip(), verb
        wait_for(lambda: ways_in(host) == ["hi\n"] * 2)
    host.place.run("nft", "flush", "ruleset")
    host("network doctor --repair", None)
    assert leads_to(host) == host(there % "more").out.strip(), "what is repaired is what there is now"
    host("network disconnect more web")
    host("network disconnect front web")
    assert leads_to(host) == "[]" and "hi" not in "".join(ways_in(host)), "nothing leads out of an internal one, nor in"
    host("network connect more web")
    wait_for(lambda: ways_in(host) == ["hi\n"] * 2)


def test_a_port_that_cannot_move_stays_where_it_is(host, monkeypatch):
    for name in ("front", "more"):
        host(f"network create {name}")
    host(f"run -d --name web --network more -p 8080:80 {BUSYBOX} sleep 60")
    before, links, deed = leads_to(host), sorted(host.links()), shared.DEEDS["nft"]

    def refused(*texts: str) -> None:
        if any(" 8080 " in text for text in texts) and not once:
            once.append(True)
            raise OSError(errno.EBUSY, "the kernel says no")
        deed(*texts)

    once: list[bool] = []
    monkeypatch.setitem(shared.DEEDS, "nft", refused)
    assert "the kernel says no" in host("network connect front web", 1).err
    assert leads_to(host) == before and sorted(host.links()) == links
    assert "default via" in host.inside("web", "ip route") and host("ps --format '{{.Networks}}'").out == "more\n"


ECHO = "import socket; s = socket.socket(2, 2); s.bind(('', 53))\nwhile True: s.sendto(*s.recvfrom(99))"


def test_a_published_udp_port_from_the_loopback(host):
    host(f"run -d --name echo --network bridge -p 127.0.0.1::53/udp {BUSYBOX} sleep 60")
    port = int(host("port echo 53/udp").out.rpartition(":")[2])
    pid = host("inspect --format '{{.State.Pid}}' echo").out.strip()

    def echoed() -> bytes:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.settimeout(1)
            one.sendto(b"ping", ("127.0.0.1", port))
            return one.recv(99)

    def answered() -> bool:
        with suppress(OSError):
            return host.place(echoed) == b"ping"
        return False

    with subprocess.Popen(["nsenter", "-t", pid, "-n", sys.executable, "-c", ECHO]) as server:
        wait_for(answered)
        server.kill()


def test_a_port_that_is_taken_says_by_whom(host):
    host(f"run -d --name web --network bridge -p 8080:80 {BUSYBOX} sleep 60")
    said = host(f"run -d --name other --network bridge -p 8080:80 {BUSYBOX} sleep 60", 125).err
    assert "Bind for 0.0.0.0:8080 failed: port is already allocated, by container web" in said
    with host.place(socket.create_server, ("127.0.0.1", 8099)):
        said = host(f"run -d --network bridge -p 8099:80 {BUSYBOX} sleep 60", 125).err
        assert "address already in use" in said and f"pid {os.getpid()}" in said
    assert host("ps -a --format '{{.Names}} {{.State}}' -f name=other").out.strip() == "other created"
    host("start other", 1)
    host("rm -f web")
    host("start other")


def test_the_manager_killed_ports_and_names_go_on(host):
    host("network create front")
    host(f"run -d --name web --network front -p 8080:80 {BUSYBOX} sh -c 'echo hi > /index.html; httpd -f -p 80 -h /'")
    wait_for(lambda: "hi" in asked(host, ("127.0.0.1", 8080)))
    with host.place(calling.knock, "manager") as line:
        os.kill(int.from_bytes(line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)[:4], "little"), 9)
    assert host.sh("--network front", "wget -qO- http://web/") == "hi\n", "the next command has started the next manager"
    wait_for(lambda: "hi" in asked(host, ("127.0.0.1", 8080)))


def test_many_at_a_time_on_one_network(host):
    """Each in a process of its own: no address twice, and nothing is left (see the fixture)."""
    host("network create front")
    script = "ip -o -4 addr show eth0 | sed 's/.*inet //; s/ .*//'; sleep 1"
    line = [sys.executable, "-P", "-m", "lib.cli", "run", "--rm", "--network", "front", BUSYBOX, "sh", "-c", script]
    env = os.environ | {"PYTHONPATH": str(Path(state.__file__).parents[2])}
    many = [host.place(subprocess.Popen, line, env=env, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    said = [one.communicate()[0].strip() for one in many]
    assert len(set(said)) == 8 and all(re.fullmatch(r"172\.17\.0\.\d+/16", one) for one in said), said


def test_one_that_is_started_again_is_on_its_network_and_its_port_leads_there(host):
    host("network create front")
    words = "[ -e /was ] || { touch /was; exit 1; }; echo hi > /index.html; exec httpd -f -p 80 -h /"
    asks = "--health-cmd 'wget -qO- http://web' --health-interval 50ms"
    host(f"run -d --name web --network front -p 8080:80 --restart always {asks} {BUSYBOX} sh -c '{words}'")
    wait_for(lambda: "(healthy)" in host("ps").out)
    (one,) = json.loads(host("inspect web").out)
    assert one["RestartCount"] == 1 and one["State"]["Health"]["Log"][-1]["Output"] == "hi\n", "by its name"
    assert host.sh("--network front", "wget -qO- http://web") == "hi\n"
    assert "hi" in asked(host, ("127.0.0.1", 8080))


def test_prune_by_filters(host):
    for name in ("one", "two", "three"):
        host(f"network create {'--label keep' if name == 'three' else ''} {name}")
    assert host("network prune -f --filter until=24h").out == ""
    refused = host("network prune -f --filter nonsense=1", 1).err
    assert refused == "suitcase: invalid filter 'nonsense': there is until, label, label!\n"
    assert host("network prune -f --filter label!=keep").out == "Deleted Networks:\none\ntwo\n\n"
    assert host("network ls --format {{.Name}}").out.split() == ["bridge", "host", "none", "three"]
