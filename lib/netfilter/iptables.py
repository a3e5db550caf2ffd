"""iptables in its four back ends: one rule of ours in each that is in use.

It stands at the head of DOCKER-USER (which dockerd keeps for others' rules) or else of FORWARD, whose policy is often DROP. It lets pass
only what our own table has marked before, so it opens nothing that we have not decided on; and where our table has been flushed, it opens
nothing at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from lib.netfilter.chains import Chain
from lib.netfilter.programs import run

MARK = 0x1000  # the bit that our table sets on what it lets pass, between its two chains of the forward hook; elsewhere it is as it was
RULE = f"-m mark --mark {MARK:#x}/{MARK:#x} -m comment --comment suitcase -j ACCEPT".split()
FAMILIES = {"iptables": "ip", "ip6tables": "ip6"}
DOCKERS = "DOCKER-USER"


def in_use(chains: Iterable[Chain]) -> list[str]:
    """The programs whose chain FORWARD is there. Asking them would bring their tables into being; so they are not asked."""
    there = {chain.family for chain in chains if (chain.table, chain.name) == ("filter", "FORWARD")}
    found = [f"{name}-nft" for name, family in FAMILIES.items() if family in there]
    return found + [f"{name}-legacy" for name, family in FAMILIES.items() if "filter" in legacy_tables(family)]


def legacy_tables(family: str) -> list[str]:
    """None on a kernel without them; nor can a user's own network have any, whose list belongs to a root that is nobody in there."""
    with suppress(FileNotFoundError, PermissionError), open(f"/proc/thread-self/net/{family}_tables_names") as file:
        return file.read().split()
    return []


def lets_pass(path: str) -> bool:
    return "--comment suitcase" in ask(path, "-S", chain_for_us(path), "1").replace('"', "")


def let_pass(path: str) -> None:
    """Put the rule where it is missing, or is no longer the first."""
    if not lets_pass(path):
        chain = chain_for_us(path)
        remove(path, chain)
        ask(path, "-I", chain, *RULE)


def withdraw(path: str) -> None:
    """Take the rule away, wherever it is."""
    for chain in (DOCKERS, "FORWARD"):
        remove(path, chain)


def chain_for_us(path: str) -> str:
    """DOCKER-USER, if packets come there."""
    return DOCKERS if f"-j {DOCKERS}" in ask(path, "-S", "FORWARD") else "FORWARD"


def remove(path: str, chain: str) -> None:
    while ask(path, "-D", chain, *RULE, absent=1) is not None:
        pass


def ask(path: str, *words: str, absent: int | None = None) -> str | None:
    """What it says; None if it ends with the code for "there is no such rule or chain". Raises ``OSError``: another has its lock, say."""
    code, said = run([path, "-w", "10", *words])
    if code and code != absent:
        raise OSError(f"{' '.join([path, *words])}: {said.strip()}")
    return None if code else said
