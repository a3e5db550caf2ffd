"""Packets in, packets out; dnspython is the second opinion on each."""

from __future__ import annotations

import random
import struct
import sys

import dns.edns
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import pytest
from dnslib import DNSRecord
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.network.names import Query, View, answer
from lib.network.names.answering import passed_on
from lib.network.names.zone import Member, Network, pointer


def member(number: int, names: tuple[str, ...], address: bytes) -> Member:
    return Member(f"{number:012x}", names, (address,), "front", f"{names[0]}.front", (pointer(address),))


def view(count: int = 1, ndots: bool = False) -> View:
    """``web`` with as many addresses of IPv4, ``six`` with one of IPv6."""
    members = [member(i, (f"c{i}", "web"), bytes((10, 0, i >> 8, i & 255))) for i in range(count)]
    return View((Network([*members, member(0xFFFF, ("six",), bytes(15) + b"\1")]),), ndots)


def asked(name: str, kind: str = "A", /, *, among: View | None = None, tcp: bool = False, turn: int = 0, rdclass: str = "IN", **how):
    """The answer as dnspython reads it; the ``Query``, where it is for somebody else."""
    question = dns.message.make_query(name, kind, rdclass, **how)
    found = answer(question.to_wire(), among or view(), tcp, turn)
    if isinstance(found, Query):
        return found
    read = dns.message.from_wire(found)
    assert question.is_response(read) or read.rcode() != dns.rcode.NOERROR
    return read


def texts(message: dns.message.Message) -> list[str]:
    return [str(one) for rrset in message.answer for one in rrset]


def test_a_name_has_its_address_for_this_moment_only():
    found = asked("web")
    assert texts(found) == ["10.0.0.0"] and found.answer[0].ttl == 0
    assert found.flags == dns.flags.QR | dns.flags.RD | dns.flags.RA


@pytest.mark.parametrize("name", ["WEB", "wEb.", "Web.Front", "c0.FRONT."])
def test_capitals_do_not_count_and_come_back_as_they_were_asked(name):
    found = asked(name)
    assert texts(found) == ["10.0.0.0"]
    assert str(found.answer[0].name) == name.rstrip(".") + "."


@pytest.mark.parametrize(("name", "kind"), [("web", "AAAA"), ("six", "A"), ("web", "MX"), ("web", "TXT"), ("web", "HTTPS"), ("web", "SRV")])
def test_who_is_known_but_has_nothing_of_this_type_is_not_unknown(name, kind):
    found = asked(name, kind)
    assert found.rcode() == dns.rcode.NOERROR and not found.answer


def test_ipv6_and_any():
    assert texts(asked("six", "AAAA")) == ["::1"] == texts(asked("six", "ANY"))


def test_who_has_an_address():
    assert texts(asked("0.0.0.10.in-addr.arpa", "PTR")) == ["c0.front."]
    assert texts(asked("1" + ".0" * 31 + ".ip6.arpa", "PTR")) == ["six.front."]
    assert isinstance(asked("9.0.0.10.in-addr.arpa", "PTR"), Query)


@pytest.mark.parametrize("name", ["nobody", "example.com", "web.back", "web.front.front", ".", "_x._tcp.web2"])
def test_what_nobody_here_knows_is_for_others_to_answer(name):
    found = asked(name)
    assert isinstance(found, Query)
    assert dns.message.from_wire(found.packet).question[0].name.to_text() in (name + ".", name)


def test_a_single_word_is_nobody_elses_where_ndots_has_been_set():
    for kind in ("A", "AAAA"):
        found = asked("nobody", kind, among=view(ndots=True))
        assert found.rcode() == dns.rcode.NOERROR and not found.answer
    for name, kind in (("nobody", "TXT"), ("a.b", "A"), (".", "NS")):
        assert isinstance(asked(name, kind, among=view(ndots=True)), Query)


def test_several_addresses_come_first_in_turn():
    firsts = [texts(asked("web", among=view(3), turn=turn))[0] for turn in range(4)]
    assert firsts == ["10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.0"]
    assert all(len(texts(asked("web", among=view(3), turn=turn))) == 3 for turn in range(3))


