"""All keys of a service."""

from __future__ import annotations

from lib.compose.reading.schema.kinds import (
    AMOUNT,
    ANYTHING,
    COMMAND,
    COUNT,
    HOSTS,
    NAME,
    OPTIONS,
    PAIRS,
    SWITCH,
    TEXT,
    TEXT_OR_LIST,
    TEXTS,
    UNIQUE_TEXTS,
    Between,
    Keys,
    Named,
    Pattern,
    Several,
    Words,
)

RATE = Keys({"path": TEXT, "rate": COUNT}, extensions=False)
WEIGHT = Keys({"path": TEXT, "weight": COUNT}, extensions=False)
ULIMITS = Named((COUNT, Keys({"hard": COUNT, "soft": COUNT}, ("soft", "hard"))))
GRANTS = Several((TEXT, Keys({"source": TEXT, "target": TEXT, "uid": TEXT, "gid": TEXT, "mode": AMOUNT})))
HOOK_KEYS = {"command": COMMAND, "user": TEXT, "privileged": SWITCH, "working_dir": TEXT, "environment": PAIRS}
HOOK = Keys(HOOK_KEYS, ("command",))

PULL = Pattern(
    r"always|never|build|if_not_present|missing|refresh|daily|weekly|every_([0-9]+[wdhms])+",
    "always, never, build, missing, daily, weekly or every_12h",
)

DEVICE_REQUEST = {"capabilities": UNIQUE_TEXTS, "count": COUNT, "device_ids": UNIQUE_TEXTS, "driver": TEXT, "options": PAIRS}

ATTACHMENT = Keys(
    {
        "aliases": UNIQUE_TEXTS, "interface_name": TEXT, "ipv4_address": TEXT, "ipv6_address": TEXT, "link_local_ips": UNIQUE_TEXTS,
        "mac_address": TEXT, "driver_opts": OPTIONS, "priority": "number", "gw_priority": "number",
    }
)  # fmt: skip

MOUNT = Keys(
    {
        "type": Words(("bind", "volume", "tmpfs", "cluster", "npipe", "image")),
        "source": TEXT,
        "target": TEXT,
        "read_only": SWITCH,
        "consistency": TEXT,
        "bind": Keys(
            {
                "propagation": TEXT,
                "create_host_path": SWITCH,
                "recursive": Words(("enabled", "disabled", "writable", "readonly")),
                "selinux": Words(("z", "Z")),
            }
        ),
        "volume": Keys({"labels": PAIRS, "nocopy": SWITCH, "subpath": TEXT}),
        "tmpfs": Keys({"size": (TEXT, Between(0)), "mode": AMOUNT}),
        "image": Keys({"subpath": TEXT}),
    },
    ("type",),
)

PORT = Keys({"name": TEXT, "mode": TEXT, "host_ip": TEXT, "target": COUNT, "published": COUNT, "protocol": TEXT, "app_protocol": TEXT})

HEALTHCHECK = Keys(
    {
        "disable": SWITCH, "interval": TEXT, "retries": AMOUNT, "test": (TEXT, TEXTS), "timeout": TEXT,
        "start_period": TEXT, "start_interval": TEXT,
    }
)  # fmt: skip

BUILD = Keys(
    {
        "context": TEXT, "dockerfile": TEXT, "dockerfile_inline": TEXT, "entitlements": TEXTS, "args": PAIRS, "ssh": PAIRS, "labels": PAIRS,
        "cache_from": TEXTS, "cache_to": TEXTS, "no_cache": SWITCH, "no_cache_filter": TEXT_OR_LIST, "additional_contexts": PAIRS,
        "network": TEXT, "provenance": SWITCH, "sbom": SWITCH, "pull": SWITCH, "target": TEXT, "shm_size": COUNT, "extra_hosts": HOSTS,
        "isolation": TEXT, "privileged": SWITCH, "secrets": GRANTS, "tags": TEXTS, "ulimits": ULIMITS, "platforms": TEXTS,
    }
)  # fmt: skip

WATCH = Keys(
    {
        "ignore": TEXT_OR_LIST, "include": TEXT_OR_LIST, "path": TEXT, "target": TEXT, "exec": HOOK, "initial_sync": "bool",
        "action": Words(("rebuild", "sync", "restart", "sync+restart", "sync+exec")),
    },
    ("path", "action"),
)  # fmt: skip

UPDATE = Keys(
    {
        "parallelism": COUNT, "delay": TEXT, "failure_action": TEXT, "monitor": TEXT, "max_failure_ratio": AMOUNT,
        "order": Words(("start-first", "stop-first")),
    }
)  # fmt: skip

RESERVATIONS = Keys(
    {
        "cpus": AMOUNT,
        "memory": TEXT,
        "generic_resources": Several(Keys({"discrete_resource_spec": Keys({"kind": TEXT, "value": AMOUNT})})),
        "devices": Several(Keys(DEVICE_REQUEST, ("capabilities",))),
    }
)

DEPLOY = Keys(
    {
        "mode": TEXT,
        "endpoint_mode": TEXT,
        "replicas": COUNT,
        "labels": PAIRS,
        "rollback_config": UPDATE,
        "update_config": UPDATE,
        "resources": Keys({"limits": Keys({"cpus": AMOUNT, "memory": TEXT, "pids": COUNT}), "reservations": RESERVATIONS}),
        "restart_policy": Keys({"condition": TEXT, "delay": TEXT, "max_attempts": COUNT, "window": TEXT}),
        "placement": Keys({"constraints": TEXTS, "preferences": Several(Keys({"spread": TEXT})), "max_replicas_per_node": COUNT}),
    }
)

