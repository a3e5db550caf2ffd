"""A change of the firewall, and how it is taken back: two texts for ``nft -f -``, each a whole transaction."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass

from lib.advice import advise
from lib.netfilter import nft
from lib.state.leases import PLACES


@dataclass(frozen=True)
class Change:
    """``name`` says for what. Both texts may be carried out twice; ``undo`` also when there is nothing (any more) to undo.

    So ``undo`` adds what it removes, within the same transaction: an older nft has no word for "remove it if it is there". And it names
    each element with its value: where another has that key by now, the kernel refuses, and the other keeps it.
    """

    name: str
    do: str
    undo: str

    @property
    def undoing(self) -> list[str]:
        """It for a record: see ``lib.state.undos``."""
        return ["nft", self.undo]


def joined(name: str, changes: Iterable[Change]) -> Change:
    """One transaction of several, undone in reverse."""
    changes = list(changes)
    return Change(name, "".join(one.do for one in changes), "".join(one.undo for one in reversed(changes)))


def apply(change: Change) -> None:
    """Raises ``OSError``; then nothing of it was done."""
    try:
        nft.carry_out(change.do)
    except OSError as error:
        reason = advise("nft", [], error)
        raise OSError(
            error.errno, f"the firewall could not be opened for {change.name}: {error.strerror}" + f"; {reason}" * bool(reason)
        ) from None


def element(table: str, kind: str, key: str, value: str = "") -> tuple[str, str]:
    """An element of a map or set, added; and removed whether it is there or not."""
    place = f"element {table} {kind} {{ {key}{' : ' * bool(value)}{value} }}\n"
    return f"add {place}", f"add {place}delete {place}"


def family(address: str) -> str:
    """``ip`` or ``ip6``, of an address or of the place of one. Raises ``ValueError``: nothing else may get into a text for nft."""
    if address in PLACES.values():
        return "ip" if address == PLACES["ipv4"] else "ip6"
    for name, number in (("ip", socket.AF_INET), ("ip6", socket.AF_INET6)):
        try:
            socket.inet_pton(number, address)
            return name
        except (OSError, ValueError):
            continue
    raise ValueError(f"{address!r} is not an IP address")
