"""Who is asked, in which order, how long, and whom one believes: played through, with a clock that stands still until it is told."""

from __future__ import annotations

import errno
import socket

import dns.flags
import dns.message
import dns.rcode
import pytest

from lib.network.names import View, answer
from lib.network.names import upstream as ups
from lib.network.names.upstream import Forwarder, Server

ONE, TWO, THREE, FOUR = (Server(f"10.0.0.{number}") for number in range(1, 5))


class Line:
    """A socket to a name server."""

    numbers = iter(range(1000, 1 << 30))

    def __init__(self, server: Server, kind: int):
        self.server, self.kind, self.sent, self.come, self.number, self.closed = server, kind, b"", [], next(self.numbers), False

    def fileno(self) -> int:
        return self.number

    def send(self, data) -> int:
        self.sent += bytes(data)
        return len(data)

    def recv(self, size: int) -> bytes:
        if not self.come:
            raise BlockingIOError
        if isinstance(one := self.come.pop(0), Exception):
            raise one
        return one

    def close(self) -> None:
        self.closed = True

    @property
    def question(self) -> dns.message.Message:
        return dns.message.from_wire(self.sent[2:] if self.kind == socket.SOCK_STREAM else self.sent)


class Play:
    """The loop, the clock and the servers."""

    def __init__(self):
        self.now, self.lines, self.handlers, self.heard, self.down = 0.0, [], {}, [], set()
        self.forwarder = Forwarder(self, self.dial, lambda: self.now)

    def dial(self, client: str, server: Server, kind: int) -> Line:
        if server in self.down:
            raise OSError(errno.ENETUNREACH, "unreachable")
        self.lines.append(Line(server, kind))
        return self.lines[-1]

    def watch(self, fd: int, handler, events: int = 0) -> None:
        self.handlers[fd] = handler, events

    def unwatch(self, fd: int) -> None:
        self.handlers.pop(fd, None)

    def ask(self, name: str = "a.example", servers=(ONE, TWO, THREE, FOUR), tcp: bool = False, client: str = "me", heard=None):
        query = answer(dns.message.make_query(name, "A").to_wire(), View(), tcp)
        self.forwarder.ask(client, query, servers, tcp, heard or (lambda said: self.heard.append(dns.message.from_wire(said))))

    def comes(self, line: Line, *what) -> None:
        line.come += what
        while line.come and line.fileno() in self.handlers:
            handler, events = self.handlers[line.fileno()]
            handler(events)

    def reply(self, line: Line, rcode=dns.rcode.NOERROR, flags: int = 0) -> bytes:
        said = dns.message.make_response(line.question)
        said.set_rcode(rcode)
        said.flags |= flags
        return said.to_wire()

    def passes(self, seconds: float) -> None:
        self.now += seconds
        self.forwarder.expire()


@pytest.fixture
def play():
    one = Play()
    yield one
    assert {line.fileno() for line in one.lines if not line.closed} == set(one.handlers), "an open socket is watched, a closed one is not"


def test_the_first_server_is_asked_and_its_answer_passed_on(play):
    play.ask()
    (line,) = play.lines
    assert line.server == ONE and str(line.question.question[0]) == "a.example. IN A"
    play.comes(line, play.reply(line, dns.rcode.NXDOMAIN))
    assert [one.rcode() for one in play.heard] == [dns.rcode.NXDOMAIN] and len(play.lines) == 1


def test_each_has_four_seconds_and_there_are_three_of_them(play):
    play.ask()
    for server in (ONE, TWO, THREE):
        assert play.lines[-1].server == server and not play.heard
        play.passes(3.9)
        assert play.lines[-1].server == server
        play.passes(0.2)
    assert [one.rcode() for one in play.heard] == [dns.rcode.SERVFAIL] and len(play.lines) == 3
    assert play.forwarder.ages.left() is None


@pytest.mark.parametrize("rcode", [dns.rcode.SERVFAIL, dns.rcode.REFUSED])
def test_who_cannot_help_is_followed_by_the_next(play, rcode):
    play.ask()
    play.comes(play.lines[0], play.reply(play.lines[0], rcode))
    play.comes(play.lines[1], play.reply(play.lines[1]))
    assert [line.server for line in play.lines] == [ONE, TWO]
    assert [one.rcode() for one in play.heard] == [dns.rcode.NOERROR]


