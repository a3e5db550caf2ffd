"""A resolver for a container that runs already: it has joined a network with names, and was on none before."""

from __future__ import annotations

import os

from lib.engine.daemons.calling import Keeper, Manager
from lib.ingredients import Nameserver
from lib.process import callers, calls
from lib.process.steps import plain
from lib.state import kept


def give(facts: dict, made: Nameserver) -> None:
    """Carry out its steps, which need no child that waits, and have it answered. Raises ``OSError``; the lock is the caller's to hold."""
    pid = facts["state"]["pid"]
    refs = {"pid": pid}
    try:
        for step in made.steps():
            refs[step.gives or ""] = calls.execute(step.call, [plain(value) for value in step.args], refs, callers.CALLS)
        for name in made.gives:
            Keeper.hold(f"{facts['id']}/{name}", refs[name])
    finally:
        for fd in (refs[name] for name in refs.keys() & {"netns", *made.gives}):
            os.close(fd)
    Manager.look(kept.place(facts))
