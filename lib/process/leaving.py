"""At the end of this Python nothing of ours outlives it."""

from __future__ import annotations

import atexit
import signal

from lib import state
from lib.process.client import Starter
from lib.process.handle import LIVE, Process


def ours() -> list[Process]:
    """Every process that this Python still holds; not those of a parent that we were forked from."""
    own = state.Owner.mine()
    if own is None:
        return []
    return [one for one in list(LIVE.values()) if one.record and one.record.facts["maker"] == own.name]


def remove_all() -> None:
    """Remove every process that this Python still holds; go on after an error, and raise all errors together.

    All are killed before the first is waited for: the kernel takes one apart while we clean up after another.
    """
    errors, processes = [], ours()
    for process in processes:
        process.signal(signal.SIGKILL)
    for process in processes:
        try:
            process.remove()
        except Exception as error:
            errors.append(error)
    if errors:
        raise ExceptionGroup("some processes could not be removed", errors)


def say_goodbye() -> None:
    """At the end of this Python: nothing of ours outlives it."""
    try:
        remove_all()
    finally:
        Starter.close()


atexit.register(say_goodbye)
