"""The resolver itself, between containers and a name server outside that are network namespaces each."""

from __future__ import annotations

import os
import random
import select
import socket
import struct
import subprocess
import sys
import threading
from contextlib import suppress

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rrset
from helpers.names import SECONDS, saying
from helpers.needs import requires
from helpers.waiting import wait_for

from lib.network.names import ADDRESS, Hosts, answering, connections, upstream
from lib.network.names import client as clients
from lib.process import callers

pytestmark = requires("root", "nft")


def frame(message: bytes) -> bytes:
    return struct.pack("!H", len(message)) + message


def take(line: socket.socket) -> dns.message.Message:
    """The next message of a TCP connection."""
    head = line.recv(2, socket.MSG_WAITALL)
    if not head:
        raise ConnectionResetError
    return dns.message.from_wire(line.recv(struct.unpack("!H", head)[0], socket.MSG_WAITALL))


def ends(line: socket.socket) -> bool:
    """The other side has closed it."""
    try:
        return line.recv(1) == b""
    except ConnectionResetError:
        return True


# -- answers ----------------------------------------------------------------------------------------------------------


def test_containers_find_each_other_by_udp_and_tcp_and_whoever_comes_later_is_found_too(arena):
    arena.container(2, "web", aliases=["www"])
    arena.container(3, "db", aliases=["www"])
    for tcp in (False, True):
        assert arena.addresses("web", "db", tcp=tcp) == ["172.18.0.3"]
        assert arena.addresses("db", "web.front", "AAAA", tcp) == ["fd00::2"]
        assert sorted(arena.addresses("web", "www", tcp=tcp)) == ["172.18.0.2", "172.18.0.3"]
        assert arena.addresses("web", "3.0.18.172.in-addr.arpa", "PTR", tcp) == ["db.front."]
    late = arena.networks.join(4, "late")
    assert arena.addresses("web", "late") == ["172.18.0.4"]
    arena.networks.leave(late)
    assert arena.ask("web", "late").rcode() == dns.rcode.SERVFAIL  # there is nobody outside who could be asked


