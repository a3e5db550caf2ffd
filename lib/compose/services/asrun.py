"""A service as somebody without Compose would type it: the ``run`` flags that make the same container."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lib import durations
from lib.compose.model import Healthcheck, Project, Service
from lib.compose.services import connections, mounts, naming, translation

VALUES = {  # flag → key, where the key's value is the flag's
    "--workdir": "working_dir", "--user": "user", "--hostname": "hostname", "--domainname": "domainname", "--stop-signal": "stop_signal",
    "--cgroupns": "cgroup", "--uts": "uts", "--oom-score-adj": "oom_score_adj", "--shm-size": "shm_size", "--platform": "platform",
    "--pull": "pull_policy", "--memory-swappiness": "mem_swappiness",
}  # fmt: skip
LISTS = {
    "--cap-add": "cap_add", "--cap-drop": "cap_drop", "--tmpfs": "tmpfs", "--group-add": "group_add", "--dns": "dns",
    "--device-cgroup-rule": "device_cgroup_rules", "--dns-option": "dns_opt", "--dns-search": "dns_search", "--expose": "expose",
    "--security-opt": "security_opt",
}  # fmt: skip
PAIRS = {"--label": "labels", "--annotation": "annotations", "--sysctl": "sysctls"}
SWITCHES = {"--init": "init", "--interactive": "stdin_open", "--privileged": "privileged", "--read-only": "read_only", "--tty": "tty",
            "--oom-kill-disable": "oom_kill_disable"}  # fmt: skip
LIMITS = {
    "--memory": "memory", "--memory-swap": "memory_swap", "--memory-reservation": "memory_reservation", "--cpus": "cpus",
    "--cpu-period": "cpu_period", "--cpu-quota": "cpu_quota", "--cpu-shares": "cpu_shares", "--cpuset-cpus": "cpuset",
    "--pids-limit": "pids_limit",
}  # fmt: skip
PULLS = ("always", "missing", "never")


def as_run(project: Project, service: Service, number: int = 1) -> list[str]:
    """The words after ``suitcase``: ``run --detach … IMAGE COMMAND``. Networks and named volumes have to be there already.

    What ``run`` has no flag for is not in it: a secret that a variable holds, hooks, what has to be waited for. Raises ``ValueError``.
    """
    first, *rest = service.entrypoint or [""]
    entrypoint = [] if service.entrypoint is None else ["--entrypoint", first]
    return [
        "run", "--detach", "--name", naming.container(project, service, number), *words(project, service), *entrypoint,
        naming.image(project, service), *rest, *(service.command or []),
    ]  # fmt: skip


def words(project: Project, service: Service) -> list[str]:
    """The flags, but for the name and the entrypoint."""
    parts: list[Callable[..., Iterator[str]]] = [plain, environment, shared, life, health, log, on_networks, mounted]
    return [word for part in parts for word in part(project, service)]


def plain(project: Project, service: Service) -> Iterator[str]:
    for flag, key in SWITCHES.items():
        if getattr(service, key):
            yield flag
    for flag, key in VALUES.items():
        value = getattr(service, key)
        if value not in ("", None) and (key != "pull_policy" or value in PULLS):
            yield from (flag, str(value))
    for flag, key in LISTS.items():
        for value in getattr(service, key):
            yield from (flag, value)
    for flag, key in PAIRS.items():
        for name, value in getattr(service, key).items():
            yield from (flag, f"{name}={value}")
    for flag, name in LIMITS.items():
        if (value := translation.limits(service).get(name)) is not None:
            yield from (flag, str(value))
    for flag, value in of_disks(service):
        yield from (flag, value)
    for name, one in service.ulimits.items():
        yield from ("--ulimit", f"{name}={one.soft}:{one.hard}")
    for one in service.devices:
        yield from ("--device", f"{one.source}:{one.target or one.source}:{one.permissions or 'rwm'}")


def of_disks(service: Service) -> Iterator[tuple[str, str]]:
    """The flags for them, and what each says."""
    said = translation.disks(service)
    flags = {word: f"--{key.replace('_', '-')}" for key, word in translation.RATES.items()}
    if said["blkio_weight"]:
        yield "--blkio-weight", str(said["blkio_weight"])
    for path, weight in said["blkio_weight_devices"]:
        yield "--blkio-weight-device", f"{path}:{weight}"
    for path, word, rate in said["device_rates"]:
        yield flags[word], f"{path}:{rate}"


def environment(project: Project, service: Service) -> Iterator[str]:
    for name, value in service.environment.items():
        yield from ("--env", name if value is None else f"{name}={value}")


def shared(project: Project, service: Service) -> Iterator[str]:
    """The namespaces of another one, by that one's first container."""
    for key in ("ipc", "pid"):
        word = getattr(service, key)
        if word:
            yield from (f"--{key}", of_container(project, word))
    if service.userns_mode and service.userns_mode != "host":
        yield from ("--userns", service.userns_mode)


