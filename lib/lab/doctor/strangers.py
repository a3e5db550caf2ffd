"""Networks that somebody else's containers are on just now: what the kernel has of them, and what is noted of them, is no leak of ours."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lib import state
from lib.network import alive, netlink
from lib.state import leases

SHORT = 6  # digits of a network's id in its bridge's name
CHAINS = ("leaving-", "entering-", "translating-")  # of a network: each bears its bridge's name


@dataclass(frozen=True)
class Strangers:
    """``links`` are their interfaces, ``folders`` what is noted of them. The rules that all networks share are theirs, if there are any."""

    links: frozenset[str] = frozenset()
    folders: frozenset[str] = frozenset()

    def has_rule(self, line: str) -> bool:
        """Is it theirs? Of a rule that names a bridge, whoever has the bridge."""
        for chain in CHAINS:
            line = line.replace(chain, " ")
        named = [word for word in line.replace('"', " ").split() if word.startswith("suitcase-")]
        return bool(self.links) and (not named or any(word in self.links for word in named))


def strangers() -> Strangers:
    """Those of other run folders, and in ours those whose containers have a record that another process has made."""
    ours, own = state.runtime_dir() / "networks", state.Owner.current().name
    theirs = {facts["id"] for facts in state.records() if facts["maker"] != own}
    found = [ident for ident in everywhere() if not (ours / ident).exists() or leases.everybody(ours / ident).keys() & theirs]
    if not found:
        return Strangers()
    names = {f"suitcase-{ident[:SHORT]}" for ident in found}
    return Strangers(frozenset(names | ports(names)), frozenset({str(ours / ident) for ident in found} | set(map(str, commons()))))


def shared() -> Path:
    """Where all who have networks on this machine note what they share."""
    return Path(alive.common("")).parent


def commons() -> list[Path]:
    """What is noted there of the network namespace that we are in."""
    with suppress(FileNotFoundError):  # the last one of all who have networks here takes the folder away
        return list(shared().glob(f"{alive.here()}-*"))
    return []


def everywhere() -> set[str]:
    """The ids of all networks that are alive in the network namespace that we are in, whoever has made them."""
    return {name for place in commons() for name in leases.everybody(place)}


def ports(names: set[str]) -> set[str]:
    """The links that are plugged into these bridges."""
    links = netlink.asked(lambda kernel: list(kernel.get_links()))
    masters = {link["index"] for link in links if link.get_attr("IFLA_IFNAME") in names}
    return {link.get_attr("IFLA_IFNAME") for link in links if link.get_attr("IFLA_MASTER") in masters}
