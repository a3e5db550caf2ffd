"""Everything of ours on this machine, weighed and removed."""

from __future__ import annotations

import os
from contextlib import suppress

from lib.state.places import runtime_dir, store
from lib.state.reaping import gc
from lib.state.record import records
from lib.state.undos import rmtree, unlink

OURS = (
    "bases",
    "compose",
    "containers",
    "events",
    "images",
    "volumes",
)  # in the store; whatever else lies there is somebody else's


def disk_used() -> int:
    """Bytes that the store uses on disk (blocks, not lengths: sparse files count as what they take)."""
    used = 0
    for folder, _, names in (step for name in OURS for step in os.walk(store() / name)):
        for name in names:
            with suppress(FileNotFoundError):  # a container may end while we count
                used += os.lstat(os.path.join(folder, name)).st_blocks * 512
    return used


def uninstall() -> str:
    """Remove what is ours of the store and of the records, and tell; a folder that holds something else too stays.

    Raises ``RuntimeError`` while containers are on record whose owner lives: they stand on what would go.
    """
    gc()
    if left := [f"{facts['id']} (pid {facts['pid']})" for facts in records()]:
        raise RuntimeError(
            f"nothing was removed: {len(left)} container(s) are still there: {', '.join(left)}. Stop the notebooks and programs that "
            "they belong to (in JupyterLab: Kernel, Shut Down All Kernels), or python -m lib.oci delete --force NAME; then try again"
        )
    used = disk_used()
    for name in OURS:
        rmtree(str(store() / name))
    for path in (path for kind in ("owner", "locking", "new") for path in runtime_dir().glob(f"*.{kind}")):
        unlink(str(path))
    for place in (store(), runtime_dir()):
        with suppress(OSError):  # not empty, or not there
            place.rmdir()
    stay = [f"; {place} stays, it holds {', '.join(sorted(os.listdir(place))[:5])}" for place in (store(), runtime_dir()) if place.is_dir()]
    return f"removed {' and '.join(OURS)} of {store()} ({used / 1e6:.0f} MB), and the records in {runtime_dir()}{''.join(stay)}"
