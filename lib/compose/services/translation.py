"""From a service to the facts of one of its containers: what ``run`` would write down for the same words. Nothing is done here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lib.compose.model import Project, Service
from lib.compose.reading.canonical import config_hash
from lib.compose.services import connections, dependencies, mounts, naming
from lib.engine import wishes
from lib.engine.log import driver
from lib.engine.networks.exposed import exposed
from lib.engine.plays.restarting import NAMES
from lib.images import Image
from lib.process import signal_number

SECOND = 10**9  # nanoseconds
LIMITS = {
    "memory": "mem_limit", "memory_swap": "memswap_limit", "memory_reservation": "mem_reservation", "cpus": "cpus",
    "cpu_period": "cpu_period", "cpu_quota": "cpu_quota", "cpu_shares": "cpu_shares", "cpuset": "cpuset", "pids_limit": "pids_limit",
}  # fmt: skip
RATES = {"device_read_bps": "rbps", "device_read_iops": "riops", "device_write_bps": "wbps", "device_write_iops": "wiops"}  # of io.max
SAME = ("cap_add", "cap_drop", "device_cgroup_rules", "domainname", "hostname", "init", "oom_kill_disable", "privileged", "read_only",
        "security_opt", "shm_size", "tmpfs", "tty")  # fmt: skip

NAMESPACES = (("cgroup", "cgroupns", "private"), ("ipc", "ipc", "private shareable none"), ("pid", "pid_mode", ""), ("uts", "uts", ""))


@dataclass(frozen=True)
class Wanted:
    """One container: which one of which service, and where others of its project are found (``other``: a service's name → facts)."""

    project: Project
    service: Service
    number: int = 1
    oneoff: bool = False
    owner: str = ""  # of a hook's container: the program that waits for it, see ``state.Owner``
    hook: int = 0  # and which of the service's hooks it is
    aliases: bool = True  # is it to be found by the service's name, too?
    inherits: Mapping[str, str] = field(default_factory=dict)
    other: Callable[[str], dict] = lambda name: {"id": name}


def facts(wanted: Wanted, image: Image) -> dict:
    """All but its id, its name, when it was created and its state. Raises ``ValueError`` for what cannot be meant."""
    service = wanted.service
    return (
        wishes.facts(image, said(wanted, image))
        | {
            "image_name": naming.image(wanted.project, service),
            "auto_remove": False,
            "network": connections.network(wanted.project, service, wanted.other, wanted.aliases),
            "log": log(service),
            "compose": record(wanted, image),
        }
        | {name: value for name, value in more(wanted).items() if value}
    )


def more(wanted: Wanted) -> dict:
    """What stands there only if it is said."""
    service = wanted.service
    return {
        "restart": restart(service),
        "asked": mounts.asked(wanted.project, service, wanted.inherits, wanted.other),
        "files": mounts.files(wanted.project, service),
        "groups": service.group_add,
        "annotations": service.annotations,
    }


def said(wanted: Wanted, image: Image) -> wishes.Wishes:
    service = wanted.service
    command = service.command or ()
    if service.entrypoint == [] and not command:  # no entrypoint, and the image's words
        command = image.runtime.get("Cmd") or ()
    return wishes.Wishes(
        command=command,
        entrypoint=service.entrypoint,
        env=service.environment,
        workdir=service.working_dir or None,
        user=service.user or None,
        labels=service.labels | labels(wanted, image),
        volumes=mounts.without_a_name(service),
        exposed=[*exposed(tuple(service.expose)), *connections.targets(service)],
        stop_signal=signal(service.stop_signal),
        stop_timeout=grace(service),
        healthcheck=healthcheck(service),
        interactive=service.stdin_open,
        attach=(),
        options=options(wanted),
    )


def grace(service: Service) -> int | None:
    """Whole seconds, and none less than was asked for."""
    return None if service.stop_grace_period is None else math.ceil(service.stop_grace_period / SECOND)


def options(wanted: Wanted) -> dict:
    """The keyword arguments of ``Container``; what was not said is left out."""
    service = wanted.service
    found = {name: value for name in SAME if (value := getattr(service, name))} | limits(service) | disks(service) | shared(wanted)
    found |= {
        "devices": [f"{one.source}:{one.target or one.source}:{one.permissions or 'rwm'}" for one in service.devices],
        "sysctls": service.sysctls,
        "ulimits": {name: [one.soft, one.hard] for name, one in service.ulimits.items()},
        "volumes": mounts.binds(wanted.project, service),
    }
    zero = {"oom_score_adj": service.oom_score_adj, "memory_swappiness": service.mem_swappiness}  # nothing is one thing, and 0 another
    return {name: value for name, value in found.items() if value} | {name: value for name, value in zero.items() if value is not None}


def limits(service: Service) -> dict:
    """What it may use up. What stands below ``deploy`` counts more."""
    found = {name: getattr(service, key) for name, key in LIMITS.items()}
    if service.deploy and (resources := service.deploy.resources):
        if most := resources.limits:
            found |= {name: value for name, value in (("memory", most.memory), ("cpus", most.cpus), ("pids_limit", most.pids)) if value}
        if (least := resources.reservations) and least.memory:
            found["memory_reservation"] = least.memory
    return {name: value for name, value in found.items() if value}


def disks(service: Service) -> dict:
    """How much a second it may read and write, and how much that weighs beside what others do."""
    said = service.blkio_config or {}
    rates = [[one.get("path", ""), word, one["rate"]] for key, word in RATES.items() for one in said.get(key) or () if one.get("rate")]
    weights = [[one.get("path", ""), one["weight"]] for one in said.get("weight_device") or () if one.get("weight")]
    return {"device_rates": rates, "blkio_weight": said.get("weight"), "blkio_weight_devices": weights}


def shared(wanted: Wanted) -> dict:
    """The namespaces that are not to be its own. Raises ``ValueError``."""
    service, found = wanted.service, {}
    for key, name, usual in (
        ("cgroup", "cgroupns", "private"),
        ("ipc", "ipc", "private shareable none"),
        ("pid", "pid_mode", ""),
        ("uts", "uts", ""),
    ):
        word = getattr(service, key)
        kind, _, other = word.partition(":")
        if kind in ("service", "container") and key in ("pid", "ipc"):
            found[name] = f"container:{of_another(wanted, kind, other)}"
        elif word == "host" or (key == "ipc" and word in ("none", "shareable")):
            found[name] = word
        elif word and word not in usual.split():
            raise ValueError(f"service {service.name}: {key} cannot be {word!r}: host is possible" + (f", and {usual}" if usual else ""))
    if service.userns_mode not in ("", "host"):
        raise ValueError(f"service {service.name}: userns_mode can be host, and cannot be {service.userns_mode!r}")
    return found


def of_another(wanted: Wanted, kind: str, name: str) -> str:
    """Its id. Raises ``LookupError``."""
    if kind == "service":
        return wanted.other(name)["id"]
    from lib.engine import finding

    return finding.find(name)["id"]


def signal(word: str) -> str | None:
    """Raises ``ValueError``."""
    if word:
        signal_number(word)
    return word or None


def healthcheck(service: Service) -> dict:
    """In the words of Docker's API."""
    one = service.healthcheck
    if one is None:
        return {}
    if one.disable:
        return {"Test": ["NONE"]}
    found = {
        "Test": one.test, "Interval": one.interval, "Timeout": one.timeout, "StartPeriod": one.start_period,
        "StartInterval": one.start_interval, "Retries": one.retries,
    }  # fmt: skip
    return {name: value for name, value in found.items() if value}


def restart(service: Service) -> dict:
    """As a container's facts have it: ``restart``, or below ``deploy`` what a swarm would say. Raises ``ValueError``."""
    name, _, most = service.restart.partition(":")
    times = {}
    if service.deploy and (policy := service.deploy.restart_policy):
        name, most = {"none": "no", "any": "always", "": "always"}.get(policy.condition, policy.condition), str(policy.max_attempts or "")
        times = {word: value / SECOND for word in ("delay", "window") if (value := getattr(policy, word))}
    if name in ("", "no"):
        return {}
    if name not in NAMES or (most and not most.isdecimal()):
        raise ValueError(f"service {service.name}: restart cannot be {name!r}: no, always, on-failure[:3] or unless-stopped")
    if most and name != "on-failure" and not (service.deploy and service.deploy.restart_policy):
        raise ValueError(f"service {service.name}: restart cannot be {service.restart!r}: only on-failure has a number of tries")
    return {"name": name, "most": int(most or 0), **times}


def log(service: Service) -> dict:
    """Raises ``ValueError``."""
    said = service.logging
    return driver.log(said.driver if said else "", tuple(f"{name}={value}" for name, value in (said.options if said else {}).items()))


# -- whose it is --------------------------------------------------------------------------------------------------------


def record(wanted: Wanted, image: Image) -> dict:
    """What marks it as the service's: the engine's own record, which no image and no label can write."""
    project, service = wanted.project, wanted.service
    return {
        "project": project.name, "service": service.name, "number": wanted.number, "oneoff": wanted.oneoff, "image": image.id,
        "hash": config_hash(service), "keys": naming.keys(project, service), "working_dir": project.working_dir, "files": project.files,
        "depends_on": {name: one._asdict() for name, one in dependencies.of(service).items()},
        "pre_stop": [one.model_dump(exclude_defaults=True) for one in service.pre_stop],
    } | ({"owner": wanted.owner} if wanted.owner else {})  # fmt: skip


def labels(wanted: Wanted, image: Image) -> dict[str, str]:
    """The same for people, and for Docker's tools."""
    mark = record(wanted, image)
    needs = [f"{name}:{one['condition']}:{str(one['restart']).lower()}" for name, one in mark["depends_on"].items()]
    found = {
        "project": mark["project"], "service": mark["service"], "container-number": str(mark["number"]), "oneoff": str(mark["oneoff"]),
        "config-hash": mark["hash"], "image": image.id, "project.working_dir": mark["working_dir"],
        "project.config_files": ",".join(mark["files"]), "depends_on": ",".join(needs), "version": naming.VERSION,
    }  # fmt: skip
    if wanted.owner:
        hook = {"hook": "pre_start", "hook-index": str(wanted.hook)}
        found = {name: found[name] for name in ("project", "service", "version")} | hook
    return {f"{naming.LABEL}.{name}": value for name, value in found.items()}
