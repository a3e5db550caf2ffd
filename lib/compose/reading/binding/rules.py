"""Which type each key has, and how what is written becomes it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from lib.compose.reading.binding.values import bits, count, count_of_devices, duration, mode, number, size, truth, whole
from lib.compose.reading.environment import pairs
from lib.compose.reading.nodes import ComposeError, Node, Path, Rules, as_text, dotted
from lib.compose.reading.schema import CONTAINER
from lib.compose.reading.shortforms import BadCommand, words


def _converted(convert: Callable[[Any], Any]) -> Callable[[Node, Path], Node]:
    def change(node: Node, path: Path) -> Node:
        try:
            return node if node.value is None else node.like(convert(node.value))
        except (ValueError, OverflowError) as error:
            raise ComposeError(f"{dotted(path)}: {error}", node.place) from None

    return change


def _command(node: Node, path: Path) -> Node:
    if isinstance(node.value, str):
        try:
            return node.like([node.like(word) for word in words(node.value)])
        except BadCommand as error:
            raise ComposeError(f"{dotted(path)} can't be taken apart: {error}; write it as a list", node.place) from None
    return node


def _test(node: Node, path: Path) -> Node:
    return node.like([node.like("CMD-SHELL"), node]) if isinstance(node.value, str) else node


def _ulimit(node: Node, path: Path) -> Node:
    if isinstance(node.value, dict):
        return node
    one = node.like(_converted(whole)(node, path).value)
    return node.like({"soft": one, "hard": one, "single": node.like(True)})


def _pairs(node: Node, path: Path) -> Node:
    return node.like(pairs(node))


def _labels(node: Node, path: Path) -> Node:
    return node.like({name: value.like(value.value or "") for name, value in pairs(node).items()})


def _listed(node: Node, path: Path) -> Node:
    return node.like([node]) if isinstance(node.value, str) else node


def _hosts(node: Node, path: Path) -> Node:
    found: dict[str, list[Node]] = {}
    for item in node.items:
        text = as_text(item.value)
        separator = "=" if "=" in text else ":"
        host, _, addresses = text.partition(separator)
        if separator not in text:
            raise ComposeError(f"{dotted(path)}: '{text[:60]}' has no address; write NAME=ADDRESS", item.place)
        found.setdefault(host, []).extend(item.like(one) for one in addresses.split(","))
    for host, value in node.map.items():
        found[host] = value.items if isinstance(value.value, list) else [value.like(as_text(value.value))]
    for host, values in found.items():
        if not host or ":" in host or "=" in host:
            raise ComposeError(f"{dotted(path)}: '{host[:60]}' is no name of a host", values[0].place if values else node.place)
    bare = {host: [one.like(re.sub(r"^\[(.+)]$", r"\1", one.value)) for one in values] for host, values in found.items()}
    return node.like({host: node.like(values) for host, values in bare.items()})


def _many(node: Node, path: Path) -> Node:
    """Options that may be given several times: all as lists."""
    several = {name: value if isinstance(value.value, list) else value.like([value]) for name, value in node.map.items()}
    return node.like({name: _texts(value, path) for name, value in several.items()})


def _texts(node: Node, path: Path) -> Node:
    return node.like([item.like(as_text(item.value)) for item in node.items])


def _rules() -> dict[str, Callable[[Node, Path], Node]]:
    service = {
        **dict.fromkeys(("environment", "build.args", *(f"{hook}.*.environment" for hook in HOOKS), f"{EXEC}.environment"), _pairs),
        **dict.fromkeys(("annotations", "labels", "sysctls", "storage_opt", "deploy.labels", "build.labels"), _labels),
        **dict.fromkeys(("build.additional_contexts", "build.ssh", "volumes.*.volume.labels", "networks.*.driver_opts"), _labels),
        **dict.fromkeys(("logging.options", "gpus.*.options", f"{DEVICES}.options"), _labels),
        **dict.fromkeys(("extra_hosts", "build.extra_hosts"), _hosts),
        **dict.fromkeys(("command", "entrypoint", *(f"{hook}.*.command" for hook in HOOKS), f"{EXEC}.command"), _command),
        **dict.fromkeys(("expose", "group_add"), _texts),
        **dict.fromkeys(("tmpfs", "dns_search", "build.no_cache_filter"), _listed),
        **dict.fromkeys(("ulimits.*", "build.ulimits.*"), _ulimit),
        "healthcheck.test": _test,
        "provider.options": _many,
    }
    typed = {key: _converted(convert) for convert, keys in TYPED for key in keys}
    found = {f"services.*.{key}": rule for key, rule in (*service.items(), *typed.items())}
    hooks = [key for key in (*service, *typed) if key.partition(".")[0] in CONTAINER]
    found |= {f"services.*.pre_start.*.{key}": found[f"services.*.{key}"] for key in hooks}
    for key in ("networks.*.labels", "volumes.*.labels", "secrets.*.labels", "configs.*.labels"):
        found[key] = _labels
    for key in ("networks.*.driver_opts", "volumes.*.driver_opts", "secrets.*.driver_opts"):
        found[key] = _labels
    switches = ("external", "internal", "attachable", "enable_ipv4", "enable_ipv6")
    return found | {f"{kind}.*.{key}": _converted(truth) for kind in ("networks", "volumes", "secrets", "configs") for key in switches}


HOOKS = ("post_start", "pre_stop")
EXEC = "develop.watch.*.exec"
RESOURCES = "deploy.resources"
DEVICES = f"{RESOURCES}.reservations.devices.*"
UPDATES = ("deploy.update_config", "deploy.rollback_config")
RATES = tuple(f"blkio_config.device_{way}_{unit}.*.rate" for way in ("read", "write") for unit in ("bps", "iops"))
TYPED: tuple[tuple[Callable[[Any], Any], tuple[str, ...]], ...] = (
    (whole, (
        "cpu_count", "cpu_shares", "cpu_quota", "cpu_period", "cpu_rt_period", "cpu_rt_runtime", "oom_score_adj", "pids_limit", "scale",
        "ports.*.target", "networks.*.priority", "networks.*.gw_priority",
        "ulimits.*.soft", "ulimits.*.hard", "build.ulimits.*.soft", "build.ulimits.*.hard", "blkio_config.weight",
        "blkio_config.weight_device.*.weight", "deploy.replicas", f"{RESOURCES}.limits.pids",
        f"{RESOURCES}.reservations.generic_resources.*.discrete_resource_spec.value",
    )),
    (number, (
        "cpu_percent", "cpus", f"{RESOURCES}.limits.cpus", f"{RESOURCES}.reservations.cpus",
        *(f"{one}.max_failure_ratio" for one in UPDATES),
    )),
    (truth, (
        "attach", "init", "oom_kill_disable", "privileged", "read_only", "stdin_open", "tty", "use_api_socket", "healthcheck.disable",
        "depends_on.*.restart", "depends_on.*.required", "env_file.*.required", "volumes.*.read_only", "volumes.*.bind.create_host_path",
        "volumes.*.volume.nocopy", "build.no_cache", "build.pull", "build.privileged", *(f"{hook}.*.privileged" for hook in HOOKS),
        f"{EXEC}.privileged", "pre_start.*.per_replica", "develop.watch.*.initial_sync",
    )),
    (size, (
        "mem_limit", "mem_reservation", "mem_swappiness", "memswap_limit", "shm_size", "build.shm_size", "volumes.*.tmpfs.size",
        f"{RESOURCES}.limits.memory", f"{RESOURCES}.reservations.memory", *RATES,
    )),
    (duration, (
        "stop_grace_period", *(f"healthcheck.{key}" for key in ("interval", "timeout", "start_period", "start_interval")),
        "deploy.restart_policy.delay", "deploy.restart_policy.window", *(f"{one}.{key}" for one in UPDATES for key in ("delay", "monitor")),
    )),
    (count, (
        "healthcheck.retries", "deploy.restart_policy.max_attempts", "deploy.placement.max_replicas_per_node",
        *(f"{one}.parallelism" for one in UPDATES),
    )),
    (bits, ("volumes.*.tmpfs.mode",)),
    (mode, ("secrets.*.mode", "configs.*.mode", "build.secrets.*.mode")),
    (count_of_devices, (f"{DEVICES}.count", "gpus.*.count")),
    (as_text, ("ports.*.published", "pid")),
)  # fmt: skip
TYPES = Rules(_rules())
