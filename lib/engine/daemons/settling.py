"""A container has ended: how, is written down; what only lived with it, is undone; with ``--rm`` it goes.

Each step may be the last one before a crash, and the next manager does the rest: first the exit code is saved, as the file that it comes
from is removed with the run folder; then comes the undoing; only then is the container called exited.
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from lib import state
from lib.engine import moments
from lib.engine.daemons import endings
from lib.engine.daemons.calling import Keeper
from lib.engine.pipes import run_folder
from lib.engine.plays import restarting
from lib.ingredients.cgroups import Cgroup
from lib.state import events, kept

PATIENCE = 10  # seconds that whoever is attached has for reading the last words of a container that goes with its end


def settle(place: Path, pidfd: int, turn: AbstractContextManager) -> None:
    """Settle the container in this folder, whose process has ended. Only the manager does, and holds the log's lock meanwhile.

    ``turn`` is waited for before anything is undone.
    """
    with suppress(FileNotFoundError), kept.locked(place) as facts:
        if facts["state"]["status"] == "removing":  # whoever was about it has been killed
            return remove(facts)
        if facts["state"]["status"] not in kept.UP:
            return
        if not facts["state"].get("ended"):
            facts["state"] |= ended(facts, pidfd)
            kept.save(facts)
            if facts["state"]["oom_killed"]:
                events.of_container("oom", facts)
            events.of_container("die", facts, exitCode=facts["state"]["exit_code"])
        with turn:
            undo(facts)
        if facts["auto_remove"]:
            kept.unread(place, PATIENCE)
            remove(facts)
            return
        facts["state"] |= {"pid": 0, **what_follows(facts)}
        for gone in ("ended", "networks", "ports", "held"):
            facts["state"].pop(gone, None)
        kept.save(facts)


def what_follows(facts: dict) -> dict:
    """It has ended for good, or is to be started again: what its state says of that."""
    policy, now = restarting.policy_of(facts), facts["state"]
    if policy.name != "no":
        ran = moments.seconds(now["finished"]) - moments.seconds(now["started"])
        if tries := restarting.after(policy, restarting.tries_of(facts), now["exit_code"], ran, now.get("by_hand", False)):
            return {"status": "restarting", "tries": tries._asdict()}
    return {"status": "exited"}


def ended(facts: dict, pidfd: int) -> dict:
    """What its state says from now on."""
    path = run_folder(facts["id"]) / "exit"
    code = endings.find_out(path, pidfd, facts["state"]["pid"])
    error = "" if code is not None else "exit code unknown: nobody was there to see it end"
    return {
        "ended": True, "exit_code": endings.UNKNOWN if code is None else code, "error": error, "finished": moments.now(),
        "oom_killed": was_oom_killed(facts), **health(facts),
    }  # fmt: skip


def health(facts: dict) -> dict:
    """What was known of it last; whoever is not asked loads nothing for it."""
    if not facts["config"].get("healthcheck"):
        return {}
    from lib.engine.health import known

    return known.last(facts)


def was_oom_killed(facts: dict) -> bool:
    limits = {name: facts["options"].get(name) for name in ("memory", "memory_swap")}
    with suppress(ValueError, OSError, RuntimeError, KeyError):
        return Cgroup(name=facts["id"][: kept.SHORT], **limits).was_oom_killed()
    return False


def undo(facts: dict) -> None:
    """What its record names, and what needs no record: folders of the container's own that are made anew at each start."""
    ident = facts["id"][: kept.SHORT]
    record = state.runtime_dir() / f"{ident}.json"
    with suppress(FileNotFoundError, ValueError):
        state.undo_all(json.loads(record.read_text())["undos"])
    record.unlink(missing_ok=True)
    for leftover in (kept.place(facts) / "scratch", kept.place(facts) / "scratch-files", run_folder(ident)):
        state.rmtree(str(leftover))
    Keeper.drop(facts["id"])
    if facts["state"].get("held"):
        Keeper.give(facts["id"])  # it has nothing of that name; when it has said so, it has dropped the ports, too


def remove(facts: dict) -> None:
    """Take the container away, with all that it has written. Who is killed in the middle leaves it for ``rm`` to finish."""
    facts["state"]["status"] = "removing"
    with suppress(OSError):  # on a full disk: this makes room
        kept.save(facts)
    if facts.get("mounts") and (facts["auto_remove"] or facts["state"].get("with_volumes")):
        from lib.engine.volumes import store  # few have any

        store.remove_anonymous(facts)
    Keeper.drop(facts["id"])
    kept.erase(kept.place(facts))
    events.of_container("destroy", facts)
