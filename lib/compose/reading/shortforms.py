"""The short forms: ``8080:80/udp``, ``./data:/data:ro``, ``/dev/a:/dev/b:r``, and a command as one text."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Any

from lib.compose.reading.nodes import ComposeError, Node, as_text

PROPAGATIONS = ("rprivate", "private", "rshared", "shared", "rslave", "slave")
DRIVE = re.compile(r"[a-zA-Z]")


def _long(node: Node, found: dict[str, Any]) -> Node:
    """A mapping whose values all come from this node's place."""
    return node.like({key: _long(node, value) if isinstance(value, dict) else node.like(value) for key, value in found.items()})


# -- ports -------------------------------------------------------------------------------------
def ports_from(node: Node) -> list[Node]:
    """The long form of one entry of ``ports``; a range of ports is several. Raises: ComposeError."""
    try:
        found = list(_ports(as_text(node.value)))
    except ValueError as error:
        raise ComposeError(f"'{as_text(node.value)[:60]}' is no port: {error}", node.place) from None
    return [_long(node, port) for port in found]


def _ports(text: str) -> Iterator[dict[str, Any]]:
    rest, _, container = text.rpartition(":")
    ip, _, host = rest.rpartition(":")
    container, _, protocol = container.partition("/")
    protocol = protocol.lower() or "tcp"
    if protocol not in ("tcp", "udp", "sctp"):
        raise ValueError(f"the protocol is tcp, udp or sctp, not {protocol}")
    first, last = _range(container, "in the container")
    low, high = _range(host, "of this machine") if host else (0, 0)
    if host and last - first != high - low and last != first:
        raise ValueError("the two ranges must be of the same length")
    for number in range(first, last + 1):
        published = f"{low + number - first}" if host else ""
        if host and first == last and low != high:
            published = f"{low}-{high}"
        found = {"mode": "ingress", "host_ip": _address(ip), "target": number, "published": published, "protocol": protocol}
        yield {key: value for key, value in found.items() if value != ""}


def _range(text: str, whose: str) -> tuple[int, int]:
    parts = text.split("-")
    if not text:
        raise ValueError(f"the port {whose} is missing")
    if len(parts) > 2 or not all(re.fullmatch("[0-9]{1,9}", part) and int(part) < 1 << 16 for part in parts):
        raise ValueError(f"'{text}' is neither a port {whose} nor a range; ports are numbers from 0 to 65535")
    if int(parts[-1]) < int(parts[0]):
        raise ValueError(f"the range '{text}' ends before it begins")
    return int(parts[0]), int(parts[-1])


def _address(ip: str) -> str:
    bare = ip[1:-1] if ip.startswith("[") and ip.endswith("]") else ip
    if bare:
        try:
            ipaddress.ip_address(bare)
        except ValueError:
            raise ValueError(f"'{ip}' is not an IP address") from None
    return bare


# -- volumes and devices -----------------------------------------------------------------------
def mount_from(node: Node) -> Node:
    """The long form of an entry of ``volumes``. Raises: ComposeError."""
    text = node.value
    if not text:
        raise ComposeError("an empty text is no volume", node.place)
    if len(text) < 3:
        return _long(node, {"type": "volume", "target": text})
    parts = _split(text)
    if "" in parts or len(parts) > 3:
        wrong = "there are too many colons in it" if len(parts) > 3 else "there is nothing between two colons"
        raise ComposeError(f"'{text[:60]}' is no volume: {wrong}; write SOURCE:TARGET or SOURCE:TARGET:ro", node.place)
    source, target = (parts[0], parts[1]) if len(parts) > 1 else ("", parts[0])
    return _long(node, _mount(source, target, parts[2].split(",") if len(parts) > 2 else []))


def _split(text: str) -> list[str]:
    """At colons, but not at those of ``C:\\`` and within ``${…}``."""
    parts, depth = [""], 0
    for at, char in enumerate(text):
        depth += char == "$" and text[at + 1 : at + 2] == "{"
        if char == "}" and depth:
            depth -= 1
        if char == ":" and not depth and not (len(parts[-1]) == 1 and DRIVE.match(parts[-1])):
            parts.append("")
        else:
            parts[-1] += char
    return parts


def _mount(source: str, target: str, options: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "volume", "source": source, "target": target}
    bind: dict[str, Any] = {}
    for option in options:
        if option in ("ro", "rw"):
            found["read_only"] = option == "ro"
        elif option == "nocopy":
            found["volume"] = {"nocopy": True}
        elif option in PROPAGATIONS or option in ("z", "Z"):
            bind["propagation" if option in PROPAGATIONS else "selinux"] = option
    if is_path(source):
        found |= {"type": "bind", "bind": {**bind, "create_host_path": True}}
    else:
        found |= {"volume": found.get("volume", {})} | ({"bind": bind} if bind else {})
    return {key: value for key, value in found.items() if value not in ("", False)}


def is_path(source: str) -> bool:
    """Is it a path of this machine, and not the name of a volume?"""
    return source.startswith((".", "/", "~", "\\\\")) or bool(re.match("[a-zA-Z]:", source))


def device_from(node: Node) -> Node:
    parts = node.value.split(":")
    if len(parts) > 3:
        raise ComposeError(f"'{node.value[:60]}' is no device: write SOURCE:TARGET:rwm, or the long form", node.place)
    target = parts[1] if len(parts) > 1 and parts[1] else parts[0]
    return _long(node, {"source": parts[0], "target": target, "permissions": parts[2] if len(parts) > 2 else "rwm"})


# -- commands ----------------------------------------------------------------------------------
class BadCommand(ValueError):
    """A text that can't be taken apart into words."""


ESCAPES = {"n": "\n", "t": "\t"}


def words(text: str) -> list[str]:
    """A command's words. Quotes hold words together; a shell's operators end the command, as there is no shell. Raises: BadCommand."""
    found: list[str] = []
    word: str | None = None
    quote, at = "", 0
    while at < len(text):
        char = text[at]
        at += 1
        if char == "\\" and quote != "'":
            if at == len(text):
                raise BadCommand("it ends in a backslash")
            word, at = (word or "") + ESCAPES.get(text[at], text[at]), at + 1
        elif char in " \t\r\n" and not quote:
            found += [word] if word is not None else []
            word = None
        elif char in ";&|<>" and not quote:
            word = None if char == ">" and word and word[0].isdigit() else word
            break
        else:
            quote, word = _word(char, quote, word)
    if quote:
        raise BadCommand(f"a {quote} is not closed")
    return found + ([word] if word is not None else [])


CLOSING = {"`": "`", "(": ")"}


def _word(char: str, quote: str, word: str | None) -> tuple[str, str | None]:
    """The quote that is open after this character, and the word so far."""
    if quote in ("`", ")"):
        return ("" if char == quote else quote), (word or "") + char
    if char == quote or (char in "'\"" and not quote):
        return ("" if quote else char), word or ""
    if not quote and char == "`":
        return "`", (word or "") + char
    if not quote and char in "()":
        if char == ")" or not (word or "").endswith("$"):
            raise BadCommand("there is a bracket in it without quotes")
        return ")", (word or "") + char
    return quote, (word or "") + char
