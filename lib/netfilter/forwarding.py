"""May this machine hand packets on from one interface to another? Switched on if it may not, and off again if nobody else needs it since.

Writing one switch changes others (see ip-sysctl.rst): ip_forward sets every interface's own, and ``accept_redirects``; IPv6 forwarding
makes every interface deaf to router advertisements, from which a machine often has its own way out, unless ``accept_ra`` is 2. So those
are noted, and put back.
"""

from __future__ import annotations

import array
import fcntl
import os
import socket
import struct
from contextlib import suppress

from lib.netfilter import iptables
from lib.netfilter.chains import chains
from lib.netfilter.programs import find

CONF = {"ip": "/proc/sys/net/ipv4/conf", "ip6": "/proc/sys/net/ipv6/conf"}
KEPT = {"ip": ("accept_redirects", "forwarding"), "ip6": ("accept_ra", "forwarding")}
SIOCETHTOOL, ETHTOOL_GDRVINFO = 0x8946, 3


def is_on(family: str) -> bool:
    return value(f"{CONF[family]}/all/forwarding") == "1"


def undo(family: str) -> list | None:
    """What takes ``switch_on`` back, as things are now: to be noted before. None if forwarding is on, and so is not ours."""
    if is_on(family):
        return None
    return ["put_back_forwarding", family, switches(family), sorted(others(family))]


def switch_on(family: str) -> None:
    if is_on(family):
        return
    for name in listeners() if family == "ip6" else ():
        write(f"{CONF['ip6']}/{name}/accept_ra", "2")
    write(f"{CONF[family]}/all/forwarding", "1")


def listeners() -> list[str]:
    """Interfaces that take router advertisements now. Not ``default``: an interface yet to come may lead to somebody's containers."""
    names = set(os.listdir(CONF["ip6"])) - {"all", "default", "lo"}
    return [name for name in names if [value(f"{CONF['ip6']}/{name}/{word}") for word in KEPT["ip6"]] == ["1", "0"]]


def put_back(family: str, was: list, then: list) -> str:
    """Switch it off again, unless somebody has come since who may need it: then it stays, and the answer says so."""
    if not is_on(family):
        return ""
    if new := sorted(others(family) - set(then)):
        return f"{CONF[family]}/all/forwarding stays 1: {new[0]} has come since we switched it on, and may need it"
    write(f"{CONF[family]}/all/forwarding", "0")
    for path, word in was:
        if value(path) not in ("", word):
            write(path, word)
    return ""


def switches(family: str) -> list[list[str]]:
    """Those that the one switch changes too, each with its value."""
    names = [*sorted(set(os.listdir(CONF[family])) - {"all"}), "all"]
    paths = [f"{CONF[family]}/{name}/{word}" for name in names for word in KEPT[family]]
    return [[path, value(path)] for path in paths if not path.endswith("all/forwarding")]


def value(path: str) -> str:
    with suppress(OSError), open(path) as file:
        return file.read().strip()
    return ""


def write(path: str, word: str) -> None:
    with suppress(FileNotFoundError), open(path, "w") as file:  # the interface has gone
        file.write(word)


# -- who else may need it -------------------------------------------------------------------------------------------------


def others(family: str) -> set[str]:
    """Bridges that are not ours, and what somebody says about forwarded packets."""
    bridges = {f"the bridge {name}" for _, name in socket.if_nameindex() if not name.startswith("suitcase") and is_bridge(name)}
    return bridges | natives(family) | rules(family)


def is_bridge(name: str) -> bool:
    """By the name of its driver. See ``struct ethtool_drvinfo``."""
    info = array.array("B", struct.pack("=I", ETHTOOL_GDRVINFO).ljust(196, b"\0"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket, suppress(OSError):
        fcntl.ioctl(any_socket, SIOCETHTOOL, struct.pack("16sP16x", name.encode(), info.buffer_info()[0]))
    return info.tobytes()[4:36].rstrip(b"\0") == b"bridge"


def natives(family: str) -> set[str]:
    """Chains of nftables at the forward hook, but ours and iptables'."""
    found = [one for one in chains() if one.hook == "forward" and one.family in (family, "inet") and one.table != "suitcase"]
    return {f"the chain {one.name} of the table {one.family} {one.table}" for one in found if one.name != "FORWARD"}


def rules(family: str) -> set[str]:
    """The rules of iptables' FORWARD, but ours."""
    names = [name for name in iptables.in_use(chains()) if iptables.FAMILIES[name.partition("-")[0]] == family]
    said = [line for name in names if (path := find(name)) for line in iptables.ask(path, "-S", "FORWARD").splitlines()]
    return {f"the rule '{line}' of iptables" for line in said if line.startswith("-A") and "suitcase" not in line}
