"""A service: one kind of container, and how many of it there are to be."""

from __future__ import annotations

from lib.compose.model.build import Build
from lib.compose.model.connections import Port
from lib.compose.model.container import Container, PreStart
from lib.compose.model.life import Dependency, Deploy, Develop, Healthcheck, Hook


class Service(Container):
    name: str
    attach: bool = True
    build: Build | None = None
    container_name: str = ""
    depends_on: dict[str, Dependency] = {}
    deploy: Deploy | None = None
    develop: Develop | None = None
    expose: list[str] = []
    external_links: list[str] = []
    healthcheck: Healthcheck | None = None
    links: list[str] = []
    ports: list[Port] = []
    post_start: list[Hook] = []
    pre_start: list[PreStart] = []
    pre_stop: list[Hook] = []
    profiles: list[str] = []
    provider: dict | None = None
    restart: str = ""
    scale: int | None = None
    stdin_open: bool = False
    tty: bool = False

    @property
    def replicas(self) -> int:
        """How many containers of it there are to be."""
        if self.scale is not None:
            return self.scale
        if self.deploy and self.deploy.replicas is not None:
            return self.deploy.replicas
        return 1
