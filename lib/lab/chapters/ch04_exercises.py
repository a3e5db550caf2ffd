"""The exercises of chapter 4. A check sends packets, and says which did not arrive."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO

from dnslib import DNSRecord

from lib import network
from lib.lab.chapters import ch04
from lib.lab.chapters.exercises import Exercise, NotYet, in_kind
from lib.lab.chapters.places import Place, cable
from lib.lab.chapters.wires import probes

# -- 1: a router -----------------------------------------------------------------------------------------------------------


@contextmanager
def two_offices(left: int, right: int) -> Iterator[list[Place]]:
    """Two offices and a machine with a foot in both. The cables are laid; nobody knows the way."""
    places = [Place(name) for name in ("left", "router", "right")]
    try:
        for place, net in ((places[0], left), (places[2], right)):
            cable(places[1], place.name, place, "eth0", [f"10.{net}.0.2/24"])
            places[1].ip(f"addr add 10.{net}.0.1/24 dev {place.name}")
        places[1].sysctl("ipv4/ip_forward", "0")
        yield places
    finally:
        for place in places:
            place.close()


def check_router(connect, left: int, right: int) -> str:
    if not callable(connect):
        raise NotYet(f"the answer must be a function connect(left, router, right), and this is {in_kind(connect)}")
    with two_offices(left, right) as (one, router, other):
        connect(one, router, other)
        if (said := one(probes.routed, f"10.{right}.0.2")) != f"10.{left}.0.2":
            raise NotYet(f"left asks for 10.{right}.0.2 and is told: {said}. It has no route, so nothing was sent")
        if one(probes.pinged, f"10.{right}.0.1") != "answered":
            raise NotYet(f"left sends, but not to the router: its address on that side is 10.{left}.0.1")
        if (said := other(probes.routed, f"10.{left}.0.2")) != f"10.{right}.0.2":
            raise NotYet(f"left's packet may arrive, but right does not know the way back to 10.{left}.0.2: {said}")
        if one(probes.pinged, f"10.{right}.0.2") != "answered":
            raise NotYet("both know the way, and the router throws away what is not addressed to itself")
    return "two offices, one router, no NAT: that's the Internet as it was meant. The rest of it is more of the same"


# -- 2: a door for the right people ------------------------------------------------------------------------------------------


def check_door(line, called: str, port: int) -> str:
    """Start the container that the reader describes, and try to get in from three sides."""
    if not isinstance(line, str):
        raise NotYet(f"the answer must be a text, what follows after suitcase run -d, and this is {in_kind(line)}")
    host, laptop, _ = ch04.world()
    ch04.tidy()
    try:
        with host, redirect_stdout(StringIO()), redirect_stderr(StringIO()) as wrong:
            network.create("shop-back")
            ch04.up("--name shop --network shop-back shop")
            ch04.up(line)
        if wrong.getvalue():
            raise NotYet(f"it does not start: {wrong.getvalue().strip().splitlines()[0]}")
        if (said := ch04.ask("shop", called)) != "3 orders":
            raise NotYet(f"the shop, which is on the network shop-back, asks for {called} and hears: {said}")
        if (said := host(probes.fetched, f"http://127.0.0.1:{port}")) != "3 orders":
            raise NotYet(f"on the host, 127.0.0.1:{port} says: {said}")
        if laptop(probes.fetched, f"http://{ch04.LAN}.1:{port}") == "3 orders":
            raise NotYet("Bob's laptop gets in, and so does everybody in the office: to which address of the host is it published?")
    finally:
        ch04.tidy()
    return "open for the shop, open for whoever is on the host, and on Monday the products are called what they were called on Friday"


# -- 3: several addresses ------------------------------------------------------------------------------------------------------


def check_several(answer, word: str, addresses: list[str]) -> str:
    """Ask for a name with several addresses, for one that nobody has, and for an address of IPv6."""
    if not callable(answer):
        raise NotYet(f"the answer must be a function answer(question, book), and this is {in_kind(answer)}")
    reply = told(answer, word, "A", {word: addresses})
    came = [str(one.rdata) for one in reply.rr]
    if sorted(came) != sorted(addresses):
        raise NotYet(f"{word} has the addresses {', '.join(addresses)}, and the reply holds {', '.join(came) or 'none'}")
    if {str(one.rname).rstrip(".") for one in reply.rr} != {word}:
        raise NotYet("an answer in it is about a different name: 0xC00C points to the name in the question, twelve bytes in")
    if told(answer, "nobody", "A", {word: addresses}).header.rcode != 3:
        raise NotYet("a name that is not in the book must be answered with error 3, NXDOMAIN")
    reply = told(answer, word, "AAAA", {word: addresses})
    if reply.header.rcode or reply.rr:
        raise NotYet("who asks for an address of IPv6 (type 28) must hear that the name is known and has none: no error, no answer")
    return "that's how a name becomes a load balancer. Shuffle the list each time, and you've got all of Docker's"


def told(answer, name: str, kind: str, book: dict) -> DNSRecord:
    question = DNSRecord.question(name, kind)
    question.header.id = 0x1234
    packet = answer(bytes(question.pack()), book)
    if not isinstance(packet, bytes):
        raise NotYet(f"a postcard is bytes, and this is {in_kind(packet)}")
    try:
        reply = DNSRecord.parse(packet)
    except Exception as error:
        counted = struct.unpack(">H", packet[6:8])[0] if len(packet) >= 8 else 0
        raise NotYet(
            f"the reply cannot be read ({error}): its head says {counted} answers, and each must be there, 16 bytes long"
        ) from None
    if reply.header.id != 0x1234 or not reply.header.qr:
        raise NotYet("the reply must begin with the question's number, and say that it is a reply")
    return reply


def exercises() -> list[Exercise]:
    """The chapter's exercises with fresh numbers."""
    return [
        Exercise(
            "router", "two offices and a router", check_router,
            ["Three things were missing in section 3 until the first answer came. Here there are three, too, and none of them is NAT.",
             "left.ip(\"route add default via …\") tells left where everything else goes; right needs one as well.",
             "router.sysctl(\"ipv4/ip_forward\", \"1\") makes the one in the middle a router."],
            lambda dice: dict(zip(("left", "right"), dice.sample(range(50, 250), 2), strict=True)),
        ),
        Exercise(
            "door", "a database for the shop and the host, and for nobody else", check_door,
            ["The shop finds it by name if both are on one network: --name, --network.",
             "-p has three parts: -p ADDRESS:PORT:80. Which address of the host can nobody else call?"],
            lambda dice: {"called": f"db{dice.randrange(100, 1000)}", "port": dice.randrange(5400, 5500)},
        ),
        Exercise(
            "several", "a name with several addresses", check_several,
            ["Begin with a copy of mini.answer: book.get(name) is a list now, or None.",
             "The head counts the answers: found must be their number. One record per address, one after the other.",
             "b\"\".join(struct.pack(…) for address in addresses) makes the records."],
            lambda dice: {
                "word": dice.choice(["search", "finder", "index"]),
                "addresses": [f"10.44.0.{number}" for number in dice.sample(range(2, 250), dice.randrange(2, 5))],
            },
        ),
    ]  # fmt: skip
