"""``--network`` and the flags beside it: which networks a container is to be on, and as what. The words are Docker's."""

from __future__ import annotations

import re
from typing import NamedTuple

from lib.cli.flags.kinds import Kind

OTHERS = ("none", "host", "bridge", "default")  # and a container's: none of them is a network that somebody has made


class Attachment(NamedTuple):
    """What stands behind one ``--network``."""

    network: str
    aliases: tuple[str, ...] = ()
    ipv4: str = ""
    ipv6: str = ""
    mac: str = ""
    priority: int = 0
    interface: str = ""


def parsed(text: str) -> Attachment:
    """``front``, or ``name=front,alias=db,ip=172.20.0.5,gw-priority=1``. Raises ``ValueError``."""
    if not re.search(r"\w+=\w+(,\w+=\w+)*", text):
        return Attachment(text)
    found = Attachment("")
    for field in text.split(","):
        key, equals, value = (word.strip() for word in field.partition("="))
        if not (equals and key):
            raise ValueError(f"invalid field {field}")
        found = found._replace(**one_field(found, key.lower(), value))
    if not found.network:
        raise ValueError("network name/id is not specified")
    return found


def one_field(found: Attachment, key: str, value: str) -> dict:
    match key:
        case "name":
            return {"network": value}
        case "alias":
            return {"aliases": (*found.aliases, value)}
        case "ip" | "ip6":
            return {"ipv4" if key == "ip" else "ipv6": address(value)}
        case "mac-address":
            return {"mac": value}
        case "gw-priority":
            return {"priority": priority(value)}
        case "driver-opt" if value.partition("=")[0] == "com.docker.network.endpoint.ifname":
            return {"interface": value.partition("=")[2]}
        case "driver-opt":
            raise ValueError(f"driver-opt {value} is not done here: com.docker.network.endpoint.ifname=NAME is")
    raise ValueError(f"invalid field key {key}")


def priority(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"invalid gw-priority ({text}): invalid syntax") from None


def shortest(text: str) -> str:
    """An address, as it is written shortest. Raises ``ValueError``."""
    import ipaddress  # takes its time to load, and few type an address

    return str(ipaddress.ip_address(text.strip()))


def address(text: str) -> str:
    try:
        return shortest(text)
    except ValueError:
        raise ValueError(f'failed to parse IP: "{text}"') from None


def server(text: str) -> str:
    try:
        return shortest(text)
    except ValueError:
        raise ValueError(f"{text} is not an ip address") from None


def host(text: str) -> str:
    """``name:address`` or ``name=address``, as ``name:address``; the address may stand in brackets. Raises ``ValueError``."""
    name, _, where = text.partition("=") if "=" in text.partition(":")[0] else text.partition(":")
    if not name or not where:
        raise ValueError(f'bad format for add-host: "{text}"')
    if where == "host-gateway":
        return f"{name}:{where}"
    try:
        return f"{name}:{shortest(where.removeprefix('[').removesuffix(']'))}"
    except ValueError:
        raise ValueError(f'invalid IP address in add-host: "{where}"') from None


IP, HOST, SERVER, NETWORK = Kind("ip", address), Kind("list", host), Kind("list", server), Kind("network", parsed)

# -- all of them together -----------------------------------------------------------------------------------------------


def network(values: dict) -> dict:
    """What is written down of a container's networks, see ``engine.networks.asked``. Raises ``ValueError``."""
    asked = values["networks"] or [Attachment("default")]
    networks = [one if one.network != "default" else one._replace(network=default()) for one in asked]
    first = laid_over(networks[0], values)
    networks = [first, *networks[1:]]
    check(networks)
    mode = first.network
    return {
        "mode": mode,
        "networks": []
        if mode in ("none", "host") or is_container(mode)
        else [one._asdict() | {"aliases": list(one.aliases)} for one in networks],
        "dns": list(values["dns"]),
        "search": list(values["search"]),
        "dns_options": list(values["dns_options"]),
        "hosts": [one.split(":", 1) for one in values["hosts"]],
    }


def default() -> str:
    """The bridge, as in Docker; none where this user or this kernel can have no bridge."""
    from lib.network import possible

    return "bridge" if possible.bridges() else "none"


def is_container(mode: str) -> bool:
    return mode.startswith("container:")


def laid_over(first: Attachment, values: dict) -> Attachment:
    """The flags without a network's name are the first one's. Raises ``ValueError`` for what is said in both ways."""
    said = {"aliases": values["aliases"], "ipv4": values["ip"], "ipv6": values["ip6"], "mac": values["mac_address"]}
    words = {
        "aliases": ("--network-alias", "alias"), "ipv4": ("--ip", "IPv4 address"), "ipv6": ("--ip6", "IPv6 address"),
        "mac": ("--mac-address", "MAC address"),
    }  # fmt: skip
    for name, (flag, thing) in words.items():
        if said[name] and getattr(first, name):
            raise ValueError(f"conflicting options: cannot specify both {flag} and per-network {thing}")
    return first._replace(**{name: value for name, value in said.items() if value})


def check(networks: list[Attachment]) -> None:
    """Raises ``ValueError``, in Docker's words."""
    from lib.engine.networks.published import mac  # a help text needs none

    names = [one.network for one in networks]
    for one in networks:
        if not one.network.strip():
            raise ValueError("no name set for network")
        if names.count(one.network) > 1:
            raise ValueError(f'network "{one.network}" is specified multiple times')
        if one.mac:
            mac(one.mac)
        if one.aliases and not user_defined(one.network):
            raise ValueError("network-scoped aliases are only supported for user-defined networks")
    if len({user_defined(name) for name in names}) > 1:
        raise ValueError("conflicting options: cannot attach both user-defined and non-user-defined network-modes")


def user_defined(name: str) -> bool:
    return name not in OTHERS and not is_container(name)
