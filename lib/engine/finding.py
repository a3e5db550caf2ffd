"""From what a user calls a container to the container: its id, its name, or the beginning of its id."""

from __future__ import annotations

import re

from lib.state import kept


class NoSuchContainer(LookupError):
    """In Docker's words."""


def find(text: str) -> dict:
    """A container's facts. Raises ``NoSuchContainer``, and ``Unreadable`` for one whose file is damaged."""
    known = kept.every()
    for facts in known:
        if facts["id"] == text or facts["name"] == text.removeprefix("/"):
            return facts
    hits = [facts for facts in known if text and facts["id"].startswith(text)]
    if len(hits) > 1:
        raise NoSuchContainer(f"multiple IDs found with provided prefix: {text}")
    if not hits:
        if re.fullmatch("[0-9a-f]{12,64}", text) and kept.place(text).is_dir():
            kept.load(kept.place(text))  # it is there, and says why it cannot be read
        raise NoSuchContainer(f"No such container: {text}")
    return hits[0]


def current(text: str) -> dict:
    """As ``find``, and the facts are those of now."""
    return now(find(text))


def now(facts: dict, starts: bool = False) -> dict:
    """The facts as they are now: of one that has ended, as soon as the manager has seen to it.

    ``starts``: one that is just being started is waited for, too. Who only looks had better not: whoever starts it may stand still.
    """
    if facts["state"]["status"] not in kept.UP:
        return facts
    from lib.engine.vitality import alive, begun

    if alive(facts) and (not starts or begun(facts)):
        return facts
    from lib.engine.daemons.calling import settled  # few need it: it loads what starts a manager

    return settled(facts) or facts


def mounts(facts: dict) -> list[dict]:
    """What a container has mounted, see ``volumes.asked``; one of an earlier suitcase has folders of this machine, and nothing else."""
    if facts.get("mounts") is not None:
        return facts["mounts"]
    if not (words := facts["options"].get("volumes")):
        return []
    from lib.volumes import parsed

    return [parsed(word) for word in words]


def ways_in(facts: dict) -> list[dict] | None:
    """The published ports of one that runs; None if none could lead to it, as it is on internal networks only, or on none."""
    here = facts["state"]
    leads = any(one.get("leads", True) for one in (here.get("networks") or {}).values())  # one of an earlier suitcase does not say
    return here["ports"] if leads else None
