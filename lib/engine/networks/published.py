"""``-p`` and ``-P``: which ports of the host lead to which of the container's. The words are Docker's."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lib.engine.networks.exposed import LARGEST

PROTOCOLS = ("tcp", "udp", "sctp")


def published(words: Sequence[str]) -> list[dict]:
    """``8080:80``, ``127.0.0.1:8080:80/udp``, ``80``, ``8000-8003:80-83``, ``[::1]:8080:80``, each by itself. Raises ``ValueError``."""
    return [one for word in words for one in of_word(word)]


def of_word(word: str) -> list[dict]:
    front, _, protocol = word.partition("/")
    ip, host, container = split(front)
    protocol = protocol.lower() or "tcp"
    if protocol not in PROTOCOLS:
        raise ValueError(f"invalid proto: {protocol}")
    if not container:
        raise ValueError(f"no port specified: {word}<empty>")
    first, last = bounds(container, "containerPort")
    low, high = bounds(host, "hostPort") if host else (0, 0)
    if low and last - first != high - low and last != first:
        raise ValueError(f"invalid ranges specified for container and host Ports: {container} and {host}")
    one = {"protocol": protocol, "ip": checked(ip)}
    if low and last == first:
        return [one | {"port": first, "host": [low, high]}]  # the first one that is free
    return [one | {"port": port, "host": [low + port - first] * 2 if low else [0, 0]} for port in range(first, last + 1)]


def split(text: str) -> tuple[str, str, str]:
    """Address, host's port, container's port. Raises ``ValueError``."""
    if text.startswith("["):
        ip, bracket, rest = text[1:].partition("]:")
        host, colon, container = rest.partition(":")
        if not bracket or not colon:
            raise ValueError(f"invalid port format: {text}: an IPv6 address stands before two ports, as [::1]:8080:80")
        return ip, host, container
    *ip, host, container = ["", "", *text.split(":")] if ":" not in text else ["", *text.split(":")]
    return ":".join(filter(None, ip)), host, container


def bounds(text: str, what: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    words = (first, last) if dash else (first, first)
    if not all(word.isascii() and word.isdigit() and len(word) < 6 and int(word) <= LARGEST for word in words):
        raise ValueError(f"invalid {what}: {text}")
    low, high = map(int, words)
    if high < low:
        raise ValueError(f"invalid {what}: {text}")
    return low, high


def checked(ip: str) -> str:
    import ipaddress  # takes its time to load

    try:
        return str(ipaddress.ip_address(ip)) if ip else ""
    except ValueError:
        raise ValueError(f"invalid IP address: {ip}") from None


def interface(text: str) -> str:
    """Raises ``ValueError`` for what the kernel would not take as the name of a network interface."""
    if not re.fullmatch(r"[^\s/:]{1,15}", text) or text in (".", ".."):
        raise ValueError(f"{text} cannot be the name of a network interface: 15 letters at most, without spaces, colons and slashes")
    return text


def mac(text: str) -> str:
    """Raises ``ValueError``, in Docker's words, for what is no address of a link."""
    if not re.fullmatch("([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}", text):
        raise ValueError(f"{text} is not a valid mac address")
    return text
