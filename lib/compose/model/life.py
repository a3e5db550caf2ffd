"""How a service lives: what it waits for, who looks after it, what it may use up."""

from __future__ import annotations

from typing import Literal

from lib.compose.model.base import Names, Part


class Dependency(Part):
    condition: Literal["service_started", "service_healthy", "service_completed_successfully"] = "service_started"
    restart: bool = False
    required: bool = True


class Healthcheck(Part):
    test: list[str] = []
    interval: int | None = None
    timeout: int | None = None
    retries: int | None = None
    start_period: int | None = None
    start_interval: int | None = None
    disable: bool = False


class Hook(Part):
    """A command of ``post_start`` or ``pre_stop`` (in the container), or of ``pre_start`` (in a container of its own, before)."""

    command: list[str] = []
    user: str = ""
    privileged: bool = False
    working_dir: str = ""
    environment: dict[str, str | None] = {}
    image: str = ""
    per_replica: bool = False


class Logging(Part):
    driver: str = ""
    options: Names = {}


class Limits(Part):
    cpus: float | None = None
    memory: int | None = None
    pids: int | None = None


class Reservations(Part):
    cpus: float | None = None
    memory: int | None = None
    devices: list[dict] = []
    generic_resources: list[dict] = []


class Resources(Part):
    limits: Limits | None = None
    reservations: Reservations | None = None


class RestartPolicy(Part):
    condition: str = "any"
    delay: int | None = None
    max_attempts: int | None = None
    window: int | None = None


class UpdateConfig(Part):
    parallelism: int | None = None
    delay: int | None = None
    failure_action: str = ""
    monitor: int | None = None
    max_failure_ratio: float | None = None
    order: Literal["", "stop-first", "start-first"] = ""


class Deploy(Part):
    mode: str = ""
    replicas: int | None = None
    endpoint_mode: str = ""
    labels: Names = {}
    placement: dict | None = None
    resources: Resources | None = None
    restart_policy: RestartPolicy | None = None
    rollback_config: UpdateConfig | None = None
    update_config: UpdateConfig | None = None


class Watch(Part):
    """One line of ``develop.watch``: what happens when files below ``path`` change."""

    path: str
    action: Literal["rebuild", "sync", "restart", "sync+restart", "sync+exec"]
    target: str = ""
    ignore: list[str] = []
    include: list[str] = []
    initial_sync: bool = False
    exec: Hook | None = None


class Develop(Part):
    watch: list[Watch] = []
