"""The containers of a project: by the engine's own record of them, never by a label, which an image may carry, too."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from lib.cli.compose.asked import Asked

GOING_ON = ("running", "paused", "restarting")


def of(project: str) -> list[dict]:
    """All of them as they are now, in the order of their names; those of hooks are nobody's to deal with."""
    from lib.engine import finding
    from lib.state import kept

    found = [finding.now(facts) for facts in kept.every() if about(facts).get("project") == project and "owner" not in about(facts)]
    return sorted(found, key=lambda facts: (about(facts)["service"], is_oneoff(facts), number(facts), facts["name"]))


def about(facts: dict) -> dict:
    """Whose it is; empty for one that belongs to no project."""
    return facts.get("compose") or {}


def service(facts: dict) -> str:
    return about(facts)["service"]


def number(facts: dict) -> int:
    return about(facts).get("number") or 0


def is_oneoff(facts: dict) -> bool:
    """Was it made by ``run``?"""
    return bool(about(facts).get("oneoff"))


def meant(asked: Asked, services: Collection[str] = (), oneoffs: bool = False) -> list[dict]:
    """Those of these services; of all, where none is named. Raises ``ValueError`` for a service that there is not."""
    asked.check(services)
    return [one for one in of(asked.called) if (not services or service(one) in services) and (oneoffs or not is_oneoff(one))]


def going_on(those: Iterable[dict]) -> list[dict]:
    return [one for one in those if one["state"]["status"] in GOING_ON]


def chosen(asked: Asked, name: str, index: int = 0, stopped: bool = False, oneoffs: bool = False) -> dict:
    """One container of a service, that runs unless ``stopped`` ones will do. Raises ``ValueError``, in Docker's words."""
    there = [one for one in of(asked.called) if service(one) == name and (oneoffs or not is_oneoff(one))]
    there = there if stopped else [one for one in there if one["state"]["status"] in ("running", "paused")]
    wanted = [one for one in there if not index or number(one) == index]
    if wanted:
        return wanted[0]
    if stopped and not index:
        raise ValueError(f'no container found for service "{name}"')
    raise ValueError(f'service "{name}" is not running' + (f" container #{index}" if index else ""))


def label(facts: dict) -> str:
    """How a line of its output begins: ``web-1``; one with a name of its own is called by that."""
    return shorter(facts["name"], about(facts)["project"])


def shorter(name: str, project: str) -> str:
    return name.removeprefix(f"{project}-")


def of_service(project: str, name: str) -> dict:
    """The first container of a service. Raises ``LookupError``."""
    for one in of(project):
        if service(one) == name and not is_oneoff(one):
            return one
    raise LookupError(f"service {name} has no container")
