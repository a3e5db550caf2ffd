"""A Compose file as it would be typed by hand: one ``docker run`` for each service, and which key of the file is which flag."""

from __future__ import annotations

import shlex
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from lib.compose.model import Project, Service
from lib.compose.services import as_run, dependencies
from lib.lab.chapters.ch05 import projects

DONE_BY = {  # key → the module of lib that does it, whoever has asked
    "build": "build/builder.py",
    "command": "engine/wishes.py",
    "depends_on": "compose/planning/upward.py",
    "environment": "engine/wishes.py",
    "healthcheck": "engine/plays/health.py",
    "ports": "network/firewall/",
    "restart": "engine/plays/restarting.py",
    "stop_grace_period": "engine/ending.py",
    "volumes": "engine/volumes/store.py",
}
WIDE = 84  # columns of a page
WITHOUT = {"build": "docker build", "depends_on": "(whoever types, waits)"}  # no flag of run


def lines(place: Path) -> list[str]:
    """What somebody without Compose types, one thing after the other."""
    project = projects.read(place).project
    found = [["network", "create", one.name] for one in project.networks.values()]
    found += [["volume", "create", one.name] for one in project.volumes.values()]
    return [typed(["docker", *words]) for words in [*found, *(as_run(project, one) for one in in_order(project))]]


def typed(words: list[str]) -> str:
    """A command as it is typed; one that is too long goes on below, as the shell wants it."""
    found = [""]
    for part in together(words):
        if len(found[-1]) + len(part) > WIDE:
            found.append("   ")
        found[-1] += f" {part}" if found[-1] else part
    return " \\\n".join(found)


def together(words: list[str]) -> Iterator[str]:
    """The words as the shell wants them; an option and its value stay together."""
    rest = deque(map(shlex.quote, words))
    while rest:
        word = rest.popleft()
        has_value = word.startswith("--") and word != "--detach"
        yield f"{word} {rest.popleft()}" if has_value else word


def in_order(project: Project) -> list[Service]:
    """Each service after those that it depends on."""
    return [project.services[name] for name in dependencies.order(project)]


def keys(place: Path) -> list[tuple[str, str, str]]:
    """Each key that the file's services have, the words that ``docker run`` lacks without it, and the module that does it."""
    project, found = projects.read(place).project, {}
    for service in project.services.values():
        for key in DONE_BY:
            if words := WITHOUT.get(key) if getattr(service, key) else "":
                found.setdefault(key, words)
            elif getattr(service, key):
                found.setdefault(key, short(lost(project, service, key)))
    return [(key, found[key], DONE_BY[key]) for key in DONE_BY if key in found]


def lost(project: Project, service: Service, key: str) -> list[str]:
    """The words that are missing when a key is left out."""
    empty = type(service).model_fields[key].get_default()
    rest = as_run(project, service.model_copy(update={key: empty}))
    return [word for word in as_run(project, service) if word not in rest or rest.remove(word)]


def short(words: list[str]) -> str:
    """Of a flag that comes several times the last one only."""
    return shlex.join(words if words.count(words[0]) < 2 else words[-2:])
