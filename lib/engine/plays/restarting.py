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
    """One of ``NAMES``, and how many tries there are; 0 is as many as it takes.

    A file of Compose's (``deploy.restart_policy``) may say more, in seconds: what each try waits for (``delay``; 0: as Docker has it), and
    how long one has to run (``window``; 0: it doesn't matter) to have been started well. Then its tries are counted anew.
    """

    name: str = "no"
    most: int = 0
    delay: float = 0.0
    window: float = 0.0


class Tries(NamedTuple):
    """How often it was started again since somebody started it, and how many seconds the last of these tries waited for."""

    count: int = 0
    delay: float = 0.0


def backoff(before: float, ran: float) -> float:
    """How many seconds the next try waits, if the last one waited ``before`` (0: there was none) and then ran for ``ran``."""
    return FIRST if before <= 0 or ran >= STEADY else min(2 * before, LONGEST)


def after(policy: Policy, tries: Tries, code: int, ran: float, by_hand: bool) -> Tries | None:
    """It has ended with this code, after ``ran`` seconds, or somebody ended it ``by_hand``: the next try, or None if that was the end."""
    count = 0 if 0 < policy.window <= ran else tries.count
    if by_hand or not wanted(policy, count, code):
        return None
    return Tries(count + 1, policy.delay or backoff(tries.delay, ran))


def wanted(policy: Policy, count: int, code: int) -> bool:
    if policy.name not in NAMES[1:] or 0 < policy.most <= count:
        return False
    return policy.name != "on-failure" or code != 0


def left(tries: Tries, since: float) -> float:
    """Seconds until the try, if it ended ``since`` seconds ago. A clock that was set must not put it off, nor have it wait for years."""
    return min(max(0.0, tries.delay - since), tries.delay)


# -- in the facts -------------------------------------------------------------------------------------------------------


def policy_of(facts: dict) -> Policy:
    return Policy(**facts.get("restart") or {})


def tries_of(facts: dict) -> Tries:
    return Tries(**facts["state"].get("tries") or {})
