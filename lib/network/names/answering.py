"""A question and an answer are packets, so answering is a function: bytes and what somebody knows in, bytes out. See RFC 1035.

Whatever the bytes are, it never raises. Only the question is read, and the one record after it that says how long an answer may be
(EDNS, RFC 6891): who sends a thousand records, to keep us busy, has broken off at the first.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from dnslib import AAAA, EDNS0, OPCODE, PTR, QTYPE, RCODE, RR, A, DNSBuffer, DNSHeader, DNSLabel, DNSQuestion, DNSRecord

from lib.network.names.zone import View

HEADER = struct.Struct("!6H")  # id, flags, and how many questions, answers, authorities, more
OPTIONS = struct.Struct("!BHHIH")  # a name that is empty, a type, how long an answer may be, flags, and how long the rest is
SHORTEST, LONGEST = 512, 65000  # bytes of an answer over UDP, if nothing is said, and whatever is said
FRAME = 65535  # and over TCP
IN, ANY = 1, 255
ADDRESSES = {QTYPE.A: 4, QTYPE.AAAA: 16}  # bytes of an address of each type
OURS = 1232  # bytes that we say we take over UDP ourselves: no network cuts them up
TTL = 0  # seconds that one may remember an answer of ours: the next moment another may have the name


class Query(NamedTuple):
    """A question that makes sense. ``packet`` is as it came, without what stood behind its end."""

    packet: bytes
    question: DNSQuestion
    end: int  # of the question in the packet
    limit: int  # bytes that the answer may have
    edns: bool

    @property
    def ident(self) -> bytes:
        return self.packet[:2]

    @property
    def name(self) -> str:
        """As it is looked up; what no container can be called (a dot within a label) is found by nobody."""
        labels = self.question.qname.label
        return "" if any(b"." in one for one in labels) else b".".join(labels).decode(errors="replace").lower()

    @property
    def asked(self) -> bytes:
        """The question itself, as it stands in the packet; a name's capitals do not count."""
        return self.packet[HEADER.size : self.end - 4].lower() + self.packet[self.end - 4 : self.end]

    def answered_by(self, packet: bytes) -> bool:
        """Is this an answer to this question, and not to another one, or to nobody's?"""
        if len(packet) < self.end or not packet[2] & 0x80 or packet[4:6] != b"\0\1":
            return False
        return self._replace(packet=packet).asked == self.asked


class Nonsense(ValueError):
    """What is no question, or none that we take; ``answer`` says so, and is empty where one had better be silent."""

    def __init__(self, packet: bytes, rcode: int | None = None):
        super().__init__(RCODE.get(rcode) if rcode is not None else "no question")
        self.answer = b"" if rcode is None else refusal(packet, rcode)


def refusal(packet: bytes, rcode: int) -> bytes:
    """An answer that says no more than why there is none."""
    ident, flags = struct.unpack_from("!2H", packet)
    return HEADER.pack(ident, 0x8000 | flags & 0x7900 | 0x0080 | rcode, 0, 0, 0, 0)


def understood(packet: bytes, tcp: bool) -> Query:
    """The question in a packet. Raises ``Nonsense``."""
    if len(packet) < HEADER.size or packet[2] & 0x80:  # too short for an answer; or an answer itself, and two servers would talk for ever
        raise Nonsense(packet)
    _, flags, questions, answers, authorities, more = HEADER.unpack_from(packet)
    if flags >> 11 & 0xF != OPCODE.QUERY:
        raise Nonsense(packet, RCODE.NOTIMP)
    if questions != 1 or answers or authorities or more > 1:
        raise Nonsense(packet, RCODE.FORMERR)
    try:
        query = parsed(packet, more, tcp)
    except Exception as error:  # of any kind: what dnslib thinks of bytes that somebody has thought up
        raise Nonsense(packet, RCODE.FORMERR) from error
    if query.question.qclass not in (IN, ANY):
        raise Nonsense(packet, RCODE.REFUSED)
    return query


