"""Who drops a packet between a container and the outside? Each that could is looked at, and told with what to type."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import starmap
from types import ModuleType
from typing import NamedTuple

from lib.netfilter import foreign, forwarding, iptables, nft
from lib.netfilter.chains import Chain, chains
from lib.netfilter.programs import find, run
from lib.network.firewall.change import Change, apply, joined
from lib.network.firewall.table import uplinks

REPAIR = "suitcase network doctor --repair"
LETS_PASS = f'meta mark and {iptables.MARK:#x} == {iptables.MARK:#x} accept comment "suitcase"'


class Row(NamedTuple):
    """What was looked at, what was found, whether that is fine, and what to type if it is not."""

    what: str
    found: str
    fine: bool
    cure: str = ""


def doctor(expected: Sequence[Change], families: Iterable[str] = ("ip", "ip6")) -> list[Row]:
    """``expected``: the changes that should hold now, the table's first."""
    families = list(families)
    rows = [table(expected, families), *map(forwards, families), *starmap(beside, foreign.in_use().items())]
    return [*rows, *(native(chain) for chain in chains() if may_drop(chain, families)), *return_paths(), *bridged()]


def repair(expected: Sequence[Change], families: Iterable[str] = ("ip", "ip6")) -> list[list]:
    """Make again what of ours somebody has taken away. Returns the undos that this added, for the record. Raises ``OSError``."""
    undos = [undo for family in families if (undo := forwarding.undo(family))]
    for _, family, *_ in undos:
        forwarding.switch_on(family)
    apply(joined("all networks in use", expected))
    foreign.let_pass()
    return undos


def mend(expected: Sequence[Change], families: Iterable[str] = ("ip", "ip6")) -> None:
    """What a daemon does when it hears that somebody has changed rules (``netfilter.watching``): nothing, if ours are there.

    So it does not hear itself for ever. It sees that all is flushed, or that others know us no longer, and leaves the rest to ``repair``.
    """
    if not are_there(families):
        apply(joined("all networks in use", expected))
    foreign.let_pass()


def is_well(families: Iterable[str]) -> bool:
    """Whether ``mend`` would do nothing."""
    return are_there(families) and all(module.lets_pass(path) for module, path in foreign.there())


def are_there(families: Iterable[str]) -> bool:
    """The tables of these families."""
    there = {chain.family for chain in chains() if (chain.table, chain.name) == ("suitcase", "forward")}
    return there.issuperset(families)


# -- ours -----------------------------------------------------------------------------------------------------------------


def table(expected: Sequence[Change], families: Sequence[str]) -> Row:
    """The rules as they are beside the same ones made in an empty network namespace: one nft prints both, so only what differs, differs."""
    lists = "".join(f"nft -s list table {family} suitcase 2>/dev/null; " for family in families)
    there = pieces(run([find("sh"), "-c", lists])[1])
    wanted = pieces(run([find("unshare"), "-n", "sh", "-c", f"nft -f - && {lists}"], joined("", expected).do)[1])
    missing, added = [*(wanted - there).elements()], [*(there - wanted).elements()]
    if not missing and not added:
        return Row("our table", f"all {wanted.total()} lines of it are there", True)
    told = [f"{len(some)} {word}, such as '{some[0]}'" for some, word in ((missing, "missing"), (added, "too many")) if some]
    return Row("our table", "; ".join(told), False, REPAIR)


def pieces(listing: str) -> Counter[str]:
    """A listing as lines that each say where they stand; the elements of a map one by one, as their order means nothing."""
    found, place, table, within = Counter(), "", "", False
    for line in (line.strip() for line in listing.splitlines() if not line.startswith("#")):
        if header := re.fullmatch(r"(table|chain|map|set) (.*) \{", line):
            table, place = (header[2], "") if header[1] == "table" else (table, f" {header[2]}")
            continue
        within = within or line.startswith("elements = {")
        for piece in line.removeprefix("elements = {").split(",") if within else [line]:
            if words := piece.strip(" }" if within else "}"):
                found[f"{table}{place}: {words}"] += 1
        within = within and "}" not in line
    return found


def forwards(family: str) -> Row:
    what = {"ip": "forwarding of IPv4", "ip6": "forwarding of IPv6"}[family]
    if forwarding.is_on(family):
        return Row(what, "on", True)
    return Row(what, "off: the kernel hands nothing on between a container and the outside", False, REPAIR)


# -- others' ----------------------------------------------------------------------------------------------------------------


def beside(name: str, module: ModuleType) -> Row:
    """A firewall that we tell of us."""
    path = find(name)
    if path is None:
        return Row(name, "its firewall is in use, but the program is gone: it cannot be told of us", False, "install it again")
    if module.lets_pass(path):
        return Row(name, "lets pass what our table does", True)
    return Row(name, "does not know of us (any more): its policy or its rules may drop our packets", False, REPAIR)


def may_drop(chain: Chain, families: Sequence[str]) -> bool:
    """A chain of somebody's own at the forward hook, that drops what it does not accept."""
    theirs = chain.family in (*families, "inet") and chain.hook == "forward" and chain.table != "suitcase" and chain.name != "FORWARD"
    return theirs and chain.policy == "drop"


def native(chain: Chain) -> Row:
    """We never write into it; who may, is told what. Whether it has been done is seen by the name."""
    what = f"table {chain.family} {chain.table}"
    if "suitcase" in run([nft.program(), "list", "table", chain.family, chain.table])[1]:
        return Row(what, f"its chain {chain.name} knows of us", True)
    found = f"its chain {chain.name} drops what it does not accept, and nothing there accepts containers' packets"
    return Row(what, found, False, f"nft insert rule {chain.family} {chain.table} {chain.name} {LETS_PASS}")


def return_paths() -> list[Row]:
    """With rp_filter 1 an answer is dropped that comes in by another interface than a packet to its sender would go out by."""
    ways = sorted(uplinks(["ip"]))
    strict = [name for name in ways if max(forwarding.value(f"{forwarding.CONF['ip']}/{one}/rp_filter") for one in ("all", name)) == "1"]
    if len(ways) < 2 or not strict:
        return [Row("rp_filter", "drops no answers from outside", True)]
    found = (
        f"is strict on {', '.join(strict)}, though this machine has {len(ways)} ways out: answers that come by the other one are dropped"
    )
    return [Row("rp_filter", found, False, f"sysctl -w net.ipv4.conf.{strict[0]}.rp_filter=2")]


def bridged() -> list[Row]:
    """Is what a bridge hands on by itself shown to iptables? Then others' rules for forwarded packets decide on it."""
    value = forwarding.value("/proc/sys/net/bridge/bridge-nf-call-iptables")
    found = {"1": "shows iptables what goes from container to container, too: it passes by the same rules"}
    return [Row("br_netfilter", found.get(value, "is off"), True)]
