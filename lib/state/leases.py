"""Addresses that nobody else has, out of a network's pools. Only who holds the network's lock may take one. See ``shared``."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

MEMBERS, ADDRESSES = "members", "addresses"
PLACES = {"ipv4": "<ipv4>", "ipv6": "<ipv6>"}  # where an address comes, in what is written down before there is one


def leased(where: Path, member: str, facts: dict, pools: Sequence[dict]) -> dict:
    """An address of each pool, which nobody else has; of a family without one it is empty."""
    taken, found = set(os.listdir(where / ADDRESSES)), dict.fromkeys(PLACES, "")
    for pool in pools:
        kind, one = chosen(pool, taken, facts.get("network", ""), where)
        (where / ADDRESSES / one).write_text(member)
        found[kind] = one
    address = found["ipv4"] or found["ipv6"]
    return found | ({"mac": facts.get("mac") or mac_of(address)} if address else {})


def mac_of(address: str) -> str:
    """An address of the link made of one of the network: the same again whenever that is given again, so no neighbour's table is wrong."""
    import ipaddress  # it is large, and a daemon that only undoes needs none

    last = ipaddress.ip_address(address).packed[-4:]
    return ":".join(f"{byte:02x}" for byte in b"\x02\x42" + last)


def chosen(pool: dict, taken: set[str], network: str, where: Path) -> tuple[str, str]:
    """The address that is wanted, or the first that is free. Raises ``OSError``, in Docker's words and with who has it."""
    import ipaddress

    subnet = ipaddress.ip_network(pool["subnet"])
    kind, want = f"ipv{subnet.version}", pool.get("want")
    if want:
        if want in taken or want == pool["gateway"]:
            who = "the network's gateway" if want == pool["gateway"] else f"container {holder(where, want)}"
            raise OSError(errno.EADDRINUSE, f"Address already in use: {want} belongs to {who}")
        return kind, want
    among = ipaddress.ip_network(pool.get("range") or pool["subnet"])
    unusable = {str(subnet.network_address), str(subnet.broadcast_address) if subnet.version == 4 else "", pool["gateway"]}
    if (one := first_free(among, taken | unusable)) is None:
        who = ", ".join(sorted(facts["name"] for facts in everybody(where).values()))
        raise OSError(
            errno.EADDRNOTAVAIL, f"no available {kind.replace('ip', 'IP')} address on network {network} ({among}): taken by {who}"
        )
    return kind, one


def first_free(among, taken: set[str]) -> str | None:
    """At most one more than are taken has to be looked at."""
    for offset in range(min(among.num_addresses, len(taken) + 1)):
        if (one := str(among[offset])) not in taken:
            return one
    return None


def holder(where: Path, address: str) -> str:
    with suppress(OSError, ValueError):
        member = (where / ADDRESSES / address).read_text()
        return json.loads((where / MEMBERS / member).read_bytes()).get("name", member)
    return "unknown"


def everybody(where: Path) -> dict[str, dict]:
    """The members of what several share, and what each has; one who leaves while we look is left out."""
    found = {}
    with suppress(FileNotFoundError):
        for name in sorted(name for name in os.listdir(where / MEMBERS) if not name.startswith(".")):
            with suppress(FileNotFoundError, ValueError):
                found[name] = json.loads((where / MEMBERS / name).read_bytes())
    return found


def one_of(where: Path, member: str) -> dict:
    """What one member has. Raises ``FileNotFoundError`` if it is none."""
    return json.loads((where / MEMBERS / member).read_bytes())
