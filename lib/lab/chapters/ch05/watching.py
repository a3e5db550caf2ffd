"""A container's life along the clock: its health, and how it is started again and again."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from lib.engine import finding, moments
from lib.engine.health import known
from lib.lab.chapters.ch05.world import LOOK, PATIENCE, awaited
from lib.state import events

VERDICT = "health_status: "
LONGEST = 0.3  # seconds that a look takes, and the rest until the next; what takes longer is a busy machine


@dataclass
class Health:
    """A container's health from its start on, in seconds: when each status began, and each probe's end with its fate.

    ``passed``, ``failed`` or ``forgiven``: it failed in the start period, and that doesn't count.
    """

    period: float
    statuses: list[tuple[float, str]] = field(default_factory=lambda: [(0.0, "starting")])
    probes: list[tuple[float, str]] = field(default_factory=list)
    answers: list[tuple[int, str]] = field(default_factory=list)  # exit code, output
    stood: float = 0.0  # of these seconds the machine did something else, and nobody could look

    def since(self, status: str) -> float | None:
        """When it first was so; None if it never was."""
        return next((moment for moment, one in self.statuses if one == status), None)

    def count(self, fate: str) -> int:
        return sum(one == fate for _, one in self.probes)


def watch_health(name: str, until: str, seconds: float = PATIENCE, longer: float = 0) -> Health:
    """Look at a container's health until it is ``until``, and then ``longer``; for so many ``seconds`` of looking at most."""
    facts = finding.current(name)
    began, period = moments.seconds(facts["state"]["started"]), facts["config"]["healthcheck"].get("StartPeriod", 0) / 1e9
    found, seen, left, looked, reached = Health(period), {}, seconds, time.monotonic(), False
    while left > 0:
        health = known.of(facts) or {"Status": "", "Log": []}
        seen |= {one["Start"]: one for one in health["Log"]}
        if health["Status"] == until:
            reached, left = True, left if reached else min(left, longer)
        time.sleep(LOOK)
        turn = time.monotonic() - looked
        looked, left, found.stood = looked + turn, left - min(turn, LONGEST), found.stood + max(0, turn - LONGEST)
    changes = verdicts(facts["id"])
    if reached:  # it is told of a moment after it can be read
        changes = awaited(lambda: verdicts(facts["id"], until), f"word that {name} is {until}")
    found.statuses += [(moment - began, status) for moment, status in changes]
    decided = found.statuses[1][0] if changes else float("inf")
    for one in seen.values():
        start, end = moments.seconds(one["Start"]) - began, moments.seconds(one["End"]) - began
        forgiven = start < period and end < decided
        found.probes.append((end, "passed" if one["ExitCode"] == 0 else "forgiven" if forgiven else "failed"))
        found.answers.append((one["ExitCode"], one["Output"].strip()))
    return found


def verdicts(ident: str, among: str = "") -> list[tuple[float, str]]:
    """When a container's health has changed, and to what. Nothing as long as one is not ``among`` them."""
    told = [(one["timeNano"] / 1e9, one["Action"].removeprefix(VERDICT)) for one in happenings(ident) if one["Action"].startswith(VERDICT)]
    return told if not among or among in {status for _, status in told} else []


def happenings(ident: str) -> list[dict]:
    """What the engine has noted of a container, in order."""
    reader = events.Reader()
    try:
        return [one for one in reader.read() if one["Actor"]["ID"] == ident]
    finally:
        reader.close()


def lives(name: str, ends: int) -> list[tuple[float, float]]:
    """When a container that is started again and again began and ended, in seconds from its first start, up to its end number ``ends``."""
    ident = finding.find(name)["id"]

    def all_of_them() -> list[tuple[float, str]]:
        found = [(one["timeNano"] / 1e9, one["Action"]) for one in happenings(ident) if one["Action"] in ("start", "die")]
        return found if sum(action == "die" for _, action in found) >= ends else []

    found = awaited(all_of_them, f"end number {ends} of {name}")
    starts, deaths = ([moment - found[0][0] for moment, action in found if action == word] for word in ("start", "die"))
    return list(zip(starts, deaths, strict=False))