DEPENDENCY = Keys(
    {
        "restart": SWITCH,
        "required": SWITCH,
        "condition": Words(("service_started", "service_healthy", "service_completed_successfully")),
    },
    ("condition",),
)

# What a container has: the service's, and that of a ``pre_start`` hook, which takes all it does not say from its service.
CONTAINER = {
    "annotations": PAIRS,
    "blkio_config": Keys(
        {
            "device_read_bps": Several(RATE), "device_read_iops": Several(RATE), "device_write_bps": Several(RATE),
            "device_write_iops": Several(RATE), "weight": COUNT, "weight_device": Several(WEIGHT),
        },
        extensions=False,
    ),
    "cap_add": UNIQUE_TEXTS,
    "cap_drop": UNIQUE_TEXTS,
    "cgroup": Words(("host", "private")),
    "cgroup_parent": TEXT,
    "command": COMMAND,
    "configs": GRANTS,
    "cpu_count": (TEXT, Between(0)),
    "cpu_percent": (TEXT, Between(0, 100)),
    **dict.fromkeys(("cpu_shares", "cpu_quota", "cpu_period", "cpu_rt_period", "cpu_rt_runtime", "cpus"), AMOUNT),
    "cpuset": TEXT,
    "credential_spec": Keys({"config": TEXT, "file": TEXT, "registry": TEXT}),
    "device_cgroup_rules": UNIQUE_TEXTS,
    "devices": Several((TEXT, Keys({"source": TEXT, "target": TEXT, "permissions": TEXT}, ("source",)))),
    "dns": TEXT_OR_LIST,
    "dns_opt": UNIQUE_TEXTS,
    "dns_search": TEXT_OR_LIST,
    "domainname": TEXT,
    "entrypoint": COMMAND,
    "env_file": (TEXT, Several((TEXT, Keys({"path": TEXT, "format": TEXT, "required": SWITCH}, ("path",), extensions=False)))),
    "label_file": (TEXT, TEXTS),
    "environment": PAIRS,
    "extra_hosts": HOSTS,
    "gpus": (Words(("all",)), Several(Keys(DEVICE_REQUEST))),
    "group_add": Several("text|number", unique=True),
    "hostname": TEXT,
    "image": TEXT,
    "init": SWITCH,
    "ipc": TEXT,
    "isolation": TEXT,
    "labels": PAIRS,
    "logging": Keys({"driver": TEXT, "options": Named("text|number|null")}),
    "mac_address": TEXT,
    "mem_limit": AMOUNT,
    "mem_reservation": COUNT,
    "mem_swappiness": COUNT,
    "memswap_limit": AMOUNT,
    "network_mode": TEXT,
    "models": (UNIQUE_TEXTS, Named((Keys({"endpoint_var": TEXT, "model_var": TEXT}), "null"), NAME)),
    "networks": (UNIQUE_TEXTS, Named((ATTACHMENT, "null"), NAME)),
    "oom_kill_disable": SWITCH,
    "oom_score_adj": (TEXT, Between(-1000, 1000)),
    "pid": "text|null",
    "pids_limit": AMOUNT,
    "platform": TEXT,
    "privileged": SWITCH,
    "pull_policy": PULL,
    "pull_refresh_after": TEXT,
    "read_only": SWITCH,
    "runtime": TEXT,
    "security_opt": UNIQUE_TEXTS,
    "shm_size": AMOUNT,
    "secrets": GRANTS,
    "sysctls": PAIRS,
    "stop_grace_period": TEXT,
    "stop_signal": TEXT,
    "storage_opt": Named(ANYTHING),
    "tmpfs": TEXT_OR_LIST,
    "ulimits": ULIMITS,
    "use_api_socket": "bool",
    "user": TEXT,
    "uts": TEXT,
    "userns_mode": TEXT,
    "volumes": Several((TEXT, MOUNT), unique=True),
    "volumes_from": UNIQUE_TEXTS,
    "working_dir": TEXT,
}  # fmt: skip

# What is run, over and over: a service, or a job.
WORKLOAD = {
    "build": (TEXT, BUILD),
    "depends_on": (UNIQUE_TEXTS, Named(DEPENDENCY, NAME)),
    "healthcheck": HEALTHCHECK,
    "ports": Several(("number|text", PORT), unique=True),
    "expose": Several("text|number", unique=True),
    "stdin_open": SWITCH,
    "tty": SWITCH,
}

SERVICE = Keys(
    {
        **CONTAINER,
        **WORKLOAD,
        "attach": SWITCH,
        "container_name": Pattern(r".*[a-zA-Z0-9][a-zA-Z0-9_.-]+.*", "a name of letters, digits, - _ and ."),
        "deploy": ("null", DEPLOY),
        "develop": ("null", Keys({"watch": Several(WATCH)})),
        "extends": (TEXT, Keys({"service": TEXT, "file": TEXT}, ("service",), extensions=False)),
        "external_links": UNIQUE_TEXTS,
        "links": UNIQUE_TEXTS,
        "pre_start": Several(Keys({**CONTAINER, "per_replica": SWITCH})),
        "post_start": Several(HOOK),
        "pre_stop": Several(HOOK),
        "profiles": UNIQUE_TEXTS,
        "provider": Keys({"type": TEXT, "options": Named(("text|number|bool", Several("text|number|bool")))}, ("type",)),
        "restart": TEXT,
        "scale": COUNT,
    }
)
