"""What the words of ``run`` and ``create`` come to, for an image: the facts that a container is made of.

Nothing is done here yet. Who calls this has a container's id, name and state to add.
"""

from __future__ import annotations

from lib.cli.containers import rates
from lib.cli.containers.policies import healthcheck, restart
from lib.cli.flags import keyvalues
from lib.cli.networks.attachments import network
from lib.cli.volumes import mounting
from lib.engine.log.driver import log
from lib.engine.networks.exposed import exposed
from lib.engine.networks.published import published
from lib.engine.wishes import Wishes, facts
from lib.images import Image
from lib.process import signal_number

PULLS = ("always", "missing", "never")
LIMITS = ("blkio_weight", "memory", "memory_swap", "memory_reservation", "cpus", "cpu_period", "cpu_quota", "cpu_shares", "cpuset_mems",
          "pids_limit")  # fmt: skip
OF_CONTAINER = (
    "cap_add", "cap_drop", "devices", "domainname", "hostname", "init", "oom_kill_disable", "privileged", "read_only",
    "security_opt", "shm_size", "tmpfs", "tty",
)  # fmt: skip
SHARED = {"cgroupns": "cgroupns", "ipc": "ipc", "pid_mode": "pid_mode", "uts": "uts"}


def check(values: dict) -> None:
    """Can the words be meant together? Asked before any image is pulled for them. Raises ``ValueError``."""
    if values["pull"] not in ("", *PULLS):
        words = '"always", "missing" or "never"'
        raise ValueError(f"invalid pull option: '{values['pull']}': must be one of {words}")
    if not -1 <= values["memory_swappiness"] <= 100:
        raise ValueError(f"invalid value: {values['memory_swappiness']}. Valid memory swappiness range is 0-100")
    signal(values["stop_signal"])
    restart(values)
    healthcheck(values)
    shared(values)
    log(values["log_driver"], values["log_opt"])
    exposed(values["expose"])
    network(values)
    published(values["publish"])
    mounting.check(values)


def wished(values: dict, image: Image) -> dict:
    """The facts of a container: all but its id, its name, when it was created and its state. Raises ``ValueError``."""
    check(values)
    return facts(image, wishes(values)) | {
        "image_name": values["image"],
        "auto_remove": values["rm"],
        "network": network_and_ports(values, image),
        "log": log(values["log_driver"], values["log_opt"]),
        **restart(values),
        **mounting.asked(values),
        **({"groups": list(values["groups"])} if values["groups"] else {}),
        **({"annotations": keyvalues.labels((), values["annotation"])} if values["annotation"] else {}),
    }


def network_and_ports(values: dict, image: Image) -> dict:
    """Raises ``ValueError``, for ports too that could lead nowhere, as this user or this kernel can have no network."""
    found = network(values) | {"ports": ports(values, image)}
    if found["mode"].startswith("container:"):
        from lib.engine.networks.shared import refused  # few live in another one's

        asked = {name: values[name] for name in ("hostname", "dns", "hosts")} | {"ports": found["ports"], "exposed": values["expose"]}
        for _, words in refused(found["mode"], **asked):
            raise ValueError(words)
    if found["ports"] and found["mode"] == "none" and not values["networks"]:
        from lib.network import possible

        raise ValueError(f"no port can be published: {possible.why_not()}")
    return found


def ports(values: dict, image: Image) -> list[dict]:
    """What is to be published: by name, and with ``-P`` all that the image and the caller expose. Raises ``ValueError``."""
    found = published(values["publish"])
    if values["publish_all"]:
        named = {(one["port"], one["protocol"]) for one in found}
        shown = [*(image.runtime.get("ExposedPorts") or {}), *exposed(values["expose"])]
        found += [one for word in dict.fromkeys(shown) for one in published([word]) if (one["port"], one["protocol"]) not in named]
    return found


def wishes(values: dict) -> Wishes:
    return Wishes(
        command=values["command"],
        entrypoint=None if values["entrypoint"] is None else [*filter(None, [values["entrypoint"]])],
        env=keyvalues.environment(values["env_file"], values["env"]),
        workdir=values["workdir"],
        user=values["user"],
        labels=keyvalues.labels(values["label_file"], values["label"]),
        volumes=mounting.without_a_name(values["volumes"]),
        exposed=[*exposed(values["expose"]), *(f"{one['port']}/{one['protocol']}" for one in published(values["publish"]))],
        stop_signal=signal(values["stop_signal"]),
        stop_timeout=values["stop_timeout"],
        healthcheck=healthcheck(values),
        interactive=values["interactive"],
        attach=attached(values),
        options=options(values),
    )


def options(values: dict) -> dict:
    """The keyword arguments of ``Container``, as JSON has them; what was not said is left out. Raises ``ValueError``."""
    said = {name: values[name] for name in OF_CONTAINER} | limits(values) | shared(values)
    said["volumes"] = mounting.binds(values["volumes"])
    said |= {"device_rates": rates.asked(values), "blkio_weight_devices": rates.weights(values), "device_cgroup_rules": values["rules"]}
    said["sysctls"] = dict(word.partition("=")[::2] for word in values["sysctls"])
    said["ulimits"] = {name: [soft, hard] for name, soft, hard in values["ulimits"]}
    found = {name: list(value) if isinstance(value, tuple) else value for name, value in said.items() if value}
    zero = {"oom_score_adj": values["oom_score_adj"]}  # with these, nothing is one thing, and 0 another
    zero["memory_swappiness"] = None if values["memory_swappiness"] == -1 else values["memory_swappiness"]
    return found | {name: value for name, value in zero.items() if value is not None}


def limits(values: dict) -> dict:
    """What ``run`` and ``update`` say of what may be used up; what was not said is left out."""
    said = {name: values[name] for name in LIMITS} | {"cpuset": values["cpuset_cpus"]}
    return {name: value for name, value in said.items() if value}


def shared(values: dict) -> dict:
    """The namespaces that are not to be its own: the machine's, or (PID, IPC) another container's. Raises ``ValueError``."""
    found = {}
    for flag, name in SHARED.items():
        word = values[flag]
        if name in ("pid_mode", "ipc") and word.startswith("container:"):
            from lib.engine import finding

            found[name] = f"container:{finding.find(word.partition(':')[2])['id']}"
        elif word == "host" or (name == "ipc" and word in ("none", "shareable")):
            found[name] = word
        elif word not in ("", "private") or (word and name in ("pid_mode", "uts")):
            flag = flag.removesuffix("_mode")
            raise ValueError(f"--{flag}: invalid {flag.removesuffix('ns').upper()} mode: {word}")
    return found


def attached(values: dict) -> list[str]:
    """The streams that the caller keeps in hand: those named by ``--attach``, else both outputs, and with ``-i`` stdin, too."""
    if values.get("detach"):
        return []
    named = values["attach"] or ("stdout", "stderr")
    return [one for one in ("stdin", "stdout", "stderr") if one in named or (one == "stdin" and values["interactive"])]


def signal(word: str) -> str | None:
    """``--stop-signal``, as it was typed. Raises ``ValueError``."""
    try:
        if word:
            signal_number(word)
    except ValueError:
        raise ValueError(f"invalid signal: {word} (kill -l lists them)") from None
    return word or None
