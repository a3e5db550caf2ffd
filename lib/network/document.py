"""``network inspect``: what we know of one, in the shape of Docker's API (version 1.52)."""

from __future__ import annotations

from lib.network.definitions import Network
from lib.network.pools import version


def document(network: Network) -> dict:
    families = {version(pool) for pool in network.pools}
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": network.created,
        "Scope": "local",
        "Driver": network.driver,
        "EnableIPv4": 4 in families,
        "EnableIPv6": 6 in families,
        "IPAM": {"Driver": "default", "Options": {}, "Config": [addresses(pool) for pool in network.pools]},
        "Internal": network.internal,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Options": network.options,
        "Labels": network.labels,
        "Containers": {one["container"]: endpoint(one, network) for one in network.members.values()},
    }


def addresses(pool: dict) -> dict:
    return {"Subnet": pool["subnet"]} | ({"IPRange": pool["range"]} if pool["range"] else {}) | {"Gateway": pool["gateway"]}


def endpoint(member: dict, network: Network) -> dict:
    lengths = {version(pool): pool["subnet"].partition("/")[2] for pool in network.pools}
    return {
        "Name": member["name"],
        "EndpointID": "",
        "MacAddress": member.get("mac", ""),
        "IPv4Address": f"{member['ipv4']}/{lengths[4]}" if member.get("ipv4") else "",
        "IPv6Address": f"{member['ipv6']}/{lengths[6]}" if member.get("ipv6") else "",
    }
