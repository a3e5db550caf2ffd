"""``pause`` and ``unpause``: a container's processes stand still where they are, by the freezer of its cgroup. See cgroups(7).

What is said of it is written down first, and done then: whoever is killed in between leaves one that is called paused and runs, and can be
unpaused; the other way round it would stand still, and nobody would know.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress

from lib.engine.daemons.calling import Manager
from lib.engine.vitality import alive
from lib.state import events, kept


class CannotPause(ValueError):
    """In Docker's words."""


def group_of(facts: dict):
    """The cgroup in which it can be frozen, or None: a user's container without limits has none."""
    from lib.engine import usage  # whoever pauses nothing need not load it

    group = usage.group_of(facts)
    return group if group and os.path.exists(group.freezer) else None


def pause(facts: dict) -> None:
    """Have all of its processes stand still. Raises ``CannotPause``, ``OSError``."""
    with kept.locked(kept.place(facts)) as now:
        if now["state"]["status"] == "restarting":
            raise CannotPause(f"Container {now['id']} is restarting, wait until the container is running")
        if not alive(now):
            raise CannotPause(f"container {now['id']} is not running")
        if now["state"]["status"] == "paused":
            raise CannotPause(f"Container {now['id']} is already paused")
        group = group_of(now)
        if group is None:
            raise CannotPause(
                f"Cannot pause container {now['id']}: it has no cgroup that could be frozen (give it a limit, such as --pids-limit 1000)"
            )
        called(now, "paused")
        try:
            freeze(group)
        except OSError:
            group.thaw()
            called(now, "running")
            raise
    events.of_container("pause", now)
    tell(now)


def called(facts: dict, status: str) -> None:
    facts["state"]["status"] = status
    kept.save(facts)


def freeze(group) -> None:
    """Raises ``OSError`` if they do not stand still: the kernel itself may hold one (a disk that does not answer, say)."""
    group.freeze()
    if not group.frozen:
        raise OSError(errno.EBUSY, "a process in it does not come to a standstill: it waits for a device, perhaps")


def unpause(facts: dict) -> None:
    """Let them go on. Raises ``CannotPause``."""
    with kept.locked(kept.place(facts)) as now:
        if now["state"]["status"] != "paused":
            raise CannotPause(f"Container {now['id']} is not paused")
        thaw(now)
    events.of_container("unpause", now)
    tell(now)


def tell(facts: dict) -> None:
    """Have the manager hear of it, if it asks after its health: nobody answers who stands still."""
    if facts["config"].get("healthcheck"):
        with suppress(OSError):  # there is none, and none can be started: the next one sees it for itself
            Manager.look(kept.place(facts))


def let_go_on(facts: dict) -> None:
    """The same for one that may not be paused, or may have gone."""
    with suppress(FileNotFoundError):
        if kept.load(kept.place(facts))["state"]["status"] == "paused":
            with suppress(CannotPause):
                unpause(facts)


def thaw(facts: dict) -> None:
    if group := group_of(facts):
        with suppress(FileNotFoundError):  # it has ended, and its cgroup with it
            group.thaw()
    called(facts, "running")
