"""Compose projects for tests: built from the model by hand, brought up, looked at, taken away."""

from __future__ import annotations

from helpers.lives import BUSYBOX, Lives
from lib.compose.acting import Down, Recorder, Up, carry_out, observe
from lib.compose.model import Network, Project, Service
from lib.compose.planning.observing import Container, Observed, Thing
from lib.compose.services import dependencies, naming
from lib.engine import ending
from lib.state import kept


def service(name: str = "web", **keys) -> Service:
    """A busybox that sleeps, unless it is said otherwise."""
    return Service(**{"name": name, "image": BUSYBOX, "command": ["sleep", "1000"], "stop_grace_period": 0, **keys})


def project(*services: Service, name: str = "demo", **keys) -> Project:
    networks = {"default": Network(name=f"{name}_default")} | keys.pop("networks", {})
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


# -- as if it were there ------------------------------------------------------------------------------------------------


def container(wanted: Project, one: Service, number: int = 1, **more) -> Container:
    """One of this service, as ``up`` leaves it."""
    keys = naming.keys(wanted, one)
    facts = {
        "id": f"{one.name}-{number}-".ljust(64, "0"), "name": naming.container(wanted, one, number), "service": one.name, "number": number,
        "oneoff": False, "keys": keys, "image": "sha256:1", "status": "running",
        "depends_on": {name: how._asdict() for name, how in dependencies.of(one).items()},
        "networks": () if one.network_mode else tuple(wanted.networks[key].name for key in one.networks or ["default"]),
        "volumes": {said.target: wanted.volumes[said.source].name for said in one.volumes if said.type == "volume" and said.source},
        "pre_stop": tuple(hook.model_dump(exclude_defaults=True) for hook in one.pre_stop),
    }  # fmt: skip
    return Container(**facts | more)


def observed(wanted: Project, *containers: Container, **more) -> Observed:
    """What is there of it: these containers, its networks and volumes, its images."""
    networks = {one.name: Thing(one.name, wanted.name, key, naming.of_shared(one)) for key, one in wanted.networks.items()}
    volumes = {one.name: Thing(one.name, wanted.name, key, naming.of_shared(one)) for key, one in wanted.volumes.items()}
    images = {naming.image(wanted, one): "sha256:1" for one in wanted.services.values()}
    return Observed(
        **{"project": wanted.name, "containers": containers, "networks": networks, "volumes": volumes, "images": images, **more}
    )


def up(wanted: Project) -> Observed:
    """All of it runs."""
    those = [container(wanted, one, number + 1) for one in wanted.services.values() for number in range(one.replicas)]
    return observed(wanted, *those)
