"""The model as plain data, in the order and with the omissions of Compose: what is empty is left out."""

from __future__ import annotations

import struct
from typing import Any

from lib import durations
from lib.compose.model import Project, Service, Ulimit
from lib.compose.model.base import Part

ORDER = (
    "profiles", "deploy", "develop", "provider", "restart", "scale", "attach", "container_name", "external_links", "links", "pre_start",
    "post_start", "pre_stop", "annotations", "blkio_config", "cap_add", "cap_drop", "cgroup_parent", "cgroup", "cpu_count",
    "cpu_percent", "cpu_period", "cpu_quota", "cpu_rt_period", "cpu_rt_runtime", "cpus", "cpuset", "cpu_shares", "command", "configs",
    "credential_spec", "device_cgroup_rules", "devices", "dns", "dns_opt", "dns_search", "domainname", "entrypoint", "environment",
    "env_file", "extra_hosts", "group_add", "gpus", "hostname", "image", "init", "ipc", "isolation", "labels", "label_file", "logging",
    "mem_limit", "mem_reservation", "memswap_limit", "mem_swappiness", "mac_address", "models", "network_mode", "networks",
    "oom_kill_disable", "oom_score_adj", "pid", "pids_limit", "platform", "privileged", "pull_policy", "pull_refresh_after",
    "read_only", "runtime", "secrets", "security_opt", "shm_size", "stop_grace_period", "stop_signal", "storage_opt", "sysctls",
    "tmpfs", "ulimits", "use_api_socket", "user", "userns_mode", "uts", "volumes", "volumes_from", "working_dir", "build", "depends_on",
    "expose", "healthcheck", "ports", "stdin_open", "tty",
)  # fmt: skip
POINTERS = {"scale", "replicas", "max_attempts", "retries", "parallelism", "init", "enable_ipv4", "enable_ipv6"}
ALWAYS = {"depends_on.required", "watch.path", "watch.action"}
PLAIN_TIMES = {"update_config.delay", "update_config.monitor", "rollback_config.delay", "rollback_config.monitor"}
SHARED = ("networks", "volumes", "secrets", "configs")
RATES = ("weight_device", "device_read_bps", "device_read_iops", "device_write_bps", "device_write_iops")


def document(project: Project, yaml: bool = False, env_files: bool = False, everything: bool = False) -> dict[str, Any]:
    """The project as ``config`` has it.

    Args:
        project: The project; what none of its services uses is left out, unless ``everything`` is wanted.
        yaml: As in YAML, with all ``x-…``; else as in JSON.
        env_files: Name the files of variables, as they have not been read.
    """
    writer = _Writer(yaml, env_files)
    found: dict[str, Any] = {"name": project.name} if project.name or not yaml else {}
    found["services"] = {name: writer.service(service) for name, service in sorted(project.services.items())}
    used = {kind: set(getattr(project, kind)) for kind in (*SHARED, "models")} if everything else _used(project)
    for kind in SHARED:
        parts = {name: part for name, part in sorted(getattr(project, kind).items()) if name in used[kind]}
        if parts:
            found[kind] = {name: writer.shared(part, kind) for name, part in parts.items()}
    models = {name: model for name, model in sorted(project.models.items()) if name in used["models"]}
    if models and yaml:
        found["models"] = {name: {key: writer.raw(model[key], "") for key in MODEL if key in model} for name, model in models.items()}
    found |= in_order(project.extensions)
    return found if yaml else dict(sorted(found.items()))


def of_service(service: Service) -> dict[str, Any]:
    """One service, as it stands there."""
    return _Writer(False, False).service(service)


def in_order(data: Any) -> Any:
    """An author's own data, its keys sorted."""
    if isinstance(data, list):
        return [in_order(one) for one in data]
    return {key: in_order(one) for key, one in sorted(data.items())} if isinstance(data, dict) else data


def single(value: float) -> int | float:
    """A number as it is in 32 bits, in as few digits as will do; whole ones without a point."""
    packed = struct.pack("f", value)
    (value,) = struct.unpack("f", packed)
    if value == int(value):
        return int(value)
    return next(short for digits in range(1, 18) if struct.pack("f", short := float(f"{value:.{digits}g}")) == packed)


def _used(project: Project) -> dict[str, set[str]]:
    services = project.services.values()
    return {
        "networks": {name for service in services for name in service.networks},
        "volumes": {mount.source for service in services for mount in service.volumes if mount.type == "volume"},
        "secrets": {grant.source for service in services for grant in service.secrets + (service.build.secrets if service.build else [])},
        "configs": {grant.source for service in services for grant in service.configs},
        "models": {name for service in services for name in service.models or {}},
    }


