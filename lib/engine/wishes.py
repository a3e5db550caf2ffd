"""``suitcase run``: an image says how its container starts, the command line may say otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from lib import state
from lib.images import Image
from lib.images.image import platform_name
from lib.shield import Shield


@dataclass
class Wishes:
    """What the command line says, in Docker's words; None is "as the image says"."""

    command: Sequence[str] = ()
    entrypoint: Sequence[str] | None = None
    env: dict[str, str | None] = field(default_factory=dict)  # None takes the image's away
    workdir: str | None = None
    user: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    volumes: Sequence[str] = ()  # places that get a volume without a name
    exposed: Sequence[str] = ()  # ports, as ``80/tcp``
    stop_signal: str | None = None
    stop_timeout: int | None = None
    healthcheck: dict = field(default_factory=dict)  # see ``health.asked``
    interactive: bool = False
    attach: Sequence[str] = ("stdout", "stderr")
    options: dict = field(default_factory=dict)  # of ``Container``


def command(image: Image, wishes: Wishes) -> tuple[list[str], list[str]]:
    """ENTRYPOINT and CMD; a new entrypoint makes the image's CMD void."""
    entrypoint, words = image.runtime.get("Entrypoint") or [], image.runtime.get("Cmd") or []
    if wishes.entrypoint is not None:
        entrypoint, words = wishes.entrypoint, []
    return list(entrypoint), list(wishes.command or words)


def argv(image: Image, wishes: Wishes) -> list[str]:
    """ENTRYPOINT and CMD become one list. Raises ``ValueError``."""
    entrypoint, words = command(image, wishes)
    if not entrypoint + words:
        raise ValueError("no command specified: the image has neither CMD nor ENTRYPOINT, so say what to run")
    return entrypoint + words


def environment(image: Image, wishes: Wishes) -> dict[str, str]:
    """The caller's variables, and then those of the image that the caller says nothing about."""
    words = [word.partition("=") for word in image.runtime.get("Env") or []]
    more = {name: value for name, _, value in words if name and name not in wishes.env}
    return {name: value for name, value in wishes.env.items() if value is not None} | more


def config(image: Image, wishes: Wishes) -> dict:
    """How the container is to run, the image's words and the caller's laid over each other: Docker's ``Config``."""
    (entrypoint, words), there = command(image, wishes), image.runtime
    return {
        "hostname": wishes.options.get("hostname") or "",
        "domainname": wishes.options.get("domainname") or "",
        "user": wishes.user or there.get("User") or "",
        "env": [f"{name}={value}" for name, value in environment(image, wishes).items()],
        "cmd": words or None,
        "entrypoint": entrypoint or None,
        "workdir": wishes.workdir or there.get("WorkingDir") or "",
        "labels": (there.get("Labels") or {}) | wishes.labels,
        "tty": bool(wishes.options.get("tty")),
        "open_stdin": wishes.interactive,
        "stdin_once": wishes.interactive and "stdin" in wishes.attach,
        "attach": list(wishes.attach),
        "stop_signal": wishes.stop_signal or there.get("StopSignal") or None,
        "stop_timeout": wishes.stop_timeout,
        "exposed_ports": {port: {} for port in [*(there.get("ExposedPorts") or {}), *wishes.exposed]},
        "volumes": {path: {} for path in [*(there.get("Volumes") or {}), *wishes.volumes]} or None,
        "healthcheck": healthcheck(there, wishes),
        "shell": there.get("Shell") or None,
    }


def healthcheck(there: dict, wishes: Wishes) -> dict | None:
    """Raises ``ValueError``."""
    if not (there.get("Healthcheck") or any(wishes.healthcheck.values())):
        return None
    from lib.engine.health import asked  # few are asked

    return asked.laid_over(there, wishes.healthcheck)


def facts(image: Image, wishes: Wishes) -> dict:
    """What is written down of a container of the image, for as long as there is one. Raises ``ValueError``."""
    return {
        "image": image.id,
        "chains": image.chain_ids,
        "platform": platform_name(image.platform),
        "argv": argv(image, wishes),
        "config": config(image, wishes),
        "network": {"mode": "none", "networks": [], "ports": []},
        "options": {name: value for name, value in wishes.options.items() if name not in ("hostname", "tty")},  # config has these
    }


@contextmanager
def kept(image: Image) -> Iterator[None]:
    """Nobody takes the image's layers away, although its container is not on record yet."""
    with Shield() as shield:  # an interrupt must not come between the record and its removal
        record = state.new_record(f"run-{state.new_id()}", (), image=image.id, chains=image.chain_ids)
        try:
            with shield.opened():
                yield
        finally:
            record.remove()
