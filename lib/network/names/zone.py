"""Who is called what: read from the files that say who is on which network, as long as they are.

A container knows the names of those with whom it shares a network that a user has made; the default network has none, as in Docker. Whoever
joins or leaves is seen at the next question.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lib.network.names.changes import Changes

SHORT = 12  # digits of an id by which a container can be called, and by which it is known here
REVERSED = {4: "in-addr.arpa", 16: "ip6.arpa"}


@dataclass(frozen=True)
class Member:
    """A container on one network: the names by which it is found there, in small letters, and its addresses, packed.

    ``whole`` is what its addresses are called, and ``pointers`` under which names one asks for that.
    """

    container: str
    names: tuple[str, ...]
    addresses: tuple[bytes, ...]
    network: str
    whole: str = ""
    pointers: tuple[str, ...] = ()
    has_names: bool = True
    internal: bool = False


def member_of(text: bytes) -> Member:
    """Raises ``ValueError``, ``OSError`` or the like for what is no member's file, or only half of one."""
    facts = json.loads(text)
    short, whole = facts["container"][:SHORT], f"{facts['name']}.{facts['network']}"
    names = dict.fromkeys(name.lower() for name in (facts["name"], *facts["aliases"], short, facts["hostname"]) if name)
    families = (socket.AF_INET, facts["ipv4"]), (socket.AF_INET6, facts["ipv6"])
    addresses = tuple(socket.inet_pton(family, one) for family, one in families if one)
    pointers = tuple(map(pointer, addresses)) if is_a_name(whole) else ()
    kind = bool(facts["user_defined"]), bool(facts["internal"])
    return Member(short, tuple(names), addresses, facts["network"].lower(), whole, pointers, *kind)


def pointer(address: bytes) -> str:
    """Under which name one asks who has this address. See RFC 1035, 3.5 and RFC 3596, 2.5."""
    parts = map(str, address) if len(address) == 4 else address.hex()
    return ".".join([*reversed(list(parts)), REVERSED[len(address)]])


def is_a_name(text: str) -> bool:
    """Can it stand in a packet? A container may be called longer than that. See RFC 1035, 2.3.4."""
    labels = text.encode().split(b".")
    return sum(len(label) + 1 for label in labels) < 255 and all(0 < len(label) < 64 for label in labels)


class Network:
    """Whom its members know, and by which names; capitals and small letters are the same."""

    def __init__(self, members: Iterable[Member]):
        self.members = {one.container: one for one in members}
        first = next(iter(self.members.values()), Member("", (), (), ""))
        self.name, self.internal, has_names = first.network, first.internal, first.has_names
        self.by_name: dict[str, list[Member]] = {}
        self.by_pointer: dict[str, str] = {}
        for one in self.members.values() if has_names else ():
            for name in one.names:
                self.by_name.setdefault(name, []).append(one)
            for name in one.pointers:
                self.by_pointer[name] = one.whole


@dataclass(frozen=True)
class View:
    """What one container knows: the networks that it is on.

    ``ndots`` says that somebody has set that option: then a single word may be a name of a search domain's, and is nobody's to ask outside.
    ``links`` are names of its own for others: no one else knows them.
    """

    networks: tuple[Network, ...] = ()
    ndots: bool = False
    links: tuple[tuple[str, str], ...] = ()

    @property
    def outside(self) -> bool:
        """Is there a way out of one of its networks?"""
        return any(not network.internal for network in self.networks)

    def find(self, name: str) -> list[bytes] | None:
        """The addresses behind a name (``web``, or ``web.front`` for the one on that network); None if nobody is called so."""
        name = next((other for own, other in self.links if own == name), name)
        for network in self.networks:
            if name in network.by_name:
                return addresses_of(network.by_name[name])
        cut = name.rfind(".")
        while cut > 0:
            for network in self.networks:
                if network.name == name[cut + 1 :] and name[:cut] in network.by_name:
                    return addresses_of(network.by_name[name[:cut]])
            cut = name.rfind(".", 0, cut)
        return None

    def pointed_at(self, name: str) -> str | None:
        return next((network.by_pointer[name] for network in self.networks if name in network.by_pointer), None)


def addresses_of(members: Iterable[Member]) -> list[bytes]:
    return list(dict.fromkeys(address for one in members for address in one.addresses))


class Members:
    """The members of one network, and their files as they were when we last looked."""

    def __init__(self, folder: Path):
        self.folder, self.changed = folder, Changes(folder)
        self.files: dict[str, tuple[tuple, Member]] = {}
        self.network = Network(())

    def refresh(self) -> bool:
        """Look again, if there is a reason to; whether anybody has come or gone."""
        if not self.changed():
            return False
        before, self.files = self.files, {}
        for entry in scanned(self.folder):
            with suppress(OSError):  # left in this moment
                about = entry.stat(follow_symlinks=False)
                self.read(entry, (about.st_ino, about.st_mtime_ns, about.st_size), before)
        if self.files == before:
            return False
        self.network = Network(one for _, (_, one) in sorted(self.files.items()))
        return True

    def read(self, entry: os.DirEntry, time: tuple, before: dict) -> None:
        known = before.get(entry.name)
        if known and known[0] == time:
            self.files[entry.name] = known
            return
        try:
            self.files[entry.name] = time, member_of(Path(entry.path).read_bytes())
        except (OSError, ValueError, LookupError, TypeError, AttributeError):  # OSError: an address is none
            self.changed.forget()


def scanned(folder: Path) -> list[os.DirEntry]:
    """What is in a folder; nothing, if there is none (yet). What begins with a dot is only being written."""
    with suppress(OSError), os.scandir(folder) as entries:
        return [one for one in entries if not one.name.startswith(".")]
    return []


class Zone:
    """Everybody's names: the folders ``NETWORK/members`` below ``folder``."""

    def __init__(self, folder: Path):
        self.folder, self.changed = folder, Changes(folder)
        self.networks: dict[str, Members] = {}
        self.views: dict[tuple, View] = {}

    def refresh(self) -> None:
        """Look whether anybody has come or gone since the last time. Some microseconds for each network, if not."""
        news = [one.refresh() for one in self.networks.values()]
        if self.changed():
            there = {entry.name for entry in scanned(self.folder)}
            news += [self.networks.pop(name) for name in [*self.networks] if name not in there]
            for name in there - self.networks.keys():
                self.networks[name] = Members(self.folder / name / "members")
                news.append(self.networks[name].refresh())
        if any(news):
            self.views.clear()

    def view(self, container: str, ndots: bool = False, links: tuple[tuple[str, str], ...] = ()) -> View:
        """What this container knows; the same object until somebody comes or goes."""
        key = container[:SHORT], ndots, links
        if key not in self.views:
            its = [one.network for one in self.networks.values() if key[0] in one.network.members]
            self.views[key] = View(tuple(sorted(its, key=lambda network: network.name)), ndots, links)
        return self.views[key]
