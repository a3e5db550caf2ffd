"""What becomes of a project's containers: now, along the clock, and live."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

import ipywidgets
from IPython.display import display

from lib import show
from lib.engine import finding
from lib.engine.health import known
from lib.lab.chapters.ch05 import projects, watching, world
from lib.show.controls import Panel
from lib.state import kept

PAINTER = "painter of services"


def members(place: Path) -> dict[str, dict]:
    """The project's containers, the newest of each service: service → facts as they are now."""
    found = {}
    for one in kept.every():
        mark = one.get("compose") or {}
        if mark.get("project") == place.name:
            found[mark["service"]] = finding.current(one["id"])
    return found


def states(place: Path) -> dict[str, str]:
    """Each service in a word or two, by name: running, healthy, exited (1) …"""
    return {service: now(facts) for service, facts in sorted(members(place).items())}


def now(facts: dict) -> str:
    health, state = known.of(facts), facts["state"]
    if state["status"] == "exited":
        return f"exited ({state['exit_code']})"
    return health["Status"] if health and state["status"] == "running" else state["status"]


def lives(place: Path, began: float, *services: str) -> dict[str, list[tuple[float, str]]]:
    """What each service's container went through, in seconds from ``began`` (``time.time()``) on, as ``show.gantt`` draws it."""
    found = members(place)
    return {name: life(found[name], began) for name in services or sorted(found)}


def life(facts: dict, began: float) -> list[tuple[float, str]]:
    checked = facts["config"].get("healthcheck")
    words = {"create": "created", "start": "starting" if checked else "started", "die": "failed"}
    words |= {f"health_status: {one}": one for one in ("healthy", "unhealthy")}
    found = []
    for one in watching.happenings(facts["id"]):
        if what := words.get(one["Action"]):
            well = what == "failed" and str(one["Actor"]["Attributes"]["exitCode"]) == "0"
            found.append((one["timeNano"] / 1e9 - began, "done" if well else what))
    return found


def waits(place: Path) -> dict[str, dict[str, str]]:
    """Who waits for whom, and until it is what: as ``show.services`` draws it."""
    found = projects.read(place).project.services
    order = {name: {other: one.condition.removeprefix("service_") for other, one in found[name].depends_on.items()} for name in found}
    return dict(sorted(order.items()))


def up_live(place: Path, line: str = "up -d") -> None:
    """``compose up``, and meanwhile a picture of the project that is drawn anew as its services turn healthy.

    On a page and in a batch run nobody watches; there it is drawn as it was before.
    """
    order, screen, over = waits(place), ipywidgets.HTML(), threading.Event()
    display(Panel([screen], f"The services as they start: {', '.join(order)}. It moves in JupyterLab.", show.services(order, {})))

    def draw() -> None:
        last = None
        while not over.wait(world.LOOK * 5):
            with suppress(LookupError, OSError):  # one may be gone while we look
                if (found := states(place)) != last:
                    last = found
                    screen.value = show.services(order, found).data

    painter = threading.Thread(target=draw, name=PAINTER, daemon=True)
    painter.start()
    try:
        projects.told(place, line)
    finally:
        over.set()
        painter.join()
    screen.value = show.services(order, states(place)).data
