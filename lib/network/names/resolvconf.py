"""``/etc/resolv.conf``: the host's, as it is now, and what becomes of it in a container. See resolv.conf(5).

Where names of containers are known, the container asks us (127.0.0.11) and we ask whom it names; on the default network, which has no
names, it gets the host's name servers themselves, but those on the host's loopback, which is another in there.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from lib.network.names.changes import Changes
from lib.network.names.settings import ADDRESS

HOSTS = "/etc/resolv.conf"
STUB, BEHIND = "127.0.0.53", "/run/systemd/resolve/resolv.conf"  # of systemd-resolved; and the file of those whom it asks in turn
LONGEST = 1 << 16  # bytes of such a file
FALLBACK = ("8.8.8.8", "8.8.4.4"), ("2001:4860:4860::8888", "2001:4860:4860::8844")  # Docker's, for IPv4 and IPv6


def is_address(text: str) -> bool:
    """One of IPv4, or of IPv6, perhaps with a zone (``fe80::1%eth0``)."""
    for family, word in (socket.AF_INET, text), (socket.AF_INET6, text.partition("%")[0]):
        with suppress(OSError, ValueError):
            return bool(socket.inet_pton(family, word))
    return False


def is_loopback(address: str) -> bool:
    return address.startswith("127.") or address == "::1"


@dataclass(frozen=True)
class Resolvers:
    """What such a file says; ``rest`` are lines that we do not know."""

    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    rest: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str) -> Resolvers:
        """The last ``search`` counts, ``options`` add up; what is no address is no server."""
        servers, search, options, rest = [], [], [], []
        for line in text.splitlines():
            match line.split():
                case [first, *_] if first[0] in "#;":
                    pass
                case ["nameserver", *words]:
                    servers += filter(is_address, words[:1])
                case ["search" | "domain", *words]:
                    search = words or search
                case ["options", *words]:
                    options += words
                case [_, *_]:
                    rest.append(line)
        return cls(tuple(servers), tuple(search), tuple(options), tuple(rest))

    def but(self, servers: Sequence[str] = (), search: Sequence[str] = (), options: Sequence[str] = ()) -> Resolvers:
        """As ``--dns``, ``--dns-search`` and ``--dns-option`` say; ``--dns-search .`` means none at all."""
        given = {"servers": tuple(servers), "search": tuple(search), "options": tuple(options)}
        found = replace(self, **{name: words for name, words in given.items() if words})
        return replace(found, search=tuple(word for word in found.search if word != "."))

    @property
    def ndots(self) -> bool:
        """Does it say how many dots a name has that is asked for as it is, before the search domains?"""
        return any(is_ndots(option) for option in self.options)

    def ours(self) -> Resolvers:
        """For who asks us. A container's name has no dot, and shall be asked for as it is, so that is the default in there."""
        known = tuple(one for one in self.options if one.partition(":")[0] != "ndots" or is_ndots(one))
        return replace(self, servers=(ADDRESS,), options=known if self.ndots else (*known, "ndots:0"))

    def plain(self, chosen: bool, ipv6: bool) -> Resolvers:
        """For who asks them directly; ``chosen`` by its user, they stay as they are."""
        if chosen:
            return self
        usable = tuple(one for one in self.servers if not is_loopback(one) and (ipv6 or ":" not in one))
        return replace(self, servers=usable or FALLBACK[0] + (FALLBACK[1] if ipv6 else ()))

    def __str__(self) -> str:
        lines = [f"nameserver {one}" for one in self.servers]
        lines += [" ".join((word, *words)) for word, words in (("search", self.search), ("options", self.options)) if words]
        return "".join(line + "\n" for line in (*lines, *self.rest))


def is_ndots(option: str) -> bool:
    name, _, number = option.partition(":")
    return name == "ndots" and number.isdecimal()


class Hosts:
    """The host's own file. Whoever changes it (a lease, a tunnel) changes it for containers that run, too."""

    def __init__(self, path: Path | str = HOSTS):
        self.path, self.changed, self.found = path, Changes(path), Resolvers()

    def now(self) -> Resolvers:
        if self.changed():
            self.found = Resolvers()
            with suppress(OSError), open(self.path, "rb") as file:
                self.found = Resolvers.of(file.read(LONGEST).decode(errors="replace"))
            if os.geteuid():  # in a network namespace of his own, where the machine's loopback is another
                from lib.netfilter import slirp  # nobody else needs it

                self.found = replace(self.found, servers=(slirp.RESOLVER,))
        return self.found


def behind_the_stub(found: Resolvers, path: Path | str = BEHIND) -> Resolvers:
    """For who asks them directly: where all that the host has is a stub on its loopback, those behind it."""
    return Hosts(path).now() if found.servers == (STUB,) else found
