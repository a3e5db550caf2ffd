"""How a service lives: what it waits for, who looks after it, what it may use up."""

from __future__ import annotations

from typing import Literal

from lib.compose.model.base import Bytes, Names, Nanoseconds, Part


class Dependency(Part):
    condition: Literal["service_started", "service_healthy", "service_completed_successfully"] = "service_started"
    restart: bool = False
    required: bool = True


class Healthcheck(Part):
    test: list[str] = []
    timeout: Nanoseconds = None
    interval: Nanoseconds = None
    retries: int | None = None
    start_period: Nanoseconds = None
    start_interval: Nanoseconds = None
    disable: bool = False


class Hook(Part):
    """A command of ``post_start`` or ``pre_stop``, in the container."""

    command: list[str] | None = None
    user: str = ""
    privileged: bool = False
    working_dir: str = ""
    environment: dict[str, str | None] = {}


class Logging(Part):
    driver: str = ""
    options: Names = {}


class Limits(Part):
    cpus: float | None = None
    memory: Bytes = None
    pids: int | None = None


class Reservations(Part):
    cpus: float | None = None
    memory: Bytes = None
    devices: list[dict] = []
    generic_resources: list[dict] = []


class Resources(Part):
    limits: Limits | None = None
    reservations: Reservations | None = None


class RestartPolicy(Part):
    condition: str = ""  # empty is any
    delay: Nanoseconds = None
    max_attempts: int | None = None
    window: Nanoseconds = None


class UpdateConfig(Part):
    parallelism: int | None = None
    delay: Nanoseconds = None
    failure_action: str = ""
    monitor: Nanoseconds = None
    max_failure_ratio: float | None = None
    order: Literal["", "stop-first", "start-first"] = ""


class Deploy(Part):
    mode: str = ""
    replicas: int | None = None
    labels: Names = {}
    update_config: UpdateConfig | None = None
    rollback_config: UpdateConfig | None = None
    resources: Resources | None = None
    restart_policy: RestartPolicy | None = None
    placement: dict | None = None
    endpoint_mode: str = ""


class Watch(Part):
    """One line of ``develop.watch``: what happens when files below ``path`` change."""

    path: str
    action: Literal["rebuild", "sync", "restart", "sync+restart", "sync+exec"]
    target: str = ""
    exec: Hook | None = None
    include: list[str] = []
    ignore: list[str] = []
    initial_sync: bool = False


class Develop(Part):
    watch: list[Watch] = []