def test_a_long_answer_is_cut_to_what_the_asker_takes_and_marked():
    many = view(200)
    for limit, how in ((512, {}), (512, {"use_edns": 0, "payload": 100}), (1232, {"use_edns": 0, "payload": 1232})):
        question = dns.message.make_query("web", "A", **how)
        packet = answer(question.to_wire(), many)
        found = dns.message.from_wire(packet)
        assert len(packet) <= limit < len(packet) + 40 and found.flags & dns.flags.TC
        assert (found.edns >= 0) == bool(how)
    for how in ({"tcp": True}, {"use_edns": 0, "payload": 4096}):
        found = asked("web", among=many, **how)
        assert len(texts(found)) == 200 and not found.flags & dns.flags.TC


def test_other_classes_and_other_deeds_are_refused():
    assert asked("version.bind", "TXT", rdclass="CH").rcode() == dns.rcode.REFUSED
    assert asked("web", "A", rdclass="HS").rcode() == dns.rcode.REFUSED
    update = dns.message.make_query("web", "A")
    update.set_opcode(dns.opcode.UPDATE)
    assert dns.message.from_wire(answer(update.to_wire(), view()), ignore_trailing=True).rcode() == dns.rcode.NOTIMP


HEADER = struct.Struct("!6H")
WEB = b"\3web\0" + struct.pack("!2H", 1, 1)


def made(body: bytes, flags: int = 0x100, counts: tuple[int, int, int, int] = (1, 0, 0, 0)) -> bytes:
    return HEADER.pack(7, flags, *counts) + body


@pytest.mark.parametrize(
    "packet",
    [
        made(b""), made(WEB[:-1]), made(b"\3we"), made(b"\x40web\0\0\1\0\1"), made(b"\xff\xff\0\1\0\1"),
        made(b"\xc0\x0c\0\1\0\1"), made(b"\3web\xc0\x0c\0\1\0\1"), made(b"\1a\xc0\x0e\0\1\0\1"), made(b"\xc0\x00\0\1\0\1"),
        made(b"\x3f" + b"a" * 63 + (b"\x3f" + b"b" * 63) * 3 + b"\0\0\1\0\1"),
        made((b"\1a" * 128) + b"\0\0\1\0\1"), made(b"\2\xff\xfe\0\0\1\0\1"),
        made(WEB, counts=(0, 0, 0, 0)), made(WEB + WEB, counts=(2, 0, 0, 0)), made(WEB * 500, counts=(500, 0, 0, 0)),
        made(WEB, counts=(1, 1, 0, 0)), made(WEB, counts=(1, 0, 1, 0)), made(WEB, counts=(1, 0, 0, 3)), made(WEB, counts=(1, 0, 0, 65535)),
        made(WEB, counts=(1, 0, 0, 1)), made(WEB + b"\0\0\x29\x04\xd0\0\0\0\0\xff\xff", counts=(1, 0, 0, 1)),
        made(WEB + b"\0\0\x29\x04\xd0\0\0\0\0\0\0" * 2, counts=(1, 0, 0, 2)),
    ],
)  # fmt: skip
def test_nonsense_is_called_so(packet):
    found = answer(packet, view())
    assert HEADER.unpack(found) == (7, 0x8181, 0, 0, 0, 0)  # FORMERR


def effort(packet: bytes) -> int:
    """How many calls an answer takes."""
    calls = [0]
    sys.setprofile(lambda frame, event, argument: calls.__setitem__(0, calls[0] + 1))
    try:
        answer(packet, view(), tcp=True)
    finally:
        sys.setprofile(None)
    return calls[0]


@pytest.mark.parametrize(
    "packet",
    [
        made(b"\1a" * 30000 + b"\0\0\1\0\1"),
        made(WEB + b"\0\0\x29\x04\xd0\0\0\0\0" + struct.pack("!H", 60000) + b"\0\1\0\0" * 15000, counts=(1, 0, 0, 1)),
        made(WEB + b"\1a" * 30000, counts=(1, 0, 0, 1)),
        made(b"".join(struct.pack("!H", 0xC000 | 10 + 2 * number) for number in range(1, 8000)) + b"\0\0\1\0\1"),
        made(WEB * 6000, counts=(6000, 0, 0, 0)),
    ],
    ids=["labels", "options", "a name behind", "pointers", "questions"],
)
def test_nobody_can_choose_how_long_we_are_busy(packet):
    assert effort(packet) < 50 * effort(made(WEB))


@pytest.mark.parametrize("packet", [b"", b"\0", HEADER.pack(7, 0x100, 1, 0, 0, 0)[:-1], made(WEB, flags=0x8180), made(b"", flags=0x8000)])
def test_to_what_is_no_question_nothing_is_said(packet):
    assert answer(packet, view()) == b""