def test_who_does_not_listen_or_cannot_be_reached_is_followed_at_once(play):
    play.down = {TWO}
    play.ask()
    play.comes(play.lines[0], ConnectionRefusedError())
    assert play.lines[-1].server == THREE and play.now == 0


def test_without_servers_there_is_an_answer_all_the_same(play):
    play.ask(servers=())
    play.down = {ONE}
    play.ask(servers=(ONE,))
    assert [one.rcode() for one in play.heard] == [dns.rcode.SERVFAIL] * 2


def test_a_forged_answer_is_as_if_it_had_never_come(play):
    play.ask()
    (line,) = play.lines
    good = play.reply(line)
    wrong_number = bytes((good[0] ^ 1,)) + good[1:]
    other = dns.message.make_query("b.example", "A")
    other.id = line.question.id
    wrong_question = dns.message.make_response(other).to_wire()
    play.comes(line, wrong_number, wrong_question, good[:11], b"", line.sent, bytes(2000))
    assert not play.heard and not line.closed
    play.comes(line, good)
    assert len(play.heard) == 1


def test_numbers_are_new_for_each_question_and_each_server(play):
    numbers = set()
    for _ in range(50):
        play.ask()
        numbers |= {line.sent[:2] for line in play.lines}
        play.passes(5)
        numbers |= {line.sent[:2] for line in play.lines}
    assert len(numbers) > 90  # of a hundred, drawn from 65536


def test_a_cut_answer_is_asked_for_again_by_tcp_if_the_asker_came_by_it(play):
    play.ask()
    play.comes(play.lines[0], play.reply(play.lines[0], flags=dns.flags.TC))
    assert len(play.heard) == 1 and play.heard[0].flags & dns.flags.TC  # by UDP: he comes back himself
    play.ask(tcp=True)
    play.comes(play.lines[1], play.reply(play.lines[1], flags=dns.flags.TC))
    line = play.lines[2]
    assert line.kind == socket.SOCK_STREAM and line.server == ONE and len(play.heard) == 1
    handler, events = play.handlers[line.fileno()]
    handler(events)  # it can be written to
    whole = play.reply(line)
    play.comes(line, len(whole).to_bytes(2, "big") + whole[:20], whole[20:])
    assert len(play.heard) == 2 and not play.heard[1].flags & dns.flags.TC


def test_who_ends_his_tcp_connection_without_an_answer_is_followed_by_the_next(play):
    play.ask(tcp=True)
    play.comes(play.lines[0], play.reply(play.lines[0], flags=dns.flags.TC))
    handler, events = play.handlers[play.lines[1].fileno()]
    handler(events)
    play.comes(play.lines[1], b"")
    assert play.lines[-1].server == TWO and play.lines[-1].kind == socket.SOCK_DGRAM


def test_who_floods_takes_places_from_nobody_else(play):
    for _ in range(ups.SHARE + 5):
        play.ask(client="flood")
    assert [one.rcode() for one in play.heard] == [dns.rcode.REFUSED] * 5
    play.ask(client="other")
    play.comes(play.lines[-1], play.reply(play.lines[-1]))
    assert play.heard[-1].rcode() == dns.rcode.NOERROR


def test_when_all_places_are_taken_who_has_most_of_them_makes_room(play):
    for number in range(ups.ALL // ups.SHARE):
        for _ in range(ups.SHARE):
            play.ask(client=f"flood{number}")
    assert not play.heard
    for number in range(10):
        play.ask(client=f"other{number}")
    assert [one.rcode() for one in play.heard] == [dns.rcode.REFUSED] * 10
    assert len(play.forwarder.ages) == ups.ALL and all(len(play.forwarder.flights[f"other{number}"]) == 1 for number in range(10))


def test_who_has_gone_is_not_answered_any_more(play):
    for _ in range(3):
        play.ask(client="gone")
    play.ask(client="here")
    play.forwarder.forget("gone")
    assert sum(not line.closed for line in play.lines) == 1
    play.passes(100)
    play.passes(100)
    play.passes(100)
    assert len(play.heard) == 1
