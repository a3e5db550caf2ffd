"""Compose projects for tests: built from the model by hand, brought up, looked at, taken away."""

from __future__ import annotations

from helpers.lives import BUSYBOX, Lives
from lib.compose.acting import Down, Recorder, Up, carry_out, observe
from lib.compose.model import Network, Project, Service
from lib.engine import ending
from lib.state import kept


def service(name: str = "web", **keys) -> Service:
    """A busybox that sleeps, unless it is said otherwise."""
    return Service(**{"name": name, "image": BUSYBOX, "command": ["sleep", "1000"], "stop_grace_period": 0, **keys})


def project(*services: Service, name: str = "demo", **keys) -> Project:
    networks = keys.pop("networks", {}) | {"default": Network(name=f"{name}_default")}
    return Project(**{"name": name, "services": {one.name: one for one in services}, "networks": networks, **keys})


class Bench:
    """Carries out what is wished, and takes everything away at the end."""

    def __init__(self, lives: Lives):
        self.lives, self.library, self.projects = lives, lives.library, {}

    def do(self, wanted: Project, wishes=None) -> Recorder:
        """What the reporter heard."""
        self.projects[wanted.name] = wanted
        heard = Recorder()
        self.plan = carry_out(self.library, wanted, Up() if wishes is None else wishes, heard)
        return heard

    def seen(self, name: str = "demo") -> dict[str, str]:
        """The containers of a project, and how each is."""
        return {one.name: one.status for one in observe(self.library, name).containers}

    def facts(self, name: str) -> dict:
        return next(one for one in kept.every() if one["name"] == name)

    def clean(self) -> None:
        for one in kept.every():
            ending.remove(one, force=True, volumes=True)
        for wanted in self.projects.values():
            carry_out(self.library, Project(name=wanted.name), Down(volumes=True))
