"""Published ports: held on the host for as long as the container runs, so that nobody else takes them, and led into it.

What comes from outside is translated by the kernel (``network.firewall``), and never gets to the socket that we hold. That one is for the
host's own loopback, from which the kernel translates nothing: the manager's relay takes what comes there.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence
from contextlib import ExitStack

from lib.engine.daemons.calling import Keeper
from lib.state import kept

KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
ANY = {"": ("0.0.0.0", "::"), "0.0.0.0": ("0.0.0.0",), "::": ("::",)}
BACKLOG = 128


class PortTaken(OSError):
    """Says who has it, and no number of the kernel's."""

    def __str__(self) -> str:
        return self.strerror


class Held:
    """The ports of one container, held: ``ports`` is what it has now, each with its number; ``sockets`` by the name that the keeper has."""

    def __init__(self, asked: Sequence[dict]):
        """Raises ``OSError``, which names the port and who has it."""
        self.ports: list[dict] = []
        self.sockets: dict[str, socket.socket] = {}
        with ExitStack() as undo:
            undo.callback(self.close)
            for one in asked:
                self.hold(one)
            undo.pop_all()

    def hold(self, one: dict) -> None:
        low, high = one["host"]
        for number in range(low, high + 1):
            try:
                found = opened(one["protocol"], in_here(one["ip"]), number)
                break
            except OSError as error:
                if error.errno != errno.EADDRINUSE or number < high:
                    if number < high:
                        continue
                    raise
                raise taken(one, number) from None
        number = found[0].getsockname()[1]
        for index, each in enumerate(found):
            self.sockets[f"port-{one['protocol']}-{number}-{index}"] = each
        self.ports.append({"protocol": one["protocol"], "ip": one["ip"] or in_here(""), "host": number, "port": one["port"]})

    def hand_over(self, ident: str) -> None:
        """The keeper holds them from now on, and the manager asks it for them."""
        for name, one in self.sockets.items():
            Keeper.hold(f"{ident}/{name}", one.fileno())

    def close(self) -> None:
        for one in self.sockets.values():
            one.close()


def in_here(ip: str) -> str:
    """A user's own network namespace has none of the machine's addresses, and his cable to the machine carries IPv4 alone."""
    return "0.0.0.0" if os.geteuid() else ip


def opened(protocol: str, ip: str, number: int) -> list[socket.socket]:
    """A socket for each address; of several, all have the number that the first one got."""
    found: list[socket.socket] = []
    try:
        for address in ANY.get(ip, (ip,)):
            if address != "::" or ip or socket.has_ipv6:
                found.append(bound(protocol, address, number or (found[0].getsockname()[1] if found else 0)))
    except BaseException:
        for one in found:
            one.close()
        raise
    return found


def bound(protocol: str, address: str, number: int) -> socket.socket:
    one = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, KINDS[protocol])
    try:
        if one.family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if protocol == "tcp":  # what only waits for the last packets of an old connection does not keep the port
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind((address, number))
        if protocol == "tcp":
            one.listen(BACKLOG)
        one.setblocking(False)
        return one
    except BaseException:
        one.close()
        raise


# -- who has it ---------------------------------------------------------------------------------------------------------


def taken(one: dict, number: int) -> PortTaken:
    """Docker's words, and who it is."""
    where = f"{one['ip'] or '0.0.0.0'}:{number}"
    for facts in kept.every():
        if any((other["protocol"], other["host"]) == (one["protocol"], number) for other in facts["state"].get("ports") or ()):
            return PortTaken(errno.EADDRINUSE, f"Bind for {where} failed: port is already allocated, by container {facts['name']}")
    who = listener(one["protocol"], number)
    return PortTaken(
        errno.EADDRINUSE, f"failed to bind host port {where}/{one['protocol']}: address already in use" + (f", by {who}" if who else "")
    )


def listener(protocol: str, number: int) -> str:
    """The process that has this port of ours open, as far as we may look. See proc_pid_net(5)."""
    inodes = set()
    for table in (protocol, f"{protocol}6"):
        with ExitStack() as undo:
            try:
                lines = undo.enter_context(open(f"/proc/thread-self/net/{table}")).read().splitlines()[1:]
            except OSError:
                continue
            rows = [line.split() for line in lines]
            inodes |= {row[9] for row in rows if int(row[1].rpartition(":")[2], 16) == number and (protocol == "udp" or row[3] == "0A")}
    return next((f"{name} (pid {pid})" for pid, name in holders({f"socket:[{inode}]" for inode in inodes})), "")


def holders(names: set[str]):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            folder = f"/proc/{pid}/fd"
            if any(os.readlink(f"{folder}/{fd}") in names for fd in os.listdir(folder)):
                with open(f"/proc/{pid}/comm") as file:
                    yield int(pid), file.read().strip()
        except OSError:
            continue
