"""The networks that are in use just now, whoever made them: what should hold of them all, and that it does.

Known from what each left where all share (``bridges.commons``), so a daemon that has no library, and another store's command, know it too.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lib.network.firewall.change import Change
from lib.network.firewall.diagnosis import is_well, mend
from lib.network.firewall.table import made, uplinks
from lib.state import shared
from lib.state.leases import everybody
from lib.state.places import common_dir

FAMILIES = {4: "ip", 6: "ip6"}
SO_NETNS_COOKIE = 71  # see include/uapi/asm-generic/socket.h


def common(name: str) -> str:
    """The folder of what all networks of one network namespace share. See ``state.shared``."""
    return str(Path(common_dir(), "shared", f"{here()}-{name}"))


def cable() -> str:
    """Where the program listens that is a user's cable to the machine, see ``netfilter.slirp``: a path of less than 107 bytes."""
    return str(Path(common_dir(), f"cable-{here()}"))


def here() -> int:
    """The number of the network namespace that we are in: its cookie, which no other ever gets until the machine starts anew.

    A kernel before Linux 5.14 gives none; the inode number will do there, which a later namespace may get again. See namespaces(7).
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
        try:
            return int.from_bytes(one.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8), sys.byteorder)
        except OSError:
            return os.stat("/proc/thread-self/ns/net").st_ino


def families() -> list[str]:
    return [ip for ip in FAMILIES.values() if everybody(Path(common(ip)))]


def networks() -> dict[str, dict]:
    """By the first digits of their ids: ``name``, ``alive`` (where its members are), ``bridge``, and ``link``, the deeds that make that."""
    found: dict[str, dict] = {}
    for ip in FAMILIES.values():
        found |= everybody(Path(common(ip)))
    return found


def expected() -> list[Change]:
    """What the firewall should hold now, the tables first."""
    ours = [made([ip], uplinks()) for ip in families()]
    for ip in families():
        ours += [change(one) for one in everybody(Path(common(ip))).values()]
    return ours + [change(member) for one in networks().values() for member in everybody(Path(one["alive"])).values()]


def change(member: dict) -> Change:
    """What one of them has added to it."""
    return Change(member["name"], "".join(text for name, *texts in member["deeds"] if name == "nft" for text in texts), "")


@contextmanager
def standing_still() -> Iterator[None]:
    """Nobody joins or leaves a network meanwhile. In the order in which who joins takes the locks: first the network's, then the common."""
    while True:
        with ExitStack() as held:
            places = {one["alive"] for one in networks().values()}
            for place in [*sorted(places), *map(common, FAMILIES.values())]:
                held.enter_context(shared.standing_still(place))
            if {one["alive"] for one in networks().values()} == places:
                yield
                return


def let_in_again() -> None:
    """Tell a user's new cable which ports lead in, should an older one have been cut under containers that publish some."""
    for one in networks().values():
        for member in everybody(Path(one["alive"])).values():
            shared.do_all(deed for deed in member["deeds"] if deed[0] == "let_in")


def look_after() -> None:
    """What somebody has flushed is made again, and who no longer knows us is told again. Raises ``OSError``."""
    if (used := families()) and not is_well(used):
        with standing_still():
            if there := families():
                mend(expected(), there)
