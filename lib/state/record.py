"""What we have started, written down before the first deed, so that a crash cannot hide it.

A record is a small file: who owns the process, which undos belong to it, and (once known) its pid.
"""

from __future__ import annotations

import json
import os
import threading

from lib import linux
from lib.shield import Shield
from lib.state.owner import Owner, alive, our_runtime_dir
from lib.state.places import check_name, new_id, runtime_dir
from lib.state.undos import unlink


def start_time(pid: int) -> int | None:
    """When a process started, in clock ticks after boot: with the pid it names a process for good. See proc_pid_stat(5)."""
    try:
        return int(linux.stat_of(pid)[linux.STARTED])
    except (OSError, IndexError):
        return None


class Record:
    """One started process on paper: ``<runtime dir>/<id>.json``."""

    _naming = threading.Lock()

    def __init__(self, name: str, undos, **facts):
        check_name(name)
        maker = Owner.current().name
        with self._naming:
            if (runtime_dir() / f"{name}.json").exists():  # the same plan, carried out twice at the same time
                name = f"{name}-{new_id()}"
            self.path = runtime_dir() / f"{name}.json"
            self.facts = {"id": name, "owner": maker, "maker": maker, "pid": 0, "undos": list(undos), **facts}
            self.save()

    def save(self, **facts) -> None:
        """Write the record as a whole or not at all (write a new file, then rename it over the old one)."""
        self.facts.update(facts)
        text = json.dumps(self.facts)  # before there is a file: a fact may be what JSON has no word for
        draft = f"{os.fspath(self.path)[:-5]}.{self.facts['maker']}.new"
        with Shield():  # nobody would look for half a record
            try:
                with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w") as file:
                    file.write(text)
                os.replace(draft, self.path)
            except OSError:  # the memory is full, say: it must not pass for a whole one
                unlink(draft)
                raise

    @classmethod
    def after_fork(cls) -> None:
        cls._naming = threading.Lock()

    def born(self, pid: int) -> None:
        self.save(pid=pid, start_time=start_time(pid))

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


def records(name: str = "*") -> list[dict]:
    """Every record on this machine, dead or alive, or that of one ``name``; one that vanishes while we look is left out.

    Raises ``PermissionError``.
    """
    found = []
    for path in sorted(our_runtime_dir().glob(f"{name}.json")):
        try:
            if path.lstat().st_uid == os.geteuid():  # the folder may be one that others may write in: a tmpfs, say
                found.append(json.loads(path.read_text()))
        except (FileNotFoundError, json.JSONDecodeError):
            continue
    return found


def of_others() -> set[str]:
    """What belongs to other owners that live: their records' ids, and every path in their undos."""
    own = Owner._current.name if Owner._current else None
    theirs = [facts for facts in records() if facts.get("maker") != own]
    live = {maker for maker in {facts["maker"] for facts in theirs} if alive(maker)}
    mine = [facts for facts in theirs if facts["maker"] in live]
    return {facts["id"] for facts in mine} | {word for facts in mine for _, *words in facts["undos"] for word in words}


os.register_at_fork(after_in_child=Record.after_fork)
