"""A service: one kind of container, and how many of it there are to be."""

from __future__ import annotations

from lib.compose.model.base import Names, Part
from lib.compose.model.build import Build, EnvFile, FileGrant, Ulimit
from lib.compose.model.connections import Attachment, Device, Mount, Port
from lib.compose.model.life import Dependency, Deploy, Develop, Healthcheck, Hook, Logging


class Service(Part):
    name: str
    annotations: Names = {}
    attach: bool = True
    blkio_config: dict | None = None
    build: Build | None = None
    cap_add: list[str] = []
    cap_drop: list[str] = []
    cgroup: str = ""
    cgroup_parent: str = ""
    command: list[str] | None = None
    configs: list[FileGrant] = []
    container_name: str = ""
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
    depends_on: dict[str, Dependency] = {}
    deploy: Deploy | None = None
    develop: Develop | None = None
    device_cgroup_rules: list[str] = []
    devices: list[Device] = []
    dns: list[str] = []
    dns_opt: list[str] = []
    dns_search: list[str] = []
    domainname: str = ""
    entrypoint: list[str] | None = None
    env_file: list[EnvFile] = []
    environment: dict[str, str | None] = {}  # that of the env_files is in it; None takes the image's away
    expose: list[str] = []
    extends: dict | None = None
    external_links: list[str] = []
    extra_hosts: dict[str, list[str]] = {}
    gpus: list[dict] | str | None = None
    group_add: list[str] = []
    healthcheck: Healthcheck | None = None
    hostname: str = ""
    image: str = ""
    init: bool | None = None
    ipc: str = ""
    isolation: str = ""
    label_file: list[str] = []
    labels: Names = {}
    links: list[str] = []
    logging: Logging | None = None
    mac_address: str = ""
    mem_limit: int | None = None
    mem_reservation: int | None = None
    mem_swappiness: int | None = None
    memswap_limit: int | None = None
    models: dict | None = None
    network_mode: str = ""
    networks: dict[str, Attachment | None] = {}  # "default" where the file says nothing
    oom_kill_disable: bool = False
    oom_score_adj: int | None = None
    pid: str = ""
    pids_limit: int | None = None
    platform: str = ""
    ports: list[Port] = []
    post_start: list[Hook] = []
    pre_start: list[Hook] = []
    pre_stop: list[Hook] = []
    privileged: bool = False
    profiles: list[str] = []
    provider: dict | None = None
    pull_policy: str = ""
    pull_refresh_after: str = ""
    read_only: bool = False
    restart: str = ""
    runtime: str = ""
    scale: int | None = None
    secrets: list[FileGrant] = []
    security_opt: list[str] = []
    shm_size: int | None = None
    stdin_open: bool = False
    stop_grace_period: int | None = None
    stop_signal: str = ""
    storage_opt: Names = {}
    sysctls: Names = {}
    tmpfs: list[str] = []
    tty: bool = False
    ulimits: dict[str, Ulimit] = {}
    use_api_socket: bool = False
    user: str = ""
    userns_mode: str = ""
    uts: str = ""
    volumes: list[Mount] = []
    volumes_from: list[str] = []
    working_dir: str = ""

    @property
    def replicas(self) -> int:
        """How many containers of it there are to be."""
        if self.scale is not None:
            return self.scale
        if self.deploy and self.deploy.replicas is not None:
            return self.deploy.replicas
        return 1
