"""``develop.watch``: what is to be done when files change. Nothing here looks at a disk, or does anything."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from lib.build.ignore import Ignore
from lib.compose.model import Project
from lib.compose.model.life import Watch

ALWAYS = (
    ".git",
    "**/.git",
    "**/*~",
    "**/.*.sw[a-z]",
    "**/.#*",
    "**/4913",
    "**/__pycache__",
)  # version control, and what editors leave for a moment
SYNCS = ("sync", "sync+restart", "sync+exec")


class Rule(NamedTuple):
    """A line of ``develop.watch``; ``beside`` is what the build's ``.dockerignore`` says."""

    service: str
    watch: Watch
    ignored: Ignore
    included: Ignore | None
    beside: tuple[str, Ignore] | None = None

    def place(self, path: str) -> str | None:
        """Where a path belongs in the container; None if the rule says nothing of it."""
        top = self.watch.path
        if path != top and not path.startswith(f"{top}/"):
            return None
        within = os.path.relpath(path, top)
        if within != "." and (self.ignored.ignored(within) or (self.included and not self.included.ignored(within))):
            return None
        if self.beside and (below := relative(path, self.beside[0])) and self.beside[1].ignored(below):
            return None
        target = self.watch.target
        return target if within == "." else f"{target.rstrip('/')}/{within}"


def relative(path: str, folder: str) -> str:
    return path[len(folder) + 1 :] if path.startswith(f"{folder}/") else ""


def rules(project: Project, services: Iterable[str], ignores: Mapping[str, Ignore]) -> list[Rule]:
    """Of these services; ``ignores`` are the rules of the build contexts, by folder. Raises ``ValueError``."""
    found = []
    for name in services:
        service = project.services[name]
        for watch in service.develop.watch if service.develop else ():
            if watch.action == "rebuild" and not service.build:
                raise ValueError(f'can\'t watch service "{name}" with action rebuild without a build context')
            if watch.action in SYNCS and not watch.target:
                raise ValueError(f"service {name}: develop.watch with the action {watch.action} needs a target: a path in the container")
            context = service.build.context if service.build else ""
            beside = (context, ignores[context]) if context in ignores else None
            included = Ignore(watch.include, "include") if watch.include else None
            found.append(Rule(name, watch, Ignore([*ALWAYS, *watch.ignore], "ignore"), included, beside))
    return found


class Deeds(NamedTuple):
    """What a bunch of changes comes to: files (path here, place there) to copy or to take away, by service, and what follows."""

    copied: dict[str, list[tuple[str, str]]]
    removed: dict[str, list[tuple[str, str]]]
    restarted: list[str]
    told: dict[str, list[Watch]]  # whose ``exec`` is to be run
    rebuilt: list[str]

    @property
    def any(self) -> bool:
        return any(self)


def deeds(rules: Sequence[Rule], changed: Iterable[str], gone: Iterable[str]) -> Deeds:
    """A service that is rebuilt is made anew: nothing need be copied into it, and it need not be restarted."""
    found = Deeds({}, {}, [], {}, [])
    for paths, where in ((changed, found.copied), (gone, found.removed)):
        for path in paths:
            for rule in rules:
                if (place := rule.place(path)) is not None:
                    note(found, rule, where, path, place)
    for name in found.rebuilt:
        for one in (found.copied, found.removed, found.told):
            one.pop(name, None)
    found.restarted[:] = [name for name in found.restarted if name not in found.rebuilt]
    return found


def note(found: Deeds, rule: Rule, where: dict, path: str, place: str) -> None:
    name, action = rule.service, rule.watch.action
    if action in SYNCS:
        pairs = where.setdefault(name, [])
        if (path, place) not in pairs:
            pairs.append((path, place))
    listed = {"rebuild": found.rebuilt, "restart": found.restarted, "sync+restart": found.restarted}.get(action)
    if listed is not None and name not in listed:
        listed.append(name)
    if action == "sync+exec" and rule.watch not in found.told.setdefault(name, []):
        found.told[name].append(rule.watch)