def parsed(packet: bytes, more: int, tcp: bool) -> Query:
    """Raises what there is to raise. Nothing is taken apart that could be of any length: a sender would choose how long that takes us."""
    end = end_of_name(packet) + 4
    buffer = DNSBuffer(packet[:end])
    buffer.offset = HEADER.size
    question, limit = DNSQuestion.parse(buffer), SHORTEST
    if more:
        name, kind, limit, _, rest = OPTIONS.unpack_from(packet, end)
        if name or kind != QTYPE.OPT or len(packet) < end + OPTIONS.size + rest:
            raise ValueError("no size")
        limit = min(max(limit, SHORTEST), LONGEST)
    whole = packet[: end + (OPTIONS.size + rest if more else 0)]
    return Query(whole, question, end, FRAME if tcp else limit, bool(more))


def end_of_name(packet: bytes) -> int:
    """Where the first name of a packet ends; there is nothing before it that it could point at. Raises ``ValueError``, ``IndexError``."""
    at = HEADER.size
    while size := packet[at]:
        at += size + 1
        if size > 63 or at - HEADER.size > 254:
            raise ValueError("a pointer, or a name too long")
    return at + 1


def looked_up(query: Query, view: View) -> list[RR] | None:
    """What this container knows of it; None if somebody else has to be asked.

    Who is known by a name, but has no address of the type that was asked for, or nothing of that type at all, is not unknown: the answer is
    empty. Else a program that asks for IPv6 first would hear that there is no such name.
    """
    name, kind = query.name, query.question.qtype
    if kind == QTYPE.PTR and (host := view.pointed_at(name)):
        return [record(query, QTYPE.PTR, PTR(DNSLabel(host.encode().split(b"."))))]
    if (found := view.find(name)) is not None:
        return [record(query, len(one), one) for one in found if kind in (ANY, *types_of(one))]
    alone = view.ndots and kind in ADDRESSES and "." not in name and name
    return [] if alone else None


def types_of(address: bytes) -> list[int]:
    return [kind for kind, size in ADDRESSES.items() if size == len(address)]


def record(query: Query, kind: int, data) -> RR:
    if isinstance(data, bytes):
        kind, data = types_of(data)[0], (A if len(data) == 4 else AAAA)(tuple(data))
    return RR(query.question.qname, kind, IN, TTL, data)


def packed(query: Query, records: list[RR], turn: int = 0) -> bytes:
    """The answer; who has several addresses comes first in turn. What is too long is cut, and marked: the client comes back by TCP."""
    if records:
        turn %= len(records)
        records = records[turn:] + records[:turn]
    answer = reply(query, records)
    while len(answer) > query.limit and records:
        records = records[: len(records) * query.limit // len(answer)]
        answer = reply(query, records, cut=1)
    return answer


def reply(query: Query, records: list[RR], cut: int = 0) -> bytes:
    ident, flags = struct.unpack_from("!2H", query.packet)
    header = DNSHeader(ident, 0, qr=1, rd=flags >> 8 & 1, cd=flags >> 4 & 1, ra=1, tc=cut)
    more = [EDNS0(udp_len=OURS)] if query.edns else []
    return bytes(DNSRecord(header, [query.question], records, ar=more).pack())


def passed_on(query: Query, answer: bytes) -> bytes:
    """Somebody else's answer as that to this query: under its own number, and no longer than it may be."""
    if len(answer) <= query.limit:
        return query.ident + answer[2:]
    return query.ident + bytes((answer[2] | 0x02, answer[3])) + b"\0\1" + bytes(6) + answer[HEADER.size : query.end]


def answer(packet: bytes, view: View, tcp: bool = False, turn: int = 0) -> bytes | Query:
    """The answer to a packet, empty where one had better be silent; or the ``Query``, if this is for somebody else to know."""
    try:
        query = understood(packet, tcp)
        records = looked_up(query, view)
        return query if records is None else packed(query, records, turn)
    except Nonsense as nonsense:
        return nonsense.answer
