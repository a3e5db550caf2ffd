"""Does a container's first process live? Its facts may still say so when it has ended, until the manager has settled that."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress

from lib import linux
from lib.state import kept
from lib.state.places import runtime_dir

BEGUN, TOLD = "begun", "1"  # a file in its run folder, locked as long as it waits for the word to start; what it writes there then


def boot() -> str:
    """This start of the machine; after the next one a pid and a start time may be another's."""
    return linux.read("/proc/sys/kernel/random/boot_id").strip()


def alive(facts: dict) -> bool:
    """Whether it is the process on record that runs under the pid on record."""
    now = facts["state"]
    if now["status"] not in kept.UP or not now["pid"] or now["boot"] != boot():
        return False
    with suppress(OSError, IndexError):
        words = linux.stat_of(now["pid"])
        return words[0] not in "ZX" and int(words[linux.STARTED]) == now["start_time"]
    return False


def begun(facts: dict) -> bool:
    """Was its process told to start? One that still waits for the word is waited for: it ends if whoever is to say it is killed."""
    path = runtime_dir() / facts["id"][: kept.SHORT] / BEGUN
    try:
        with kept.holding(path, fcntl.LOCK_SH):
            return path.read_text().startswith(TOLD)
    except FileNotFoundError:  # an earlier suitcase made none; or it has ended meanwhile
        return True


def pidfd_of(facts: dict) -> int:
    """A descriptor of its first process, also of one that has ended and was not waited for yet; -1 if there is none any more."""
    now = facts["state"]
    if not now["pid"] or now["boot"] != boot():
        return -1
    try:
        pidfd = os.pidfd_open(now["pid"])
    except OSError:
        return -1
    with suppress(OSError, IndexError):
        if int(linux.stat_of(now["pid"])[linux.STARTED]) == now["start_time"]:
            return pidfd
    os.close(pidfd)
    return -1
