"""What ``config`` prints a line for: services, images, volumes, hashes, variables."""

from __future__ import annotations

import hashlib
from typing import Any

from lib.compose.model import Project
from lib.compose.reading.canonical.shape import document
from lib.compose.reading.canonical.writing import json_text
from lib.compose.reading.interpolation import names_in
from lib.compose.reading.loading import Loaded
from lib.compose.reading.nodes import Node


def services(project: Project) -> list[str]:
    return sorted(project.services)


def images(project: Project) -> list[str]:
    """The image of each service, and of its hooks; one that is built and has no name gets that of the project and the service."""
    own = {service.image or f"{project.name}-{name}" for name, service in project.services.items()}
    return sorted(own | {hook.image for service in project.services.values() for hook in service.pre_start if hook.image})


def volumes(project: Project) -> list[str]:
    return sorted(document(project).get("volumes", {}))


def networks(project: Project) -> list[str]:
    return sorted(document(project).get("networks", {}))


def models(project: Project) -> list[str]:
    return sorted(document(project, yaml=True).get("models", {}))


def profiles(project: Project) -> list[str]:
    """All profiles that the file knows."""
    every = [*project.services.values(), *project.disabled.values()]
    return sorted({profile for service in every for profile in service.profiles})


def hashes(project: Project) -> dict[str, str]:
    """A hash of each service, as Compose has it: it changes when something changes that a container of the service would notice."""
    return {name: hash_of(service) for name, service in document(project)["services"].items()}


HASHED = (
    "annotations", "attach", "develop", "blkio_config", "cap_add", "cap_drop", "cgroup_parent", "cgroup", "cpu_count", "cpu_percent",
    "cpu_period", "cpu_quota", "cpu_rt_period", "cpu_rt_runtime", "cpus", "cpuset", "cpu_shares", "command", "configs",
    "container_name", "credential_spec", "deploy", "device_cgroup_rules", "devices", "dns", "dns_opt", "dns_search", "domainname",
    "entrypoint", "provider", "environment", "expose", "external_links", "extra_hosts", "group_add", "gpus", "hostname", "healthcheck",
    "image", "init", "ipc", "isolation", "labels", "label_file", "links", "logging", "mem_limit", "mem_reservation", "memswap_limit",
    "mem_swappiness", "mac_address", "models", "network_mode", "networks", "oom_kill_disable", "oom_score_adj", "pid", "pids_limit",
    "platform", "ports", "privileged", "read_only", "restart", "runtime", "secrets", "security_opt", "shm_size", "stdin_open",
    "stop_grace_period", "stop_signal", "storage_opt", "sysctls", "tmpfs", "tty", "ulimits", "use_api_socket", "user", "userns_mode",
    "uts", "volumes", "volumes_from", "working_dir", "pre_start", "post_start", "pre_stop",
)  # fmt: skip


def hash_of(service: dict[str, Any]) -> str:
    """Compose's hash of a service of the document: SHA-256 of its JSON, in an order of keys that is older than that of ``config``."""
    kept = {key: service[key] for key in HASHED if key in service}
    if "deploy" in kept:
        kept["deploy"] = {key: value for key, value in kept["deploy"].items() if key != "replicas"}
    return hashlib.sha256(json_text(kept, None).encode()).hexdigest()


def environment(loaded: Loaded) -> dict[str, str]:
    """All variables that the files could use."""
    return dict(sorted(loaded.variables.values.items()))


def variables(tree: Node) -> list[dict[str, Any]]:
    """The variables in a tree that has not been interpolated: name, whether it must be set, default, alternative."""
    found: dict[str, dict[str, Any]] = {}
    for text in _texts(tree):
        for one in names_in(text):
            row = found.setdefault(one.name, {"name": one.name, "required": False, "default": "", "alternative": ""})
            row["required"] |= one.operator.endswith("?")
            if one.operator[-1:] in ("-", "+"):
                row["default" if one.operator[-1] == "-" else "alternative"] = one.word
    return [row for _, row in sorted(found.items())]


def _texts(node: Node):
    if isinstance(node.value, dict | list):
        for child in node.value.values() if isinstance(node.value, dict) else node.value:
            yield from _texts(child)
    elif isinstance(node.value, str) and "$" in node.value:
        yield node.value
