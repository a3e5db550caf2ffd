"""What a dead owner left behind is done for it by the next one who starts something, or by `python -m lib.state gc`: kill, undo, forget."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lib import linux
from lib.shield import Shield
from lib.state.dying import kill_tracers
from lib.state.owner import Owner, our_runtime_dir
from lib.state.places import runtime_dir
from lib.state.record import Record, records, start_time
from lib.state.shared import undo_all
from lib.state.undos import kill_groups, release_groups, unlink


@contextmanager
def same_process(facts: dict) -> Iterator[int]:
    """A pidfd of the process of a record. Raises ``ProcessLookupError`` if it has ended, even if a later one has its pid now."""
    pidfd = os.pidfd_open(facts["pid"])
    try:
        if start_time(facts["pid"]) != facts.get("start_time"):
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
        yield pidfd
    finally:
        os.close(pidfd)


def kill_recorded(facts: dict) -> None:
    """Kill the process of a record, if it is still there. Raises ``TimeoutError`` if it does not end."""
    with suppress(ProcessLookupError), same_process(facts) as pidfd:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        release_groups(facts["undos"])
        kill_groups(facts["undos"])  # a frozen process dies only when it is thawed
        for _ in range(50):
            if linux.readable([pidfd], 0.1):  # its files can be removed only when it writes no more
                return
            kill_tracers(linux.pid_of(pidfd))
        raise TimeoutError(f"process {facts['pid']} did not end within 5 s of SIGKILL: its record stays, the next gc tries again")


def reap(facts: dict, folder: Path | None = None) -> None:
    """Do for a dead owner what it would have done: kill, undo, forget."""
    if facts["pid"]:
        kill_recorded(facts)
    undo_all(facts["undos"])
    unlink(str((folder or runtime_dir()) / f"{facts['id']}.json"))


def end_all(folder: str) -> None:
    """End what is on record in this run folder, containers that were made to outlive their makers among it, and before them their daemons.

    It is a world of its own (chapter 4 has one) whose owner was killed, and its network namespaces went with him: what is undone in the
    network is undone in an empty one, never in ours.
    """
    from concurrent.futures import ThreadPoolExecutor  # no command but the one that finds such a world needs it

    kill_daemons(folder)
    if found := [json.loads(path.read_text()) for path in Path(folder).glob("*.json")]:
        with Shield(), ThreadPoolExecutor(1, "end_all", linux.unshare, ("net",)) as elsewhere:
            for facts in found:
                elsewhere.submit(reap, facts, Path(folder)).result()


def kill_daemons(folder: str) -> None:
    """Whoever listens at a socket in this folder."""
    with suppress(FileNotFoundError):
        here = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for path in filter(Path.is_socket, Path(folder).iterdir()):
                kill_listener(f"/proc/self/fd/{here}/{path.name}")  # a socket's path may have 107 bytes and no more
        finally:
            os.close(here)


def kill_listener(door: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line, suppress(ConnectionRefusedError, ProcessLookupError):
        line.connect(door)
        os.kill(linux.peer_of(line), signal.SIGKILL)


def containers_first(found: list[dict]) -> list[dict]:
    """Before the second commands in them, which have nothing to undo: those may stand frozen in a container's cgroup, and end with it."""
    return sorted(found, key=lambda facts: not facts["undos"])


def attempted(facts: dict, reaped: list[str]) -> list[Exception]:
    """Reap one record; what went wrong, so that the others are reaped all the same."""
    errors = []
    try:
        reap(facts)
        reaped.append(facts["id"])
    except* Exception as group:
        errors += group.exceptions
    return errors


def gc() -> list[str]:
    """Reap everything whose owner has died; returns the ids of what was reaped. Safe to run at any time, by anybody.

    A record without an owner belongs to a container that was made to outlive its maker: it is left alone.
    What could not be undone stays on record for the next try, and is raised at the end.
    """
    reaped, errors = [], []
    for path in sorted(our_runtime_dir().glob("*.owner")):
        with lock_of_dead(path) as dead:
            if dead and not (failed := reap_owner(path.stem, reaped)):
                path.unlink(missing_ok=True)
            elif dead:
                errors += failed
    for facts in containers_first(
        records()
    ):  # an owner that ended in good order, but could not undo everything, has left no file of its own
        if facts["owner"] and not (runtime_dir() / f"{facts['owner']}.owner").exists():
            errors += attempted(facts, reaped)
    if errors:
        raise ExceptionGroup("gc could not undo everything", errors)
    return reaped


@contextmanager
def lock_of_dead(path: Path) -> Iterator[bool]:
    """Take a dead owner's lock, so that two gc do not reap the same; False if the owner lives (or is being reaped)."""
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(lock)


def reap_owner(owner: str, reaped: list[str]) -> list[Exception]:
    """Reap each record of a dead owner, and the drafts of records that it could not finish; returns what went wrong."""
    errors = []
    for facts in containers_first(records()):
        if facts["owner"] == owner:
            errors += attempted(facts, reaped)
    for draft in runtime_dir().glob(f"*.{owner}.new"):
        draft.unlink(missing_ok=True)
    return errors


def new_record(name: str, undos, **facts) -> Record:
    """Write a record; before this owner's first one, what dead owners left behind is reaped."""
    own = Owner.current()
    with own.reaping:  # a second thread waits until that is done
        if not own.has_reaped:
            own.has_reaped = True
            try:
                gc()
            except* Exception as group:  # somebody else's rubbish must not keep us from starting
                warnings.warn(f"what a dead owner left behind could not all be removed: {group.exceptions}", stacklevel=2)
    return Record(name, undos, **facts)