def of_container(project: Project, word: str) -> str:
    """``service:db`` as ``container:demo-db-1``."""
    kind, _, name = word.partition(":")
    return f"container:{naming.container(project, project.services[name], 1)}" if kind == "service" else word


def life(project: Project, service: Service) -> Iterator[str]:
    if found := translation.restart(service):
        yield from ("--restart", found["name"] + (f":{found['most']}" if found["most"] and found["name"] == "on-failure" else ""))
    if service.stop_grace_period is not None:
        yield from ("--stop-timeout", str(translation.grace(service)))


def health(project: Project, service: Service) -> Iterator[str]:
    one = service.healthcheck or Healthcheck()
    if one.disable or one.test[:1] == ["NONE"]:
        yield "--no-healthcheck"
        return
    if one.test:
        yield from ("--health-cmd", in_a_shell(one.test))
    for name in ("interval", "timeout", "start_period", "start_interval"):
        if value := getattr(one, name):
            yield from (f"--health-{name.replace('_', '-')}", durations.in_words(value))
    if one.retries:
        yield from ("--health-retries", str(one.retries))


def in_a_shell(test: list[str]) -> str:
    """``run`` takes a line for a shell only."""
    import shlex

    return test[1] if test[0] == "CMD-SHELL" else shlex.join(test[1:])


def log(project: Project, service: Service) -> Iterator[str]:
    if service.logging and service.logging.driver:
        yield from ("--log-driver", service.logging.driver)
    for name, value in (service.logging.options if service.logging else {}).items():
        yield from ("--log-opt", f"{name}={value}")


def on_networks(project: Project, service: Service) -> Iterator[str]:
    if service.network_mode:
        yield from ("--network", of_container(project, service.network_mode))
    else:
        for one in connections.attached(project, service, True):
            yield from ("--network", attachment(one))
    for name, those in service.extra_hosts.items():
        for one in those:
            yield from ("--add-host", f"{name}:{one}")
    for one in service.ports:
        host = f"{one.host_ip}:" if ":" not in one.host_ip else f"[{one.host_ip}]:"
        front = (host if one.host_ip else "") + (f"{one.published}:" if one.published or one.host_ip else "")
        yield from ("--publish", f"{front}{one.target}/{one.protocol}")


def attachment(one: dict) -> str:
    """``name=demo_default,alias=web``."""
    pairs = [("name", one["network"]), *(("alias", name) for name in one["aliases"]), ("ip", one["ipv4"]), ("ip6", one["ipv6"]),
             ("mac-address", one["mac"]), ("gw-priority", one["priority"])]  # fmt: skip
    if one["interface"]:
        pairs.append(("driver-opt", f"{connections.IFNAME}={one['interface']}"))
    return ",".join(f"{name}={value}" for name, value in pairs if value)


def mounted(project: Project, service: Service) -> Iterator[str]:
    for one in service.volumes:
        if mounts.is_short(one):
            yield from ("--volume", mounts.word(project, one))
        elif mounts.is_anonymous(one):
            yield from ("--volume", one.target)
        else:
            yield from ("--mount", mount(mounts.wish(project, one)))
    for one in mounts.bound(project, service):
        yield from ("--mount", mount(one))
    for word in service.volumes_from:
        name, colon, mode = word.removeprefix("container:").partition(":")
        if not word.startswith("container:"):
            name = naming.container(project, project.services[name], 1)
        yield from ("--volumes-from", name + colon + mode)


def mount(wish: dict) -> str:
    """``type=bind,source=/a,target=/b,readonly``; a field with a comma in it stands in quotes."""
    fields = [f"type={wish['type']}", *(f"{name}={wish[name]}" for name in ("source", "target") if wish[name])]
    fields += ["readonly"] if wish["ro"] else []
    for name, flag in MOUNT_FLAGS.items():
        if wish.get(name):
            fields.append(flag if wish[name] is True else f"{flag}={wish[name]:o}" if name == "permissions" else f"{flag}={wish[name]}")
    fields += [f"volume-label={name}={value}" for name, value in wish.get("labels", {}).items()]
    return ",".join('"' + one.replace('"', '""') + '"' if "," in one or '"' in one else one for one in fields)


MOUNT_FLAGS = {
    "propagation": "bind-propagation", "recursion": "bind-recursive", "create": "bind-create-src", "nocopy": "volume-nocopy",
    "volume_subpath": "volume-subpath", "size": "tmpfs-size", "permissions": "tmpfs-mode", "image_subpath": "image-subpath",
}  # fmt: skip