def test_whoever_came_before_the_question_is_found_and_whoever_left_is_not(arena):
    """However close upon each other: the resolver may just be at its work, and read the question in the same turn."""
    arena.container(2, "web")
    question = dns.message.make_query("late", "A").to_wire()

    def ask() -> int:
        one.send(question)
        return len(dns.message.from_wire(one.recv(512)).answer)

    with arena.inside("web", socket.socket, socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(SECONDS)
        one.connect((ADDRESS, 53))
        for _ in range(300):
            late = arena.networks.join(4, "late")
            assert ask() == 1
            arena.networks.leave(late)
            assert ask() == 0


def test_several_addresses_come_first_in_turn(arena):
    arena.container(2, "web")
    for number in range(3, 6):
        arena.networks.join(number, f"db{number}", aliases=["db"])
    firsts = [arena.addresses("web", "db")[0] for _ in range(6)]
    assert sorted(firsts) == sorted([f"172.18.0.{number}" for number in range(3, 6)] * 2)


@requires("dig")
def test_programs_of_others_are_content_with_it(arena):
    arena.container(2, "web")
    for number in range(100, 180):
        arena.networks.join(number, f"db{number}", aliases=["many"])
    assert arena.run("web", "dig", f"@{ADDRESS}", "+short", "WEB").split() == ["172.18.0.2"]
    assert arena.run("web", "dig", f"@{ADDRESS}", "+short", "-x", "fd00::2").split() == ["web.front."]
    assert len(arena.run("web", "dig", f"@{ADDRESS}", "+short", "+noedns", "many").split()) == 80  # comes back by TCP
    assert arena.run("web", "dig", f"@{ADDRESS}", "+short", "+tcp", "+keepopen", "web", "web", "many").count("\n") == 82
    assert "NOERROR" in arena.run("web", "dig", f"@{ADDRESS}", "web", "HTTPS")


@requires("unshare")
def test_the_c_library_is_content_with_it(arena):
    arena.upstream(saying("", dns.rcode.NXDOMAIN))
    arena.names_servers("127.0.0.53")
    arena.container(2, "web")
    arena.networks.join(3, "db", ipv6="", aliases=["store"])
    own = arena.folder / "own.conf"
    own.write_text(str(Hosts(arena.resolv_conf).now().but(search=["corp.example"]).ours()))

    def looked_up(call: str) -> str:
        words = [sys.executable, "-c", f"from socket import *; print({call})"]
        return arena.run("web", "unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', str(own), *words).strip()

    for name, found in (("store", ["172.18.0.3"]), ("db.front", ["172.18.0.3"]), ("web", ["172.18.0.2", "fd00::2"])):
        assert looked_up(f"sorted({{one[4][0] for one in getaddrinfo({name!r}, 1)}})") == str(found)
    assert looked_up("gethostbyaddr('fd00::2')[0]") == "web.front"
    assert looked_up("getaddrinfo('nobody', 1)") == ""
    assert arena.ask("web", "db.corp.example").rcode() == dns.rcode.NXDOMAIN


def test_what_was_asked_is_noted_for_who_wants_to_see_it(arena):
    web = arena.container(2, "web")
    arena.ask("web", "web")
    arena.ask("web", "example.com")
    notes = arena.server.noted(web["container"])
    assert [(note.container, note.name, note.type, note.answer) for note in notes] == [
        ("000000000002", "web.", "A", "172.18.0.2"), ("000000000002", "example.com.", "A", "SERVFAIL, from outside"),
    ]  # fmt: skip
    for _ in range(2 * clients.NOTED):
        arena.ask("web", "web")
    assert len(arena.server.noted(web["container"])) == clients.NOTED


@requires("dnsmasq")
def test_port_53_is_free_for_a_name_server_in_the_container(arena):
    arena.container(2, "web")
    words = ["dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--user=root", "--no-resolv", "--pid-file=", "--no-hosts"]
    words += [f"--server={ADDRESS}", "--address=/own.example/10.1.1.1"]
    with arena.inside("web", lambda: subprocess.Popen(words, stderr=subprocess.DEVNULL)) as own:
        try:

            def at(name: str) -> list[str]:
                def ask():
                    try:
                        return dns.query.udp(dns.message.make_query(name, "A"), "127.0.0.1", 1)
                    except dns.exception.Timeout:
                        return None

                found = wait_for(lambda: arena.inside("web", ask))
                return [str(one) for rrset in found.answer for one in rrset]

            assert at("own.example") == ["10.1.1.1"]
            assert at("web.front") == ["172.18.0.2"]  # by way of us
            assert own.poll() is None
        finally:
            own.kill()


# -- outside ----------------------------------------------------------------------------------------------------------


def test_others_are_asked_from_the_host_also_where_they_are_on_its_loopback(arena):
    outside = arena.upstream(saying("10.7.7.7"))
    arena.names_servers("127.0.0.53")
    arena.container(2, "web")
    for tcp in (False, True):
        assert arena.addresses("web", "example.com", tcp=tcp) == ["10.7.7.7"]
    assert len({sender[1] for _, sender, _ in outside.asked}) == len(outside.asked) > 1, "each question goes out from a port of its own"


def test_the_hosts_resolv_conf_may_change_meanwhile(arena):
    arena.upstream(saying("10.7.7.7"))
    arena.upstream(saying("10.8.8.8"), "127.0.0.54")
    arena.container(2, "web")
    for _ in range(5):
        arena.names_servers("127.0.0.53")
        assert arena.addresses("web", "example.com") == ["10.7.7.7"]
        arena.names_servers("127.0.0.54")
        assert arena.addresses("web", "example.com") == ["10.8.8.8"]
    arena.resolv_conf.unlink()
    assert arena.ask("web", "example.com").rcode() == dns.rcode.SERVFAIL


def test_a_server_where_nobody_listens_costs_no_time(arena):
    """Such as the gateway of one's own network, where others have their resolver, and would ask themselves for ever."""
    arena.upstream(saying("10.7.7.7"))
    arena.names_servers("127.0.0.99", "2001:db8::1", "127.0.0.53")
    arena.container(2, "web")
    arena.server.forwarder.ages.lifetime = 10 * SECONDS  # whoever waited for one of the first two would not be done in time
    assert arena.addresses("web", "example.com") == ["10.7.7.7"]


def test_who_cannot_help_is_followed_by_who_can_and_what_is_not_there_is_not_there(arena):
    arena.upstream(saying("", dns.rcode.REFUSED))
    arena.upstream(saying("", dns.rcode.NXDOMAIN), "127.0.0.54")
    arena.names_servers("127.0.0.53", "127.0.0.54")
    arena.container(2, "web")
    assert arena.ask("web", "example.com").rcode() == dns.rcode.NXDOMAIN


def test_ones_own_servers_are_asked_from_the_container(arena):
    arena.upstream(saying("10.7.7.7"))
    arena.names_servers("127.0.0.53")
    arena.container(2, "web", servers=("127.0.0.11", "127.0.0.53"))  # our own address among them is left out
    assert arena.ask("web", "example.com").rcode() == dns.rcode.SERVFAIL  # in there nobody listens at that address
    own = arena.upstream(saying("10.9.9.9"), inside=arena.containers["web"])
    assert arena.addresses("web", "example.com") == ["10.9.9.9"] and own.asked


def test_an_internal_network_asks_nobody(arena):
    outside = arena.upstream(saying("10.7.7.7"))
    arena.names_servers("127.0.0.53")
    arena.container(2, "web", internal=True)
    assert arena.addresses("web", "web") == ["172.18.0.2"]
    assert arena.ask("web", "example.com").rcode() == dns.rcode.SERVFAIL and not outside.asked
    arena.networks.join(2, "web", network="back")
    assert arena.addresses("web", "example.com") == ["10.7.7.7"]


def test_a_single_word_goes_outside_unless_ndots_has_been_set(arena):
    outside = arena.upstream(saying("10.7.7.7"))
    arena.names_servers("127.0.0.53")
    arena.container(2, "web")
    arena.container(3, "db", ndots=True)
    assert arena.addresses("web", "intranet") == ["10.7.7.7"]
    outside.asked.clear()
    found = arena.ask("db", "intranet")
    assert found.rcode() == dns.rcode.NOERROR and not found.answer and not outside.asked


def test_a_long_answer_from_outside_comes_by_tcp(arena):
    def long(question, tcp):
        reply = saying("10.7.7.7")(question, tcp)
        if tcp:
            for number in range(200):
                reply.answer.append(dns.rrset.from_text(question.question[0].name, 60, "IN", "A", f"10.0.0.{number}"))
        else:
            reply.flags |= dns.flags.TC
        return reply

    arena.upstream(long)
    arena.names_servers("127.0.0.53")
    arena.container(2, "web")
    assert arena.ask("web", "example.com").flags & dns.flags.TC
    assert len(arena.addresses("web", "example.com", tcp=True)) == 201


def test_what_is_asked_outside_is_what_was_asked_but_for_its_number(arena):
    outside = arena.upstream(saying("10.7.7.7"))
    arena.names_servers("127.0.0.53")
    arena.container(2, "web")
    question = dns.message.make_query("ExAmple.com", "A", use_edns=0, payload=1400, want_dnssec=True)
    for _ in range(8):
        assert arena.inside("web", dns.query.udp, question, ADDRESS, SECONDS).id == question.id
    assert {packet[2:] for packet, _, _ in outside.asked} == {question.to_wire()[2:]}
    assert len({packet[:2] for packet, _, _ in outside.asked}) > 1


# -- whatever comes ---------------------------------------------------------------------------------------------------


def test_nonsense_by_udp_harms_nobody(arena):
    arena.container(2, "web")
    dice = random.Random(1)
    good = dns.message.make_query("web", "A").to_wire()
    loop = good[:12] + b"\1a\xc0\x0c\0\1\0\1"

    def send():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.connect((ADDRESS, 53))
            for number in range(2000):
                size = dice.choice((0, 1, 11, 12, 13, 40, 600, 5000, 65000))
                one.send((dice.randbytes(size), good[: number % len(good)], loop, good + bytes(size // 2))[number % 4])

    arena.inside("web", send)
    wait_for(
        lambda: not waits(arena.server.clients["000000000002"].udp.fileno())
    )  # what finds no room is lost, and asked again in real life
    assert arena.addresses("web", "web") == ["172.18.0.2"]


def test_several_questions_on_one_connection_in_pieces_and_at_once(arena):
    arena.container(2, "web")
    questions = [dns.message.make_query("web", "A") for _ in range(300)]
    with arena.line("web") as line:
        for byte in frame(questions[0].to_wire()):
            line.send(bytes((byte,)))
        assert questions[0].is_response(take(line))
        line.sendall(b"".join(frame(one.to_wire()) for one in questions))
        assert [take(line).id for _ in questions] == [one.id for one in questions]


def test_on_one_connection_what_is_known_does_not_wait_for_what_is_not(arena):
    go = threading.Event()
    arena.upstream(lambda question, tcp: go.wait(SECONDS) and saying("10.7.7.7")(question, tcp))
    arena.names_servers("127.0.0.53")
    arena.container(2, "web")
    outside, here = dns.message.make_query("example.com", "A"), dns.message.make_query("web", "A")
    with arena.line("web") as line:
        line.sendall(frame(outside.to_wire()) + frame(here.to_wire()))
        line.shutdown(socket.SHUT_WR)  # he asks nothing more, and waits for both
        assert here.is_response(take(line))
        go.set()
        assert outside.is_response(take(line))
        assert ends(line)


def test_nonsense_by_tcp_ends_that_connection_at_most(arena):
    arena.container(2, "web")
    good = dns.message.make_query("web", "A")
    with arena.line("web") as patient:
        for message in (b"", b"x", bytes(11)):
            with arena.line("web") as line:
                line.sendall(frame(message))
                assert ends(line)
        with arena.line("web") as line:
            line.sendall(frame(good.to_wire()[:-2]) + frame(good.to_wire() + bytes(60000)) + frame(good.to_wire()))
            assert [take(line).rcode() for _ in range(3)] == [dns.rcode.FORMERR, dns.rcode.NOERROR, dns.rcode.NOERROR]
            line.sendall(b"\xff\xff half of something")
        patient.sendall(frame(good.to_wire()))
        assert good.is_response(take(patient))


def test_idle_connections_keep_nobody_out_and_end_by_themselves(arena):
    arena.container(2, "web")
    good = dns.message.make_query("web", "A")
    idle = [arena.line("web") for _ in range(clients.CONNECTIONS + 10)]
    try:
        with arena.line("web") as line:
            line.sendall(frame(good.to_wire()))
            assert good.is_response(take(line))
            assert arena.addresses("web", "web") == ["172.18.0.2"]
            idle[-1].sendall(frame(good.to_wire()))
            assert good.is_response(take(idle[-1]))
        assert clients.CONNECTIONS - 2 < len(arena.server.clients["000000000002"].connections) <= clients.CONNECTIONS
        assert all(ends(one) for one in idle[:11])  # the oldest have made room
        arena.server.idle.lifetime = 0.2
        arena.server.order(lambda: None)  # it looks at its clock again
        assert all(ends(one) for one in idle)
    finally:
        for one in idle:
            one.close()
    assert wait_for(lambda: not arena.server.clients["000000000002"].connections)


def test_who_asks_and_never_reads_holds_up_nobody_else(arena):
    arena.container(2, "web")
    for number in range(100, 250):
        arena.networks.join(number, f"db{number}", aliases=["many"])
    question = frame(dns.message.make_query("many", "A").to_wire())
    each = len(arena.ask("web", "many", tcp=True).to_wire())
    with arena.line("web") as line:
        greedy = threading.Thread(target=send_all, args=(line, question * 40000))
        greedy.start()
        those = arena.server.clients["000000000002"].connections
        connection = wait_for(lambda: next((one for one in list(those) if len(one.stream.to_go) > connections.UNREAD), None))
        for _ in range(50):
            turns(arena)
        assert len(connection.stream.to_go) < connections.UNREAD + (connections.AT_ONCE // len(question) + 1) * 2 * each
        assert arena.addresses("web", "web") == ["172.18.0.2"]
        line.shutdown(socket.SHUT_RDWR)
        greedy.join()


def send_all(line: socket.socket, data: bytes) -> None:
    with suppress(OSError):  # it is over
        line.sendall(data)


def turns(arena) -> None:
    """Wait until the resolver has been round once."""
    done = threading.Event()
    arena.server.order(done.set)
    assert done.wait(SECONDS)


def test_what_nobody_has_thought_of_costs_that_one_question(arena, monkeypatch):
    real = answering.looked_up

    def fails(query, view):
        if query.name == "bomb":
            raise ZeroDivisionError
        return real(query, view)

    monkeypatch.setattr(answering, "looked_up", fails)
    arena.container(2, "web")
    for tcp in (False, True):
        assert arena.ask("web", "bomb", tcp=tcp).rcode() == dns.rcode.SERVFAIL
        assert arena.addresses("web", "web", tcp=tcp) == ["172.18.0.2"]


def test_what_nobody_has_thought_of_does_not_end_the_resolver(arena, monkeypatch):
    def fails(self, events):
        self.tcp.accept()[0].close()
        raise ZeroDivisionError

    monkeypatch.setattr(clients.Client, "let_in", fails)
    arena.container(2, "web")
    with arena.line("web") as line:
        assert ends(line)
    assert arena.addresses("web", "web") == ["172.18.0.2"]


def test_a_flood_of_one_costs_the_others_nothing(arena):
    outside = arena.upstream(lambda question, tcp: None if "flood" in str(question.question[0].name) else saying("10.7.7.7")(question, tcp))
    arena.names_servers("127.0.0.53")
    arena.container(2, "web")
    arena.container(3, "flood")
    stop = threading.Event()

    def flood():
        packets = [dns.message.make_query(f"flood{number}.example", "A").to_wire() for number in range(400)]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.connect((ADDRESS, 53))
            while not stop.is_set():
                for packet in packets:
                    one.send(packet)

    thread = threading.Thread(target=arena.inside, args=("flood", flood))
    thread.start()
    try:
        wait_for(lambda: len(outside.asked) > upstream.SHARE // 2)
        for number in range(20):
            assert arena.addresses("web", f"n{number}.example") == ["10.7.7.7"]
            assert arena.addresses("web", "web") == ["172.18.0.2"]
        assert len(arena.server.forwarder.flights["000000000003"]) <= upstream.SHARE
    finally:
        stop.set()
        thread.join()


def test_when_a_container_ends_nothing_of_ours_holds_its_namespace(arena):
    arena.upstream(lambda question, tcp: None)
    arena.names_servers("127.0.0.53")
    web = arena.container(2, "web", servers=("127.0.0.53",))
    arena.container(3, "db")
    silent = arena.upstream(lambda question, tcp: None, inside=arena.containers["web"])
    with arena.line("web") as line, arena.inside("web", socket.socket, socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.sendto(dns.message.make_query("example.com", "A").to_wire(), (ADDRESS, 53))
        wait_for(lambda: silent.asked)
        inode = os.fstat(arena.containers["web"]).st_ino
        arena.server.forget(web["container"])
        turns(arena)
        assert ends(line)
        assert not [fd for fd in arena.server.handlers if fd != arena.server.woken and inside_of(fd) == inode]
    assert arena.addresses("db", "db") == ["172.18.0.3"]


def inside_of(fd: int) -> int:
    namespace = callers.of_socket(fd)
    try:
        return os.fstat(namespace).st_ino
    finally:
        os.close(namespace)


def test_a_resolver_that_is_replaced_answers_what_was_asked_meanwhile(arena):
    """As when the manager is killed: somebody else holds the sockets, and questions wait in them."""
    arena.container(2, "web")
    client = wait_for(lambda: arena.server.clients.get("000000000002"))
    held = [os.dup(one.fileno()) for one in (client.udp, client.tcp)]
    arena.server.close()
    found = []
    threads = [threading.Thread(target=lambda tcp=tcp: found.append(arena.addresses("web", "web", tcp=tcp))) for tcp in (False, True)]
    for one in threads:
        one.start()
    assert wait_for(lambda: waits(held[0]))
    assert not found
    arena.start()
    arena.server.serve("000000000002", *held, clients.Settings())
    for one in threads:
        one.join()
    assert found == [["172.18.0.2"]] * 2


def waits(fd: int) -> bool:
    return bool(select.select([fd], [], [], 0)[0])
