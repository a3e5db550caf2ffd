"""A folder for what a chapter makes: one for each notebook, gone with it, however it ends.

It is written down like a container (``state.Record``): if this Python is killed, the next one that starts a container removes it, and ends
first what still runs of an engine whose records are in its folder ``run`` (chapter 4's host has one).
"""

from __future__ import annotations

import atexit
import os
from pathlib import Path

from lib import state
from lib.shield import Shield

_open: dict[int, tuple[Path, state.Record]] = {}  # by pid: a forked child has none of its own yet


def folder() -> Path:
    """The folder of this Python; made when it is first asked for, and after each ``clear`` anew."""
    with Shield():
        if os.getpid() not in _open:
            path = state.folder("containers") / f"tempfolder-{state.new_id()}"
            _open[os.getpid()] = path, state.new_record(path.name, [("rmtree", str(path)), ("end_all", f"{path}/run")])
            path.mkdir(mode=0o711)
    return _open[os.getpid()][0]


def clear() -> None:
    """Remove it with all that is in it."""
    with Shield():  # half cleared, nobody would clear the rest
        if found := _open.pop(os.getpid(), None):
            path, record = found
            state.rmtree(str(path))
            record.remove()


atexit.register(clear)