class _Writer:
    def __init__(self, yaml: bool, env_files: bool):
        self.yaml, self.env_files = yaml, env_files

    def service(self, service: Service) -> dict[str, Any]:
        found = self.part(service, "service")
        found.pop("name")
        if not self.env_files:
            found.pop("env_file", None)
        if "attach" in service.model_fields_set:
            found["attach"] = service.attach
        else:
            found.pop("attach", None)
        return self.ordered(found, service)

    def ordered(self, found: dict[str, Any], service: Part) -> dict[str, Any]:
        own = {"per_replica": found.pop("per_replica")} if "per_replica" in found else {}
        ordered = {key: found[key] for key in ORDER if key in found} | own
        return ordered | (in_order(service.extensions) if self.yaml else {})

    def shared(self, part: Part, kind: str) -> dict[str, Any]:
        """A network, volume, secret or config. The content of a secret is never shown."""
        found = self.part(part, kind)
        if kind == "secrets" or getattr(part, "environment", ""):
            found.pop("content", None)
        if kind == "networks" and not self.yaml:
            found = self.part(part, kind, ipam={})
        return found

    def part(self, part: Part, within: str, **empty: Any) -> dict[str, Any]:
        """A part's fields that say something; ``empty`` holds those that are there all the same."""
        found: dict[str, Any] = {}
        for name, about in type(part).model_fields.items():
            if name == "extensions":
                continue
            value = self.field(name, getattr(part, name), next(iter(about.metadata), ""), f"{within}.{name}")
            if value is not _NOTHING:
                found[name] = value
            elif name in empty:
                found[name] = empty[name]
        return found | (in_order(part.extensions) if self.yaml else {})

    def field(self, name: str, value: Any, meaning: str, path: str) -> Any:
        if name in ("command", "entrypoint"):
            return value if value is not None or not self.yaml else _NOTHING
        if name in ("create_host_path",) or path == "env_file.required":
            return False if value is False else _NOTHING
        if path in ALWAYS:
            return value
        pointer = name in POINTERS or (meaning == "ns" and path not in PLAIN_TIMES) or isinstance(value, Part)
        empty = not single(value) if isinstance(value, float) else not value
        if value is None or (empty and not pointer):
            return _NOTHING
        if meaning in ("bytes", "mode"):
            return str(value) if meaning == "bytes" else f"0{value:o}"
        if meaning == "ns":
            return durations.in_words(value)
        return self.value(name, value)

    def value(self, name: str, value: Any) -> Any:
        if name in ("extra_hosts", "ssh"):
            return _hosts(value) if name == "extra_hosts" else [key + (f": {path}" if path else "") for key, path in sorted(value.items())]
        if name == "ulimits":
            return {key: self.ulimit(one) for key, one in sorted(value.items())}
        if isinstance(value, Part):
            return self.part(value, name, **({} if self.yaml or name != "deploy" else {"resources": {}, "placement": {}}))
        if isinstance(value, list):
            return [self.item(name, one) for one in value]
        if isinstance(value, dict):
            entries = value.items() if name in DICTS else sorted(value.items())
            return {key: self.item(key if name in DICTS else name, one) for key, one in entries}
        return single(value) if isinstance(value, float) else value

    def item(self, name: str, value: Any) -> Any:
        if name == "pre_start":
            return self.ordered(self.part(value, name), value)
        if isinstance(value, Part):
            exec_too = {"exec": {"command": None}} if name == "watch" and not self.yaml else {}
            return self.part(value, name, **exec_too)
        return self.raw(value, name)

    def raw(self, value: Any, name: str) -> Any:
        """Data that the model has as it was written."""
        if isinstance(value, list):
            return [self.raw(one, name) for one in value]
        if isinstance(value, dict):
            shown = {key: self.raw(one, key) for key, one in value.items() if key != "extensions"}
            shown |= in_order(value.get("extensions", {})) if self.yaml else {}
            if name in ("devices", "gpus"):
                shown = {key: shown[key] for key in REQUEST if key in shown}
            if name in RATES:
                shown = {key: str(one) if key == "rate" else one for key, one in shown.items()}
                return shown if self.yaml else {key.capitalize(): one for key, one in shown.items()}
            return shown
        return single(value) if isinstance(value, float) else value

    def ulimit(self, value: Ulimit) -> Any:
        return value.hard if value.single else {"soft": value.soft, "hard": value.hard}


MODEL = ("name", "model", "context_size", "runtime_flags")
REQUEST = ("capabilities", "driver", "count", "device_ids", "options")
DICTS = ("blkio_config", "credential_spec", "placement", "provider")
_NOTHING = object()


def _hosts(hosts: dict[str, list[str]]) -> list[str]:
    return sorted(f"{host}={address}" for host, addresses in hosts.items() for address in addresses)
