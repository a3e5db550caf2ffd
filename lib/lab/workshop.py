"""A folder for what a chapter makes: one for each notebook, gone with it, however it ends.

It is written down like a container (``state.Record``): if this Python is killed, the next one that starts a container removes it.
"""

from __future__ import annotations

import atexit
import os
from pathlib import Path

from lib import state

_open: dict[int, tuple[Path, state.Record]] = {}  # by pid: a forked child has none of its own yet


def folder() -> Path:
    """The folder of this Python; made when it is first asked for, and after each ``clear`` anew."""
    if os.getpid() not in _open:
        path = state.folder("containers") / f"workshop-{state.new_id()}"
        record = state.Record(path.name, [("rmtree", str(path))])
        _open[os.getpid()] = path, record
        path.mkdir(mode=0o711)
    return _open[os.getpid()][0]


def clear() -> None:
    """Remove it with all that is in it."""
    if found := _open.pop(os.getpid(), None):
        path, record = found
        state.rmtree(str(path))
        record.remove()


atexit.register(clear)
