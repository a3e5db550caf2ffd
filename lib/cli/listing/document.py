"""``inspect`` of a container: what we know of it, in the shape and the units of Docker's API (version 1.52)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lib import sizes
from lib.cli.listing.rows import ANY, network
from lib.engine.finding import mounts, ways_in
from lib.engine.plays import restarting

BILLION = 10**9
SHARED_MEMORY = 64 << 20  # bytes of /dev/shm, see ``rootfs``
ADDRESSES = {"NetworkID": "", "EndpointID": "", "Gateway": "", "IPAddress": "", "IPPrefixLen": 0, "MacAddress": ""}


def document(facts: dict, place: Path) -> dict:
    """``place`` is the container's folder."""
    keeps_log = facts["log"]["driver"] != "none"
    return {
        "Id": facts["id"],
        "Created": facts["created"],
        "Path": facts["argv"][0],
        "Args": facts["argv"][1:],
        "State": state(facts["state"]) | health(facts),
        "Image": facts["image"],
        "LogPath": str(place / "log") if keeps_log else "",
        "Name": f"/{facts['name']}",
        "RestartCount": restarting.tries_of(facts).count,
        "Driver": "overlay",
        "Platform": facts["platform"].partition("/")[0],
        "HostConfig": host_config(facts),
        "GraphDriver": {"Name": "overlay", "Data": {"UpperDir": str(place / "upper")}},
        "Mounts": [mount(one) for one in mounts(facts)],
        "Config": config(facts),
        "NetworkSettings": {"Ports": ports(facts), "Networks": networks(facts)},
    }


def networks(facts: dict) -> dict:
    """One that does not run is on its networks too, without addresses."""
    there = facts["state"].get("networks") or {}
    asked = {one["network"]: one for one in facts["network"]["networks"]} or {network(facts): {}}
    return {name: endpoint(there[name]) if name in there else {**ADDRESSES, **aliases(one)} for name, one in asked.items()}


def aliases(one: dict) -> dict:
    return {"Aliases": list(one["aliases"])} if one.get("aliases") else {}


def endpoint(one: dict) -> dict:
    return {
        "Aliases": one["aliases"] or None,
        "NetworkID": one["id"],
        "EndpointID": "",
        "Gateway": one["gateway"],
        "IPAddress": one["ipv4"],
        "IPPrefixLen": one["lengths"].get("4", 0),
        "IPv6Gateway": one["gateway6"],
        "GlobalIPv6Address": one["ipv6"],
        "GlobalIPv6PrefixLen": one["lengths"].get("6", 0),
        "MacAddress": one["mac"],
    }


def bindings(asked: Sequence[dict]) -> dict:
    """What was asked for; a random port is an empty text."""
    found: dict[str, list] = {}
    for one in asked:
        low, high = one["host"]
        where = "" if not low else str(low) if low == high else f"{low}-{high}"
        found.setdefault(f"{one['port']}/{one['protocol']}", []).append({"HostIp": one["ip"], "HostPort": where})
    return found


def ports(facts: dict) -> dict:
    """Of one that runs: those that it exposes, and where each is published."""
    if (published := ways_in(facts)) is None:
        return {}
    found: dict[str, list | None] = dict.fromkeys(facts["config"]["exposed_ports"] or ())
    for one in published:
        at = [{"HostIp": ip, "HostPort": str(one["host"])} for ip in ANY.get(one["ip"], (one["ip"],))]
        found[f"{one['port']}/{one['protocol']}"] = [*(found.get(f"{one['port']}/{one['protocol']}") or ()), *at]
    return found


def state(now: dict) -> dict:
    return {
        "Status": now["status"],
        "Running": now["status"] in ("running", "paused", "restarting"),
        "Paused": now["status"] == "paused",
        "Restarting": now["status"] == "restarting",
        "OOMKilled": now["oom_killed"],
        "Dead": False,
        "Pid": now["pid"],
        "ExitCode": now["exit_code"],
        "Error": now["error"],
        "StartedAt": now["started"],
        "FinishedAt": now["finished"],
    }


def health(facts: dict) -> dict:
    if not facts["config"].get("healthcheck"):
        return {}
    from lib.engine.health import known

    found = known.of(facts)
    return {"Health": found} if found else {}


def host_config(facts: dict) -> dict:
    options, asked = facts["options"], facts.get("asked") or {}
    found = {
        "Binds": [*(options.get("volumes") or ())] or None,
        "LogConfig": {"Type": facts["log"]["driver"], "Config": log_options(facts["log"])},
        "NetworkMode": network(facts),
        "PortBindings": bindings(facts["network"].get("ports") or ()),
        "RestartPolicy": restart_policy(facts),
        "AutoRemove": facts["auto_remove"],
        "CapAdd": capabilities(options.get("cap_add")),
        "CapDrop": capabilities(options.get("cap_drop")),
        "CgroupnsMode": options.get("cgroupns") or "private",
        "IpcMode": options.get("ipc") or "private",
        "PidMode": options.get("pid_mode") or "",
        "GroupAdd": facts.get("groups") or None,
        "OomScoreAdj": options.get("oom_score_adj") or 0,
        "Devices": [device(one) for one in options.get("devices") or ()],
        "Privileged": bool(options.get("privileged")),
        "ReadonlyRootfs": bool(options.get("read_only")),
        "SecurityOpt": options.get("security_opt") or None,
        "UTSMode": options.get("uts") or "",
        "VolumesFrom": asked.get("volumes_from") or None,
        "ShmSize": options.get("shm_size") or SHARED_MEMORY,
        **limits(options),
        **{name: value for name, value in (("Sysctls", options.get("sysctls")), ("Annotations", facts.get("annotations"))) if value},
    }
    if asked.get("mounts"):
        found["Mounts"] = [one["spec"] for one in asked["mounts"]]
    if options.get("tmpfs"):
        found["Tmpfs"] = {target: words for target, _, words in (one.partition(":") for one in options["tmpfs"])}
    return found | ({"Init": True} if options.get("init") else {})


