"""A cable to a bridge: one end in the container, the other one plugged in outside. See veth(4).

Its own end it sets up itself, in the child: addresses, and the way out. The cable comes from outside, as soon as there is a namespace.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lib.process import Ref, Step

EVERYTHING = {4: "0.0.0.0/0", 6: "::/0"}


@dataclass
class Veth:
    """A cable to the bridge of one network.

    ``place``, ``member``, ``facts``, ``pools``, ``deeds``, ``undos``, ``own`` are what ``state.shared.join`` takes. ``inside`` is what the
    end in the container is called, ``outside`` the other one; ``switches`` are those of the bridge's port that it is plugged into
    (``hairpin``, ``isolated``). ``gateways`` (family → address) are the ways out, if it is one.
    """

    place: str
    member: str
    facts: dict
    bridge: str
    outside: str
    inside: str = "eth0"
    mtu: int = 0
    pools: Sequence[dict] = ()
    deeds: Sequence[Sequence] = ()
    undos: Sequence[Sequence] = ()
    own: Sequence[Sequence] = ((), ())
    switches: Sequence[str] = ()
    gateways: dict[int, str] = field(default_factory=dict)

    @property
    def lease(self) -> str:
        return f"lease-{self.inside}"

    def steps(self) -> list[Step]:
        switches = [[switch, self.outside] for switch in self.switches]
        facts = self.facts | {"plugs": [["plugged", self.outside, self.bridge], *switches]}
        words = (self.place, self.member, facts, list(self.pools), list(self.deeds), list(self.undos), list(map(list, self.own)))
        cable = [["veth", self.outside, self.bridge, self.inside, "{pid}", Ref(self.lease, "mac"), self.mtu]]
        cable += switches
        gone = ("delete_link", self.outside)
        return [
            Step("clone", "clone3", (["net"], None), "own interfaces, routes, ports"),
            Step("prepare", "join", words, "an address that nobody else has; the first on a network makes its bridge", self.lease,
                 (("leave", self.place, self.member),)),
            Step("connect", "netlink", (cable,), "both ends at once, one of them already inside", undo=(gone,)),
            Step("names", "netlink", (self.own_end(),), "an address is of use only on a link that is up, and a route only with an address"),
            *self.announcements(),
        ]  # fmt: skip

    def announcements(self) -> list[Step]:
        """Of each address: who had it before may have had another link's."""
        mac, why = Ref(self.lease, "mac"), "a neighbour may know who had the address before"
        told = Step("names", "netlink", ([["tells", self.inside], ["mac", self.inside, mac]],), why)
        advertised = Step("names", "announce", (self.inside, mac, Ref(self.lease, "ipv6")), why)
        return [advertised if ":" in pool["subnet"] else told for pool in self.pools]

    def own_end(self) -> list[list]:
        """The messages that the child sends."""
        quiet = [] if any(":" in pool["subnet"] for pool in self.pools) else [["no_link_local", self.inside]]
        routes = [["route", self.inside, EVERYTHING[family], gateway] for family, gateway in self.gateways.items()]
        return [*quiet, ["up", self.inside], *map(self.address, self.pools), *routes]

    def address(self, pool: dict) -> list:
        kind = "ipv6" if ":" in pool["subnet"] else "ipv4"
        return ["address", self.inside, Ref(self.lease, kind), int(pool["subnet"].partition("/")[2])]
