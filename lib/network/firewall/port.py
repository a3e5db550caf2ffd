"""A published port: one element of a map, whatever else there is."""

from __future__ import annotations

import ipaddress

from lib.network.firewall.change import Change, element, family

ANY = {"ip": "0.0.0.0", "ip6": "::"}
PROTOCOLS = ("tcp", "udp", "sctp")


def published(protocol: str, host_ip: str, host_port: int, address: str, port: int) -> Change:
    """Who sends to ``host_port`` of this host is answered by the container's ``port``. ``host_ip``: at this address of the host's alone.

    By 127.0.0.1 and ::1 no packet is ever translated; there a relay listens. So for those nothing is to be changed here.
    """
    ip, name = family(address), f"port {host_port}/{protocol} of {address}"
    check(protocol, host_port, port)
    if family(host_ip or ANY[ip]) != ip:
        raise ValueError(f"{name}: packets to {host_ip} cannot be translated to an address of the other family")
    at = ipaddress.ip_address(host_ip or ANY[ip])
    if at.is_loopback:
        return Change(name, "", "")
    kind, key = ("everywhere", [protocol]) if at.is_unspecified else ("ports", [protocol, str(at)])
    return Change(name, *element(f"{ip} suitcase", kind, " . ".join([*key, str(host_port)]), f"{address} . {port}"))


def check(protocol: str, *ports: int) -> None:
    if protocol not in PROTOCOLS:
        raise ValueError(f"{protocol!r} has no ports that could be published: only {', '.join(PROTOCOLS)}")
    for port in ports:
        if not 0 < port < 1 << 16:
            raise ValueError(f"{port} is not a port: they go from 1 to 65535")
