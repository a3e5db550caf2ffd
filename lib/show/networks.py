"""Networks as drawings: what is plugged into what, read from the kernel; and the way of a packet, up to the hop where it died."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field

from lib.network import netlink
from lib.show.picture import BLUE, GREEN, GREY, INK, ORANGE, PAPER, RED, Picture, arrow, box, label, svg

WIDTH, BOX, TOP = 640, 118, 46
GROUND, EDGE = "#f5f8fb", "#c9d3dd"


@dataclass
class Link:
    """An interface as the kernel tells of it: name, kind, what it is plugged into, what somebody has written on it, its addresses."""

    index: int
    name: str
    kind: str
    master: int
    alias: str
    addresses: list[str] = field(default_factory=list)


def links(kernel) -> list[Link]:
    """All but loopback. See rtnetlink(7)."""
    found = {one["index"]: link_of(one) for one in kernel.get_links() if one.get_attr("IFLA_IFNAME") != "lo"}
    for one in kernel.get_addr(family=socket.AF_INET):
        if one["index"] in found:
            found[one["index"]].addresses.append(one.get_attr("IFA_ADDRESS"))
    return sorted(found.values(), key=lambda one: one.index)


def link_of(message) -> Link:
    about = message.get_attr("IFLA_LINKINFO")
    kind = about.get_attr("IFLA_INFO_KIND") if about else ""
    name, master, alias = (message.get_attr(f"IFLA_{word}") for word in ("IFNAME", "MASTER", "IFALIAS"))
    return Link(message["index"], name, kind or "", master or 0, alias or name)


def topology(tenants: dict[str, str] | None = None, host: str = "host") -> Picture:
    """Bridges with what is plugged into them, and the ways out.

    ``tenants``: who is at the other end of a cable, by its name here; else that is what its label says (``alias`` in ip-link(8)).
    """
    there, tenants = netlink.asked(links), tenants_of_ours() | (tenants or {})
    for one in there:
        one.name = networks_of_ours().get(one.name, one.name) if one.kind == "bridge" else one.name
    bridges = [one for one in there if one.kind == "bridge"]
    ways_out = [one for one in there if one.kind != "bridge" and not one.master]
    parts, words, x = [], [], 20
    for bridge in bridges:
        plugged = sorted(tenants.get(one.name, one.alias) for one in there if one.master == bridge.index)
        wide = max(1, len(plugged)) * (BOX + 8) - 8
        parts += switch(bridge, x, wide)
        for number, name in enumerate(plugged):
            parts += tenant(name, x + number * (BOX + 8))
        words.append(f"bridge {at(bridge)} with {', '.join(plugged) or 'nobody'}")
        x += wide + 26
    wide = max(x - 6, 20 + len(ways_out) * 190, 320)
    frame = [box(8, TOP, wide, 108, GROUND, EDGE), label(20, TOP + 20, host, INK, weight="bold", size=14)]
    for number, one in enumerate(ways_out):
        frame += way_out(one, 90 + number * 190)
    alt = f"{host}: {'; '.join(words) or 'no bridge'}; ways out: {', '.join(map(at, ways_out)) or 'none'}."
    return svg(max(wide + 16, 340), 246, frame + parts, alt)


def at(link: Link) -> str:
    return " ".join([link.name, *link.addresses])


def switch(bridge: Link, x: int, wide: int) -> list[str]:
    middle = x + wide // 2
    words = [bridge.name, *bridge.addresses[:1]]
    lines = [" ".join(words)] if wide > 220 else words
    first = TOP + (76 if len(lines) == 1 else 68)
    names = [label(middle, first + 16 * row, text, PAPER, "middle", "bold", 13) for row, text in enumerate(lines)]
    return [box(x, TOP + 48, wide, 46, BLUE), *names]


def tenant(name: str, x: int) -> list[str]:
    """A container below its switch, on a cable."""
    name, _, address = name.partition(" ")
    middle = x + BOX // 2
    cable = f'<line x1="{middle}" y1="{TOP + 94}" x2="{middle}" y2="{TOP + 136}" stroke="{INK}" stroke-width="2"/>'
    words = [label(middle, TOP + (156 if address else 165), name, PAPER, "middle", "bold", 14 if len(name) < 13 else 12)]
    words += [label(middle, TOP + 174, address, PAPER, "middle", size=13)] if address else []
    return [cable, box(x, TOP + 136, BOX, 48, GREEN), *words]


def way_out(link: Link, x: int) -> list[str]:
    middle = x + 85
    cable = f'<line x1="{middle}" y1="30" x2="{middle}" y2="{TOP + 8}" stroke="{INK}" stroke-width="2"/>'
    return [label(middle, 22, " ".join(link.addresses), INK, "middle", size=13), cable, *plate(link.name, x + 40, TOP + 8)]


def plate(name: str, x: int, y: int) -> list[str]:
    return [box(x, y, 90, 26, ORANGE), label(x + 45, y + 18, name, PAPER, "middle", "bold", 13)]


def tenants_of_ours() -> dict[str, str]:
    """Who is at the other end of each cable of ours: its name and its address."""
    from lib import network
    from lib.network.bridges import cable_name

    return {
        cable_name(one, ident): f"{member['name']} {member['ipv4'] or member['ipv6']}"
        for one in network.every()
        for ident, member in one.members.items()
    }


def networks_of_ours() -> dict[str, str]:
    """Bridges of ours by their name in the kernel: which network each one is."""
    from lib import network

    return {one.bridge: one.name for one in network.every()}


# -- a packet's way -----------------------------------------------------------------------------------------------------

LOOKS = {"passed": (GREEN, "✓"), "died": (RED, "✕"), "never": (GREY, "–")}


def path(hops: Sequence[tuple[str, str, str]], says: str) -> Picture:
    """A packet's way from left to right: each hop with its name, what was seen there, and what became of the packet.

    ``passed``, ``died`` or ``never`` (it did not get so far).
    """
    step = (WIDTH - 8) // len(hops)
    parts = []
    for number, (name, seen, fate) in enumerate(hops):
        x, (colour, sign) = 8 + number * step, LOOKS[fate]
        parts += [arrow(x - 20, 44, x - 2, 44)] if number else []
        parts += [box(x, 18, step - 22, 52, colour), *titled(x + (step - 22) // 2, f"{sign} {name}")]
        parts += [label(x, 92 + 18 * row, line, INK, size=13) for row, line in enumerate(seen.split("\n")) if line]
    lowest = max(seen.count("\n") for _, seen, _ in hops)
    words = "; ".join(f"{name}: {fate}" + f" ({seen.replace(chr(10), ' ')})" * bool(seen) for name, seen, fate in hops)
    parts.append(label(8, 128 + 18 * lowest, says, INK, weight="bold", size=14))
    return svg(WIDTH, 142 + 18 * lowest, parts, f"The way of a packet. {words}. {says}")


def titled(middle: int, name: str) -> list[str]:
    """Whose place it is, and below that which one."""
    who, _, what = name.partition(": ")
    return [label(middle, 40, who, PAPER, "middle", "bold", 14), label(middle, 59, what, PAPER, "middle", size=13)]
