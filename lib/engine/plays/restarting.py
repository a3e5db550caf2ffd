"""Whether a container that has ended is started again, and when: a state machine that does nothing itself. The rules are Docker's.

What it goes by is on disk, in the container's facts, so that whoever is killed meanwhile, the next one waits no longer and counts on. The
manager does the waiting and the starting (``engine.daemons.again``); the tests play it with no process and no clock.
"""

from __future__ import annotations

from typing import NamedTuple

FIRST, LONGEST = 0.1, 60.0  # seconds before the first try, and before any later one at most
STEADY = 10.0  # seconds after which one that ends had been running, and did not only try to
NAMES = ("no", "always", "unless-stopped", "on-failure")


class Policy(NamedTuple):
    """One of ``NAMES``, and how many tries ``on-failure`` has; 0 is as many as it takes."""

    name: str = "no"
    most: int = 0


class Tries(NamedTuple):
    """How often it was started again since somebody started it, and how many seconds the last of these tries waited for."""

    count: int = 0
    delay: float = 0.0


def backoff(before: float, ran: float) -> float:
    """How many seconds the next try waits, if the last one waited ``before`` (0: there was none) and then ran for ``ran``."""
    return FIRST if before <= 0 or ran >= STEADY else min(2 * before, LONGEST)


def after(policy: Policy, tries: Tries, code: int, ran: float, by_hand: bool) -> Tries | None:
    """It has ended with this code, after ``ran`` seconds, or somebody ended it ``by_hand``: the next try, or None if that was the end."""
    if by_hand or not wanted(policy, tries.count, code):
        return None
    return Tries(tries.count + 1, backoff(tries.delay, ran))


def wanted(policy: Policy, count: int, code: int) -> bool:
    if policy.name == "on-failure":
        return code != 0 and not 0 < policy.most <= count
    return policy.name in ("always", "unless-stopped")


def left(tries: Tries, since: float) -> float:
    """Seconds until the try, if it ended ``since`` seconds ago. A clock that was set must not put it off, nor have it wait for years."""
    return min(max(0.0, tries.delay - since), tries.delay)


# -- in the facts -------------------------------------------------------------------------------------------------------


def policy_of(facts: dict) -> Policy:
    return Policy(**facts.get("restart") or {})


def tries_of(facts: dict) -> Tries:
    return Tries(**facts["state"].get("tries") or {})
