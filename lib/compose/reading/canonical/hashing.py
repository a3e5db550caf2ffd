"""The hash of a service, as Compose has it: it stands in the label ``config-hash``, for people and for Docker's tools.

Whether a container is made anew does not hang on it: that is seen key by key (``services.naming.keys``), so that the reason can be told.
"""

from __future__ import annotations

import hashlib

from lib.compose.model import Service
from lib.compose.reading.canonical.shape import of_service
from lib.compose.reading.canonical.writing import json_text

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


def config_hash(service: Service) -> str:
    """SHA-256 of its JSON, in an order of keys that is older than that of ``config``."""
    said = of_service(service)
    kept = {key: said[key] for key in HASHED if key in said}
    if "deploy" in kept:
        kept["deploy"] = {key: value for key, value in kept["deploy"].items() if key != "replicas"}
    return hashlib.sha256(json_text(kept, None).encode()).hexdigest()
