"""firewalld with its own table of nftables: what it does not know it rejects. It has a zone for interfaces that may do everything.

So may the containers' bridges, as dockerd's: our own table still decides on them. As with dockerd's the rule is gone after a reload.
"""

from __future__ import annotations

from collections.abc import Iterable

from lib.netfilter.chains import Chain
from lib.netfilter.programs import run

COMMAND = "firewall-cmd"
TABLE = "firewalld"


def in_use(chains: Iterable[Chain]) -> list[str]:
    return [COMMAND] if any(chain.table == TABLE for chain in chains) else []


def lets_pass(path: str) -> bool:
    return zone(path, "query")[0] == 0


def let_pass(path: str) -> None:
    if not lets_pass(path):
        code, said = zone(path, "add")
        if code:
            raise OSError(f"{path}: {said.strip()}")


def withdraw(path: str) -> None:
    zone(path, "remove")


def zone(path: str, verb: str) -> tuple[int, str]:
    """For every interface whose name begins as ours do."""
    return run([path, "--zone=trusted", f"--{verb}-interface=suitcase+"])
