"""All that a network may leave on a host: rules, the rules of others, and every switch of the kernel's network."""

from __future__ import annotations

import os

from lib.netfilter import forwarding

SAVERS = [f"{name}-{back_end}-save" for name in ("iptables", "ip6tables") for back_end in ("nft", "legacy")]


def look(host) -> dict[str, str]:
    """Counters, dates and comments apart."""
    seen = {name: host(forwarding.value, name) for name in host(switches)}
    for name in SAVERS:
        seen[name] = "\n".join(line for line in host.run(name).splitlines() if not line.startswith(("#", ":")))
    return seen | {"nft": host.run("nft", "-s", "list", "ruleset")}


def switches() -> list[str]:
    return [f"{folder}/{file}" for folder, _, files in os.walk("/proc/sys/net") for file in files if not file.endswith("count")]
