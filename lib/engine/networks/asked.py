"""What the facts of a container say of networks, as ``Container`` takes it.

``facts["network"]`` is ``{"mode", "networks", "dns", "search", "dns_options", "hosts"}``, and ``links`` if there are any. The mode is
Docker's word: ``none``, ``host``, ``container:NAME``, else the first network's name; ``networks`` are the words of ``network.Wish``.
"""

from __future__ import annotations

from collections.abc import Sequence

from lib import linux
from lib.engine import finding
from lib.engine.pipes import run_folder
from lib.engine.vitality import alive
from lib.ingredients import Join
from lib.network import Network, Wish, Wishes, find
from lib.network.connecting import Connection, way_out
from lib.network.pools import version
from lib.state import kept, leases


def of(facts: dict, ports: Sequence[dict] = ()) -> Wishes | Borrowed:
    """``ports`` are those that it is to have, held already. Raises ``NoSuchContainer``, ``ValueError``."""
    asked = facts["network"]
    if asked["mode"].startswith("container:"):
        return Borrowed(asked["mode"].partition(":")[2])
    wishes = [Wish(**one) for one in asked["networks"]]
    hosts = [tuple(line) for line in asked["hosts"]]
    return Wishes(
        wishes, asked["dns"], asked["search"], asked["dns_options"], hosts, ports, facts.get("id", ""), str(run_folder(facts["id"])),
        asked.get("links") or (),
    )  # fmt: skip


class Borrowed:
    """The network of another container: its interfaces, its loopback, its ports, and what its files say of names."""

    def __init__(self, name: str):
        self.name = name

    def connection(self, *_) -> Connection:
        """Raises ``ValueError`` if that one does not run: a namespace lives only as long as somebody is in it."""
        facts = finding.current(self.name)
        if not alive(facts):
            raise ValueError(f"cannot join network of a non running container: {facts['id']}")
        files = kept.place(facts) / "scratch-files"
        lines = [line.split() for line in linux.read(str(files / "hosts")).splitlines() if not line.startswith(("127.0.0.1", "::1"))]
        own = [(address, " ".join(names)) for address, *names in lines]
        return Connection([], linux.read(str(files / "resolv.conf")), own, Join(facts["state"]["pid"], ("net",)))


def on(facts: dict) -> list[tuple[Wish, Network]]:
    """The networks that a container is on, and what it has asked of each."""
    return [(Wish(**one), find(one["network"])) for one in facts["network"]["networks"]]


def endpoints(facts: dict) -> dict[str, dict]:
    """Of a container that has just joined its networks: under each one's name what it has there, for ``inspect`` and for the relay."""
    found, there = {}, on(facts)
    leading = way_out(there)
    for _, network in there:
        member = leases.one_of(network.alive, facts["id"][: kept.SHORT])  # there may be hundreds of others
        found[network.name] = {
            "id": network.id, "gateway": network.gateway(4) or "", "gateway6": network.gateway(6) or "", "aliases": member["aliases"],
            "leads": network is leading,  # its ports are published over this one
            "lengths": {str(version(pool)): int(pool["subnet"].partition("/")[2]) for pool in network.pools},
            **{name: member.get(name, "") for name in ("ipv4", "ipv6", "mac")},
        }  # fmt: skip
    return found
