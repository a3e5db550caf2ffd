"""The undos: what a deed left behind is removed again, by name and arguments, so that it can stand in a record.

Each may be done twice, and finds then that there is nothing to do.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from lib import linux
from lib.state.removal import rmtree


def kill_cgroup(path: str) -> None:
    """Kill every process of a cgroup, frozen ones too: in one write on v2, by pid on v1. See cgroups(7)."""
    try:
        linux.write(f"{path}/cgroup.kill", "1")
    except OSError:
        _kill_members(path)


def _kill_members(path: str) -> None:
    """v1: freeze, so that a fork bomb cannot be faster than we are, kill each, thaw (a frozen process does not die).

    What runs inside may have made cgroups of its own below ours, and have frozen them.
    """
    pause, deadline = 0.0002, time.monotonic() + 5
    while _populated(path) and time.monotonic() < deadline:
        _freeze([path], "FROZEN")
        for pid in _populated(path):  # listed while nobody can end: a pid that is free again may be another's by the next line
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _freeze(_below(path), "THAWED")
        time.sleep(pause)
        pause = min(2 * pause, 0.01)


def _populated(path: str) -> list[int]:
    return [pid for folder in _below(path) for pid in _members(folder)]


def _freeze(folders: list[str], word: str) -> None:
    for folder in folders:
        with suppress(OSError):
            linux.write(f"{folder}/freezer.state", word)


def _below(path: str) -> list[str]:
    """A cgroup and all cgroups below it, the highest first."""
    return [folder for folder, _, _ in os.walk(path)]


def kill_groups(undos) -> None:
    """Do those undos that kill; they may be done again later."""
    for call, *args in undos:
        if call == "kill_cgroup":
            kill_cgroup(*args)


def _members(path: str) -> list[int]:
    try:
        return [int(pid) for pid in linux.read(f"{path}/cgroup.procs").split() if pid != "0"]
    except OSError:
        return []


def rmdir(path: str) -> None:
    """Remove a folder of the cgroup tree; its last process may still be on its way out, so try for a while.

    Folders below it were made by what ran inside (a container in the container), and go with it.
    """
    pause, deadline = 0.0005, time.monotonic() + 5
    while True:
        try:
            return os.rmdir(path)
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            for folder in reversed(_below(path)[1:]):
                with suppress(OSError):
                    os.rmdir(folder)
            time.sleep(pause)
            pause = min(pause * 2, 0.05)


def unlink(path: str) -> None:
    Path(path).unlink(missing_ok=True)


UNDOS = {"kill_cgroup": kill_cgroup, "rmdir": rmdir, "rmtree": rmtree, "unlink": unlink}


def undo_all(undos) -> None:
    """Do the undos, the last one first; go on after an error, and raise all errors together at the end."""
    errors = []
    for call, *args in reversed(list(undos)):
        try:
            UNDOS[call](*args)
        except Exception as error:
            errors.append(error)
    if errors:
        raise ExceptionGroup("some undos failed", errors)
