"""Keys that the specification knows and this engine does not: what is used of them is told, never ignored in silence.

``table`` writes lib/compose/KEYS.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from lib.compose.reading.nodes import Node, Path, Place, Problem, Rules, dotted
from lib.compose.reading.schema import CONTAINER, FILE, SERVICE

SWARM = "it is for a swarm; here there is one machine"
WINDOWS = "it is for Windows"
BUILDER = "this builder does not have it"

CONTAINERS = {
    "cgroup_parent": "each container has its cgroup where the engine's are",
    "cpu_count": WINDOWS,
    "cpu_percent": WINDOWS,
    "cpu_rt_period": "kernels of today are built without real-time groups",
    "cpu_rt_runtime": "kernels of today are built without real-time groups",
    "credential_spec": WINDOWS,
    "gpus": "graphics cards are not handed in",
    "isolation": WINDOWS,
    "models": "no models of language are run here",
    "pull_refresh_after": "say `pull_policy: every_12h`",
    "runtime": "there is one runtime: this one",
    "storage_opt": "the layers are on the machine's own disk, without a quota",
    "use_api_socket": "there is no API of Docker's here",
    "networks.*.link_local_ips": "link-local addresses are not given",
    "volumes.*.consistency": "it was for Docker Desktop on macOS",
}
NEEDS = {  # and who uses it where that is missing, is told when the container is made
    "services.*.blkio_config": "weights where the kernel has BFQ",
    "services.*.device_cgroup_rules": "with cgroup v1, as root",
    "services.*.mem_swappiness": "with cgroup v1",
    "services.*.oom_kill_disable": "with cgroup v1",
}
BUILDING = ("isolation", "no_cache_filter", "privileged", "provenance", "sbom", "shm_size", "ulimits")
SERVICES = {
    **{f"build.{key}": BUILDER for key in BUILDING},
    "deploy.endpoint_mode": SWARM,
    "deploy.labels": SWARM,
    "deploy.mode": SWARM,
    "deploy.placement": SWARM,
    "deploy.resources.reservations.cpus": "no processor can be kept free; say `cpu_shares`",
    "deploy.resources.reservations.devices": "graphics cards are not handed in",
    "deploy.resources.reservations.generic_resources": SWARM,
    "deploy.rollback_config": SWARM,
    "deploy.update_config.delay": SWARM,
    "deploy.update_config.failure_action": SWARM,
    "deploy.update_config.max_failure_ratio": SWARM,
    "deploy.update_config.monitor": SWARM,
    "deploy.update_config.parallelism": SWARM,
    "external_links": "put both containers on one network, and use their names",
    "ports.*.app_protocol": "nothing here looks into what a port is for",
    "provider": "no other programs are asked to provide a service",
}
OTHERS = {
    "configs.*.labels": SWARM,
    "configs.*.template_driver": SWARM,
    "jobs": "jobs are not run by the clock here",
    "models": CONTAINERS["models"],
    "networks.*.attachable": SWARM,
    "networks.*.ipam.config.*.aux_addresses": "no addresses are kept free for others",
    "networks.*.ipam.driver": "addresses are given in one way, that of Docker's default",
    "networks.*.ipam.options": "addresses are given in one way, that of Docker's default",
    "secrets.*.driver": SWARM,
    "secrets.*.driver_opts": SWARM,
    "secrets.*.labels": SWARM,
    "secrets.*.template_driver": SWARM,
}
NOT_DONE: dict[str, str] = {
    **{f"services.*.{key}": reason for key, reason in (*CONTAINERS.items(), *SERVICES.items())},
    **OTHERS,
}


def told(root: Node, enabled: Collection[str]) -> list[Problem]:
    """A problem for each such key in the tree, with its place; of the services, only those that are on are looked at."""
    found: dict[Place, Problem] = {}

    def tell(reason: str):
        def look(node: Node, path: Path) -> None:
            if node.value not in (None, "", [], {}, False) and (path[0] != "services" or path[1] in enabled):
                found.setdefault(node.place, Problem(f"{dotted(path)} is not supported here: {reason}", node.place))

        return look

    hooks = {f"services.*.pre_start.*.{key}": reason for key, reason in CONTAINERS.items()}
    Rules({pattern: tell(reason) for pattern, reason in (NOT_DONE | hooks).items()}).apply(root)
    return list(found.values())


def table() -> str:
    """All keys in Markdown: which are done, and why the others are not."""
    hook = ", ".join(f"`{key}`" for key in sorted(CONTAINER))
    return "\n".join(
        (
            "# The keys of a Compose file",
            "",
            "All that the specification knows is read. What is not done has no effect, and whoever uses it is told so, with file and line.",
            "`lib/compose/reading/keys.py` prints this page.",
            "",
            f"## A service: {len(SERVICE.keys)} keys",
            "",
            *_rows(sorted(SERVICE.keys), "services.*."),
            "",
            f"A `pre_start` hook has {hook}, and `per_replica`. What it does not say is as in its service.",
            "",
            "## The file",
            "",
            *_rows([key for key in FILE.keys if key not in ("version", "services")], ""),
            "",
        )
    )


def _rows(keys: list[str], prefix: str) -> Iterator[str]:
    yield "| key | |"
    yield "| --- | --- |"
    for key in keys:
        reason = NOT_DONE.get(prefix + key)
        done = ", ".join(filter(None, ("done", NEEDS.get(prefix + key)))) + _but(f"{prefix}{key}.")
        yield f"| `{key}` | {f'not done: {reason}' if reason else done} |"


def _but(prefix: str) -> str:
    """What of a key is not done, one reason after the other."""
    reasons: dict[str, list[str]] = {}
    for pattern, reason in NOT_DONE.items():
        if pattern.startswith(prefix):
            reasons.setdefault(reason, []).append(f"`{pattern.removeprefix(prefix).removeprefix('*.')}`")
    return "".join(f"; not {', '.join(names)}: {reason}" for reason, names in reasons.items())
