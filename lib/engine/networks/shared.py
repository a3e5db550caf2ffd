"""A container in the network of another one: its names, its ports and its name servers are that one's, so it can have none of its own."""

from __future__ import annotations

from collections.abc import Iterator

REFUSED = {
    "hostname": "conflicting options: hostname and the network mode",
    "dns": "conflicting options: dns and the network mode",
    "hosts": "conflicting options: custom host-to-IP mapping and the network mode",
    "ports": "conflicting options: port publishing and the container type network mode",
    "exposed": "conflicting options: port exposing and the container type network mode",
}


def refused(mode: str, **asked: object) -> Iterator[tuple[str, str]]:
    """Of what is asked for, by the names above, what it cannot have in this mode; each with why not, in Docker's words."""
    if mode.startswith(("container:", "service:")):
        yield from ((name, words) for name, words in REFUSED.items() if asked.get(name))
