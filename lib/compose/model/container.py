"""A container, as a service or a ``pre_start`` hook describes it."""

from __future__ import annotations

from lib.compose.model.base import Bytes, Names, Nanoseconds, Part
from lib.compose.model.build import EnvFile, FileGrant, Ulimit
from lib.compose.model.connections import Attachment, Device, Mount
from lib.compose.model.life import Logging


class Container(Part):
    """That of the ``env_file`` is in ``environment`` already, and that of the ``label_file`` in ``labels``.

    In ``environment``, None takes the image's value away. ``networks`` has "default" where the file says nothing.
    """

    annotations: Names = {}
    blkio_config: dict | None = None
    cap_add: list[str] = []
    cap_drop: list[str] = []
    cgroup: str = ""
    cgroup_parent: str = ""
    command: list[str] | None = None
    configs: list[FileGrant] = []
    cpu_count: int | None = None
    cpu_percent: float | None = None
    cpu_period: int | None = None
    cpu_quota: int | None = None
    cpu_rt_period: int | None = None
    cpu_rt_runtime: int | None = None
    cpu_shares: int | None = None
    cpus: float | None = None
    cpuset: str = ""
    credential_spec: dict | None = None
    device_cgroup_rules: list[str] = []
    devices: list[Device] = []
    dns: list[str] = []
    dns_opt: list[str] = []
    dns_search: list[str] = []
    domainname: str = ""
    entrypoint: list[str] | None = None
    env_file: list[EnvFile] = []
    environment: dict[str, str | None] = {}
    extra_hosts: dict[str, list[str]] = {}
    gpus: list[dict] = []
    group_add: list[str] = []
    hostname: str = ""
    image: str = ""
    init: bool | None = None
    ipc: str = ""
    isolation: str = ""
    label_file: list[str] = []
    labels: Names = {}
    logging: Logging | None = None
    mac_address: str = ""
    mem_limit: Bytes = None
    mem_reservation: Bytes = None
    mem_swappiness: Bytes = None
    memswap_limit: Bytes = None
    models: dict | None = None
    network_mode: str = ""
    networks: dict[str, Attachment | None] = {}
    oom_kill_disable: bool = False
    oom_score_adj: int | None = None
    pid: str = ""
    pids_limit: int | None = None
    platform: str = ""
    privileged: bool = False
    pull_policy: str = ""
    pull_refresh_after: str = ""
    read_only: bool = False
    runtime: str = ""
    secrets: list[FileGrant] = []
    security_opt: list[str] = []
    shm_size: Bytes = None
    stop_grace_period: Nanoseconds = None
    stop_signal: str = ""
    storage_opt: Names = {}
    sysctls: Names = {}
    tmpfs: list[str] = []
    ulimits: dict[str, Ulimit] = {}
    use_api_socket: bool = False
    user: str = ""
    userns_mode: str = ""
    uts: str = ""
    volumes: list[Mount] = []
    volumes_from: list[str] = []
    working_dir: str = ""


class PreStart(Container):
    """A hook that runs in a container of its own, before the service's. What it does not say is as in the service, but for volumes."""

    per_replica: bool = False
