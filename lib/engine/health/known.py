"""What is known of a container's health: a small file in its run folder, in memory, as long as it runs, and then its facts.

It changes with every probe, as often as each second: the disk is spared that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress

from lib.engine.pipes import run_folder
from lib.engine.plays.health import STARTING, UNHEALTHY
from lib.state import kept

NAME = "health.json"
MOST = 5  # probes that are remembered


def begin(facts: Mapping) -> None:
    """It is about to run."""
    save(facts["id"], {"Status": STARTING, "FailingStreak": 0, "Log": []})


def save(ident: str, health: dict) -> None:
    """Raises ``OSError``; what was there is there still, then."""
    from lib.state.shared import written  # whoever only reads need not load what changes networks

    written(run_folder(ident) / NAME, health)


def with_answer(health: dict, status: str, streak: int, answer: dict) -> dict:
    """With one more probe: ``Start``, ``End``, ``ExitCode``, ``Output``."""
    return {"Status": status, "FailingStreak": streak, "Log": [*health["Log"], answer][-MOST:]}


def of(facts: Mapping) -> dict | None:
    """Docker's ``Health``; None of one that nobody asks. Of one that has ended it is what was known last, and "unhealthy", as in Docker."""
    if facts["state"]["status"] in kept.UP:
        with suppress(OSError, ValueError):
            return json.loads((run_folder(facts["id"]) / NAME).read_bytes())
    return facts["state"].get("health")


def last(facts: Mapping) -> dict:
    """What the state of one that has ended says of it."""
    found = of(facts)
    return {"health": found | {"Status": UNHEALTHY}} if found else {}
