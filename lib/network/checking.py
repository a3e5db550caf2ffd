"""``network doctor``: what can keep containers from their network, looked at piece by piece, and what of it is ours, made again."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from pathlib import Path

from lib.netfilter import forwarding, rtnetlink
from lib.network import alive
from lib.network.firewall import diagnosis
from lib.network.firewall.diagnosis import REPAIR, Row
from lib.state import shared
from lib.state.leases import everybody


def rows() -> list[Row]:
    """Each thing that was looked at, also what is fine; the packets' way from a container outwards."""
    used = alive.families()
    if not used:
        return [Row("networks", "none is in use: its bridge and its rules are made when the first container starts on it", True)]
    links = seen()
    bridges = [one for network in alive.networks().values() for one in about(network, links)]
    return bridges + diagnosis.doctor(alive.expected(), used)


def repair() -> None:
    """Make again what of ours somebody has taken away. Raises ``OSError``."""
    with alive.standing_still():
        if not (used := alive.families()):
            return
        for ip in used:
            shared.note(alive.common(ip), [undo for undo in [forwarding.undo(ip)] if undo])
        diagnosis.repair(alive.expected(), used)
        links = seen()
        for network in alive.networks().values():
            plug_in_again(network, links)


# -- bridges and cables -------------------------------------------------------------------------------------------------


def seen() -> dict[str, dict]:
    """The links that there are: for each its ``master`` (the bridge that it is plugged into), whether it is ``up``, its ``addresses``."""
    from pyroute2 import IPRoute

    with IPRoute() as kernel:
        links = list(kernel.get_links())
        addresses = list(kernel.get_addr())
    names = {one["index"]: one.get_attr("IFLA_IFNAME") for one in links}
    found = {
        names[one["index"]]: {"master": names.get(one.get_attr("IFLA_MASTER"), ""), "up": bool(one["flags"] & 1), "addresses": set()}
        for one in links
    }
    for one in addresses:
        found[names[one["index"]]]["addresses"].add(one.get_attr("IFA_ADDRESS"))
    return found


def about(network: dict, links: dict[str, dict]) -> Iterator[Row]:
    """The bridge of one network, and its containers' cables."""
    what, bridge, members = f"network {network['name']}", network["bridge"], everybody(Path(network["alive"])).values()
    names = ", ".join(sorted(one["name"] for one in members))
    lost = [one["name"] for one in members if cable(one) not in links]
    loose = [one["name"] for one in members if links.get(cable(one), {"master": bridge})["master"] != bridge]
    if bridge not in links:
        yield Row(what, f"its bridge {bridge} is gone: somebody has deleted it under {names}", False, REPAIR)
    elif wrong := ailing(network, links[bridge]):
        yield Row(what, f"its bridge {bridge} {wrong}", False, REPAIR)
    elif loose:
        yield Row(what, f"not plugged into its bridge {bridge}: {', '.join(loose)}", False, REPAIR)
    elif not lost:
        yield Row(what, f"its bridge {bridge} is up; plugged into it: {names}", True)
    if lost:
        yield Row(what, f"the cable is gone of {', '.join(lost)}", False, f"suitcase restart {' '.join(lost)}")


def ailing(network: dict, link: dict) -> str:
    """What is wrong with a bridge that is there."""
    if not link["up"]:
        return "is switched off"
    missing = [words[1] for name, *words in messages(network) if name == "address" and words[1] not in link["addresses"]]
    return f"has lost its address {', '.join(missing)}: containers find no gateway" if missing else ""


def cable(member: dict) -> str:
    """The name of its outer end."""
    return member["plugs"][0][1]


def messages(network: dict) -> Iterator[Sequence]:
    """Those that made its bridge."""
    for name, *words in network["link"]:
        if name == "netlink":
            yield from words[0]


def plug_in_again(network: dict, links: dict[str, dict]) -> None:
    """What is there already stays as it is; a cable that is gone comes back with its container's next start alone."""
    for name, *words in network["link"]:
        for one in words[0] if name == "netlink" else ():
            sent(one)
        if name == "switch":
            shared.switch(*words)
    sent(["up", network["bridge"]])
    for member in everybody(Path(network["alive"])).values():
        if cable(member) in links:
            rtnetlink.send(member["plugs"])


def sent(message: Sequence) -> None:
    try:
        rtnetlink.send([message])
    except OSError as error:
        if error.errno != errno.EEXIST:
            raise