def restart_policy(facts: dict) -> dict:
    policy = restarting.policy_of(facts)
    return {"Name": policy.name, "MaximumRetryCount": policy.most}


def device(text: str) -> dict:
    from lib.ingredients.devices import parts

    source, target, access = parts(text)
    return {"PathOnHost": source, "PathInContainer": target, "CgroupPermissions": access}


def capabilities(words: list[str] | None) -> list[str] | None:
    """``net_admin`` as ``CAP_NET_ADMIN``; ``ALL`` stays."""
    bare = [word.upper().removeprefix("CAP_") for word in words or ()]
    return [word if word == "ALL" else f"CAP_{word}" for word in bare] or None


def limits(options: dict) -> dict:
    """0 (of processes null) is no limit; the weight of v2's cpu.weight is told as v1's shares, as Docker counts them."""
    memory, weight = sizes.in_bytes(options.get("memory") or 0), options.get("cpu_weight")
    both = options.get("memory_swap") or 0
    return {
        "Memory": memory,
        "MemorySwap": -1 if str(both) == "-1" else sizes.in_bytes(both) or 2 * memory,
        "MemoryReservation": sizes.in_bytes(options.get("memory_reservation") or 0),
        "NanoCpus": round((options.get("cpus") or 0) * BILLION),
        "CpuShares": options.get("cpu_shares") or (2 + (weight - 1) * 262142 // 9999 if weight else 0),
        "CpuPeriod": options.get("cpu_period") or 0,
        "CpuQuota": options.get("cpu_quota") or 0,
        "CpusetCpus": options.get("cpuset") or "",
        "CpusetMems": options.get("cpuset_mems") or "",
        "PidsLimit": options.get("pids_limit"),
        "MemorySwappiness": options.get("memory_swappiness"),
        "OomKillDisable": oom_kill_disable(options),
        "BlkioWeight": options.get("blkio_weight") or 0,
        "BlkioWeightDevice": [{"Path": path, "Weight": weight} for path, weight in options.get("blkio_weight_devices") or ()],
        **{f"BlkioDevice{name}": rates(options, word) for name, word in RATES.items()},
        "DeviceCgroupRules": options.get("device_cgroup_rules") or None,
        "Ulimits": [{"Name": name, "Soft": soft, "Hard": hard} for name, (soft, hard) in (options.get("ulimits") or {}).items()],
    }


def oom_kill_disable(options: dict) -> bool | None:
    """Null where no kernel could do it: on cgroup v2."""
    from lib.ingredients.cgroups import rare

    return bool(options.get("oom_kill_disable")) if rare.has_file_of_v1("memory.oom_control") else None


RATES = {"ReadBps": "rbps", "ReadIOps": "riops", "WriteBps": "wbps", "WriteIOps": "wiops"}


def rates(options: dict, word: str) -> list[dict]:
    return [{"Path": path, "Rate": rate} for path, which, rate in options.get("device_rates") or () if which == word]


def log_options(log: dict) -> dict[str, str]:
    """Only what was asked for."""
    found = {"max-size": log["max_size"], "max-file": log["max_file"] if log["max_file"] > 1 else None}
    return {name: str(value) for name, value in found.items() if value}


def mount(one: dict) -> dict:
    """One of its mounts. Of a tmpfs only those of ``--mount`` are told here, as in Docker."""
    found = {"Type": one["type"], "Source": one.get("source", ""), "Destination": one["target"], "Mode": one["mode"], "RW": not one["ro"]}
    match one["type"]:
        case "volume":
            from lib.engine.volumes import store  # few have any

            place = str(store.volumes() / one["name"] / "data")
            return {"Type": "volume", "Name": one["name"], **found, "Source": place, "Driver": "local", "Propagation": ""}
        case "image":
            return {"Type": "image", "Name": one["source"], **found, "Source": "", "Propagation": "rprivate"}
    return found | {"Propagation": one.get("propagation", "")}


OPTIONAL = {"Healthcheck": "healthcheck", "ExposedPorts": "exposed_ports", "StopSignal": "stop_signal", "Shell": "shell"}


def config(facts: dict) -> dict:
    """Of the last ones only what there is, as in Docker."""
    here = facts["config"]
    found = {
        "Hostname": here["hostname"] or facts["id"][:12],
        "Domainname": here["domainname"],
        "User": here["user"],
        **{f"Attach{name.capitalize()}": name in here["attach"] for name in ("stdin", "stdout", "stderr")},
        "Tty": here["tty"],
        "OpenStdin": here["open_stdin"],
        "StdinOnce": here["stdin_once"],
        "Env": here["env"],
        "Cmd": here["cmd"],
        "Image": facts["image_name"],
        "Volumes": here["volumes"],
        "WorkingDir": here["workdir"],
        "Entrypoint": here["entrypoint"],
        "Labels": here["labels"],
    }
    rest = {name: here.get(key) for name, key in OPTIONAL.items()}
    timeout = {} if here["stop_timeout"] is None else {"StopTimeout": here["stop_timeout"]}
    return found | {name: value for name, value in rest.items() if value} | timeout
