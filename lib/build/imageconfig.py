"""Instructions that change no file: each sets a word of the image's config, and says what the history tells of it.

``state`` is what the stage has come to (``steps.State``). See the OCI image specification, config.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from lib.build.steps import State, whole_command
from lib.dockerfile import parser
from lib.dockerfile.instructions import (
    Cmd,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Label,
    Maintainer,
    OnBuild,
    Shell,
    StopSignal,
    User,
    Volume,
)

LARGEST_PORT = 65535


def apply(state, one) -> str:
    """Carry out one of ``SETTINGS``. Returns the words for the history; raises ``DockerfileError``."""
    return SETTINGS[type(one)](state, one)


def env(state, one: Env) -> str:
    state.config["Env"] = [f"{name}={value}" for name, value in {**state.env, **dict(one.pairs)}.items()]
    return f"ENV {listed(one.pairs)}"


def label(state, one: Label) -> str:
    state.config["Labels"] = {**(state.config.get("Labels") or {}), **dict(one.pairs)}
    return f"LABEL {listed(one.pairs)}"


def cmd(state, one: Cmd) -> str:
    state.config["Cmd"] = argv = whole_command(one.command, one.shell_form, state.shell)
    state.has_cmd = True
    return f"CMD {as_list(argv)}"


def entrypoint(state, one: Entrypoint) -> str:
    """A new entrypoint makes the base image's CMD meaningless: those were the arguments of another program."""
    state.config["Entrypoint"] = argv = whole_command(one.command, one.shell_form, state.shell)
    if not state.has_cmd:
        state.config.pop("Cmd", None)
    return f"ENTRYPOINT {as_list(argv)}"


def shell(state, one: Shell) -> str:
    state.shell = state.config["Shell"] = list(one.command)
    return f"SHELL {as_list(one.command)}"


def expose(state, one: Expose) -> str:
    ports = {port: {} for text in one.ports for port in ports_of(text, one.place)}
    state.config["ExposedPorts"] = {**(state.config.get("ExposedPorts") or {}), **ports}
    return f"EXPOSE {' '.join(one.ports)}"


def healthcheck(state, one: Healthcheck) -> str:
    times = {
        "Interval": one.interval, "Timeout": one.timeout, "StartPeriod": one.start_period, "StartInterval": one.start_interval,
        "Retries": one.retries,
    }  # fmt: skip
    state.config["Healthcheck"] = {"Test": list(one.test), **{name: value for name, value in times.items() if value}}
    return f"HEALTHCHECK {' '.join(one.test)}"


def maintainer(state, one: Maintainer) -> str:
    state.author = one.name
    return f"MAINTAINER {one.name}"


def onbuild(state, one: OnBuild) -> str:
    state.config["OnBuild"] = [*(state.config.get("OnBuild") or []), one.trigger]
    return f"ONBUILD {one.trigger}"


def stopsignal(state, one: StopSignal) -> str:
    state.config["StopSignal"] = one.signal
    return f"STOPSIGNAL {one.signal}"


def user(state, one: User) -> str:
    state.config["User"] = one.user
    return f"USER {one.user}"


def volume(state, one: Volume) -> str:
    state.config["Volumes"] = {**(state.config.get("Volumes") or {}), **{path: {} for path in one.paths}}
    return f"VOLUME {as_list(one.paths)}"


SETTINGS: dict[type, Callable] = {
    Cmd: cmd, Entrypoint: entrypoint, Env: env, Expose: expose, Healthcheck: healthcheck, Label: label, Maintainer: maintainer,
    OnBuild: onbuild, Shell: shell, StopSignal: stopsignal, User: user, Volume: volume,
}  # fmt: skip


def listed(pairs) -> str:
    return " ".join(f"{name}={value}" for name, value in pairs)


def as_list(words) -> str:
    return json.dumps(list(words), ensure_ascii=False)


def ports_of(text: str, place) -> list[str]:
    """``80``, ``80/udp``, ``8000-8002``: as the config has them. Raises ``DockerfileError``."""
    ports, _, kind = text.partition("/")
    first, _, last = ports.rpartition(":")[2].partition("-")
    kind = (kind or "tcp").lower()
    numbers = all(re.fullmatch("[0-9]{1,5}", port) for port in (first, last or first))
    if not numbers or kind not in ("tcp", "udp", "sctp") or int(last or first) > LARGEST_PORT:
        raise place.error(f"EXPOSE {text[:40]} is not a port", "write EXPOSE 80, 80/udp or 8000-8002", text)
    return [f"{port}/{kind}" for port in range(int(first), int(last or first) + 1)]


def config_of(changes: tuple[str, ...]) -> dict:
    """The runtime part of a config that some instructions make (``import --change "CMD sh"``). Raises ``DockerfileError``."""
    state = State()
    for text in changes:
        for one in parser.instructions(text, "--change"):
            if type(one) not in CHANGES:
                names = " ".join(kind.__name__.upper() for kind in CHANGES)
                raise one.place.error(f"{type(one).__name__.upper()} does not change an image's config", f"there are {names}")
            apply(state, parser.expanded(one, state.env)[0])
    return state.config


# What ``import --change`` knows: the others would need a build.
CHANGES = tuple(kind for kind in SETTINGS if kind not in (Maintainer, Shell))
