"""Which addresses a network is given: none that anything else on this machine uses, or leads to."""

from __future__ import annotations

import hashlib
import ipaddress
import socket
from collections.abc import Iterator, Sequence

from lib import state
from lib.network import netlink

# As Docker: fifteen networks of 65,536 addresses, then sixteen of 4,096. See RFC 1918.
DEFAULTS = [(f"172.{number}.0.0/16", 16) for number in range(17, 32)] + [("192.168.0.0/16", 20)]


def version(pool: dict) -> int:
    return 6 if ":" in pool["subnet"] else 4


def wanted(
    subnets: Sequence[str] = (), gateways: Sequence[str] = (), ranges: Sequence[str] = (), ipv4: bool = True, ipv6: bool = False,
    taken: dict[str, str] | None = None,
) -> list[dict]:  # fmt: skip
    """A pool for each subnet that is asked for, and one of ours for a family that has none. Raises ``ValueError``."""
    taken = dict(taken or {})
    asked = [parsed(one) for one in subnets]
    ipv6 = ipv6 or any(one.version == 6 for one in asked)
    found = []
    for family, on in ((4, ipv4), (6, ipv6)):
        mine = [one for one in asked if one.version == family]
        if len(mine) > 1:
            raise ValueError(f"bridge driver doesn't support multiple subnets: {', '.join(map(str, mine))}")
        if on:
            subnet = checked(mine[0], taken) if mine else free(family, taken)
            found.append(pool(subnet, gateways, ranges))
    if not found:
        raise ValueError("IPv4 or IPv6 must be enabled")
    return found


def parsed(text: str):
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        try:
            right = ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise ValueError(f"invalid subnet {text}: write it as 172.20.0.0/16") from None
        raise ValueError(f"invalid subnet {text}: it should be {right}") from None


def checked(subnet, taken: dict[str, str]):
    """A subnet that somebody wants by name. Raises ``ValueError``, in Docker's words, and says who has it."""
    if holder := overlapping(subnet, taken):
        raise ValueError(f"invalid pool request: Pool overlaps with other one on this address space: {subnet} with {holder}")
    return subnet


def overlapping(subnet, taken: dict[str, str]) -> str | None:
    for text, who in taken.items():
        other = ipaddress.ip_network(text)
        if other.version == subnet.version and other.prefixlen and other.overlaps(subnet):
            return f"{text} ({who})"
    return None


def free(family: int, taken: dict[str, str]):
    """The first of the defaults that nobody has. Raises ``ValueError``, which lists who has them."""
    in_the_way = []
    for subnet in defaults() if family == 4 else unique_locals():
        holder = overlapping(subnet, taken)
        if holder is None:
            return subnet
        if holder not in in_the_way:
            in_the_way.append(holder)
    raise ValueError(
        f"could not find an available, non-overlapping IPv{family} address pool among the defaults to assign to the network; they are "
        f"taken by {', '.join(in_the_way)}. Remove a network (network prune), or choose one yourself: --subnet 10.99.0.0/24"
    )


def defaults() -> Iterator[ipaddress.IPv4Network]:
    for text, length in DEFAULTS:
        yield from ipaddress.ip_network(text).subnets(new_prefix=length)


def unique_locals() -> Iterator[ipaddress.IPv6Network]:
    """Networks below a prefix of this store's own, which nobody else is likely to have. See RFC 4193."""
    digest = hashlib.sha256(bytes(state.store())).digest()[:5]
    prefix = int.from_bytes(b"\xfd" + digest)
    for number in range(1 << 16):
        yield ipaddress.IPv6Network((prefix << 80 | number << 64, 64))


def pool(subnet, gateways: Sequence[str], ranges: Sequence[str]) -> dict:
    """A subnet with its gateway, the first address if nobody says otherwise. Raises ``ValueError``."""
    inside = [one for one in map(address, gateways) if one.version == subnet.version]
    if inside and inside[0] not in subnet:
        raise ValueError(f"no matching subnet for gateway {inside[0]}")
    among = [one for one in map(parsed, ranges) if one.version == subnet.version]
    if among and not among[0].subnet_of(subnet):
        raise ValueError(f"no matching subnet for range {among[0]}")
    gateway = inside[0] if inside else (among[0] if among else subnet)[1]
    return {"subnet": str(subnet), "gateway": str(gateway), "range": str(among[0]) if among else ""}


def address(text: str):
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f"invalid address: {text}") from None


def routed() -> dict[str, str]:
    """Where this machine's routes lead: subnet → the link. (The default route leads everywhere, and is in nobody's way.)"""
    return netlink.asked(routes)


def routes(kernel) -> dict[str, str]:
    found = {}
    names = {link["index"]: link.get_attr("IFLA_IFNAME") for link in kernel.get_links()}
    for family in (socket.AF_INET, socket.AF_INET6):
        for route in kernel.get_routes(family=family):
            to, length = route.get_attr("RTA_DST"), route["dst_len"]
            if to and length and not ipaddress.ip_network(f"{to}/{length}").is_multicast:
                found[f"{to}/{length}"] = f"a route over {names.get(route.get_attr('RTA_OIF'), 'another table')}"
    return found
