"""A service's networks, ports and names, as the facts of a container have them."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from lib.compose.model import Attachment, Port, Project, Service
from lib.engine.networks.published import PROTOCOLS, bounds, checked
from lib.engine.networks.shared import refused

IFNAME = "com.docker.network.endpoint.ifname"


def network(project: Project, service: Service, other: Callable[[str], dict], aliases: bool = True) -> dict:
    """See ``engine.networks.asked``. Raises ``ValueError``."""
    kind, networks = mode(service), []
    if kind.startswith("service:"):
        kind = f"container:{other(kind.partition(':')[2])['id']}"
    elif kind in ("", "bridge"):
        networks = attached(project, service, aliases) if not kind else [attachment("bridge", Attachment())]
        kind = networks[0]["network"]
    found = {
        "mode": kind, "networks": networks, "dns": [address(one) for one in service.dns], "search": service.dns_search,
        "dns_options": service.dns_opt, "hosts": [[name, host(one)] for name, those in service.extra_hosts.items() for one in those],
        "ports": ports(service),
    }  # fmt: skip
    return found | ({"links": names} if (names := links(service)) else {})


def mode(service: Service) -> str:
    """Its ``network_mode``. Raises ``ValueError``."""
    said = service.network_mode
    if said not in ("", "bridge", "none", "host") and not said.startswith(("service:", "container:")):
        raise ValueError(f"service {service.name}: network_mode cannot be {said!r}: none, host, bridge, service:NAME or container:NAME")
    return said


def refused_by_mode(service: Service) -> list[tuple[str, str]]:
    """The keys that it cannot have in the network of another one, each with why not."""
    asked = {"hostname": service.hostname, "dns": service.dns, "hosts": service.extra_hosts, "ports": service.ports}
    found = refused(service.network_mode, **asked, exposed=service.expose)
    return [({"hosts": "extra_hosts", "exposed": "expose"}.get(name, name), words) for name, words in found]


def links(service: Service) -> list[list[str]]:
    """Names that it alone has for others: ``db:database``. Of one without such a name its own does."""
    pairs = (word.lower().partition(":") for word in service.links)
    return [[name, other] for other, colon, name in pairs if colon]


def attached(project: Project, service: Service, aliases: bool) -> list[dict]:
    """Its networks, that with the highest priority first. With ``aliases`` it is known there by its service's name."""
    wanted = {key: one or Attachment() for key, one in (service.networks or {"default": None}).items()}
    found = []
    for key in sorted(wanted, key=lambda key: (-wanted[key].priority, key)):
        one = attachment(project.networks[key].name, wanted[key])
        found.append(one | {"aliases": list(dict.fromkeys([service.name, *one["aliases"]])) if aliases else []})
    if service.mac_address and not found[0]["mac"]:
        found[0]["mac"] = service.mac_address
    return found


def attachment(name: str, one: Attachment) -> dict:
    """The words of ``network.Wish``."""
    return {
        "network": name, "aliases": one.aliases, "ipv4": one.ipv4_address, "ipv6": one.ipv6_address, "mac": one.mac_address,
        "priority": one.gw_priority, "interface": one.interface_name or one.driver_opts.get(IFNAME, ""),
    }  # fmt: skip


def ports(service: Service) -> list[dict]:
    return [port(one) for one in service.ports]


def port(one: Port) -> dict:
    """Raises ``ValueError``."""
    if one.protocol not in PROTOCOLS:
        raise ValueError(f"invalid proto: {one.protocol}")
    bounds(str(one.target), "containerPort")
    low, high = bounds(one.published, "hostPort") if one.published else (0, 0)
    return {"protocol": one.protocol, "ip": checked(one.host_ip), "port": one.target, "host": [low, high]}


def targets(service: Service) -> list[str]:
    """What is published is exposed, too."""
    return [f"{one.target}/{one.protocol}" for one in service.ports]


def address(text: str) -> str:
    """Written shortest. Raises ``ValueError``."""
    return str(ipaddress.ip_address(text))


def holds(project: Project, key: str, text: str) -> None:
    """Has the network this address to give? Of one that is external only the machine knows. Raises ``ValueError``, as Docker has it."""
    network = project.networks.get(key)
    if network is None or network.external:
        return
    subnets = [pool.subnet for pool in (network.ipam.config if network.ipam else []) if pool.subnet]
    if not subnets:
        words = "user specified IP address is supported only when connecting to networks with user configured subnets"
        raise ValueError(f"{words}: networks.{key}.ipam.config has none")
    if not any(ipaddress.ip_address(text) in ipaddress.ip_network(one, strict=False) for one in subnets):
        raise ValueError(f"no configured subnet contains IP address {text}: network {key} has {', '.join(subnets)}")


def host(text: str) -> str:
    return text if text == "host-gateway" else address(text.removeprefix("[").removesuffix("]"))


def clash(service: Service, count: int) -> str:
    """A port of this machine that so many containers of the service cannot all have, in words; or nothing."""
    for one in service.ports if count > 1 else ():
        low, high = bounds(one.published, "hostPort") if one.published else (0, 0)
        if low and high - low + 1 < count:
            words = f"service {service.name} publishes this machine's port {one.published} (ports), and is to have {count} containers"
            way_out = f"leave the host's port out, or give a range: {low}-{low + count - 1}:{one.target}"
            return f"{words} (scale, deploy.replicas): not all of them can have it; {way_out}"
    return ""
