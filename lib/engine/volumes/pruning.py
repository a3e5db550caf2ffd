"""``volume prune``: the volumes that no container has mounted any more go."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

from lib.engine.copying import reading
from lib.engine.volumes import store
from lib.engine.volumes.store import Volume


class Pruned(NamedTuple):
    """What went, and how many bytes of files were in it."""

    names: list[str]
    size: int


def prune(every: bool = False, wanted: Callable[[Volume], bool] = lambda one: True) -> Pruned:
    """Remove the anonymous ones that nobody uses, or ``every`` one, as far as it is ``wanted``. One that names a folder elsewhere stays."""
    names, total = [], 0
    with store.alone():
        for one in store.every():
            if (every or one.anonymous) and not one.options and wanted(one) and not store.users(one.name):
                size = size_of(one)
                store.take_away(one.name)
                names.append(one.name)
                total += size
    return Pruned(names, total)


def size_of(one: Volume) -> int:
    """Bytes of its files."""
    above = os.open(one.place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return reading.size(above, "data")
    finally:
        os.close(above)