def test_what_stands_behind_the_end_goes_nowhere():
    question = dns.message.make_query("example.com", "A").to_wire()
    assert answer(question + b"x" * 60000, view()).packet == question


def test_a_dot_within_a_label_is_no_dot():
    assert isinstance(answer(made(b"\x09web.front\0" + struct.pack("!2H", 1, 1)), view()), Query)
    assert isinstance(answer(made(b"\x04web.\0" + struct.pack("!2H", 1, 1)), view()), Query)


def test_the_answer_of_others_counts_only_to_this_very_question():
    query = asked("a.example")
    reply = dns.message.make_response(dns.message.from_wire(query.packet))
    assert query.answered_by(reply.to_wire())
    for name, kind in (("b.example", "A"), ("a.example", "AAAA"), ("a.exampl", "A"), ("a.example.x", "A")):
        other = dns.message.make_response(dns.message.make_query(name, kind))
        assert not query.answered_by(other.to_wire())
    assert not query.answered_by(query.packet) and not query.answered_by(b"") and not query.answered_by(reply.to_wire()[:20])


def test_the_answer_of_others_is_passed_on_under_our_number_and_cut_if_it_is_too_long():
    query = asked("a.example")
    question = dns.message.from_wire(query.packet)
    reply = dns.message.make_response(question)
    reply.id ^= 1
    assert dns.message.from_wire(passed_on(query, reply.to_wire())).id == question.id
    for number in range(100):
        reply.answer.append(dns.rrset.from_text(question.question[0].name, 60, "IN", "A", f"10.0.0.{number}"))
    packet = passed_on(query, reply.to_wire(max_size=65535))
    found = dns.message.from_wire(packet)
    assert len(packet) <= 512 and found.flags & dns.flags.TC and question.is_response(found) and not found.answer


# -- whatever the bytes are -------------------------------------------------------------------------------------------

SEED = dns.message.make_query("web.front", "A", use_edns=0).to_wire()


def mutated(seed: int) -> bytes:
    dice = random.Random(seed)
    packet = bytearray(SEED)
    for _ in range(dice.randint(1, 6)):
        place = dice.randrange(len(packet))
        match dice.randrange(3):
            case 0:
                packet[place] = dice.randrange(256)
            case 1:
                del packet[place : place + dice.randint(1, 4)]
            case _:
                packet[place:place] = bytes(dice.choice((0, 0xC0, 0x0C, 0x3F, 0xFF, 1)) for _ in range(dice.randint(1, 5)))
        if not packet:
            break
    return bytes(packet)


def check(packet: bytes) -> None:
    """It is answered, passed on, or not: in each case a packet that others can read, with the number that it came under."""
    found = answer(packet, view(3))
    if isinstance(found, Query):
        DNSRecord.parse(found.packet)
        assert packet.startswith(found.packet)
    elif found:
        read = dns.message.from_wire(found)
        assert found[:2] == packet[:2] and len(found) <= 512 + 65000 and read.flags & dns.flags.QR


@given(st.one_of(st.binary(max_size=600), st.integers(0, 1 << 60).map(mutated), st.binary(max_size=200).map(made)))
@settings(max_examples=1500, deadline=None)
def test_no_bytes_whatever_make_it_fail(packet):
    check(packet)


label = st.text(alphabet="abcXYZ019-_é", min_size=1, max_size=20)


@given(st.lists(label, min_size=1, max_size=5).map(".".join), st.sampled_from(["A", "AAAA", "PTR", "MX", "TXT"]), st.booleans())
@settings(max_examples=300, deadline=None)
def test_who_is_called_so_is_found_by_it_and_nobody_else(name, kind, known):
    try:
        question = dns.message.make_query(dns.name.from_text(name, idna_codec=dns.name.IDNA_2003), kind)
    except (dns.exception.DNSException, UnicodeError):
        return
    wire = question.question[0].name.to_text().rstrip(".")
    one = member(1, (wire.lower() if known else "other",), bytes((10, 0, 0, 1)))
    found = answer(question.to_wire(), View((Network([one]),)))
    assert isinstance(found, Query) != known or wire.lower() == "other"
    if known:
        read = dns.message.from_wire(found)
        assert question.is_response(read) and bool(read.answer) == (kind == "A")
