"""Keeper and manager as chapter 5 looks at them, and shoots them."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from lib import linux
from lib.engine import finding, pipes
from lib.engine.daemons import calling
from lib.lab.chapters.ch05.world import PATIENCE, awaited, state
from lib.state import kept


def pid_of(daemon: str) -> int:
    """Of the keeper or the manager; 0 if there is none just now."""
    with suppress(ConnectionError), calling.knock(daemon) as line:
        return linux.peer_of(line)
    return 0


def shoot(daemon: str) -> tuple[int, float]:
    """SIGKILL, and wait for the next one: its pid, and how many seconds it took to come. (While nothing runs, none comes.)"""
    was = awaited(lambda: pid_of(daemon), f"a {daemon} to shoot")
    pidfd, began = os.pidfd_open(was), time.monotonic()
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        linux.readable([pidfd], PATIENCE)
    finally:
        os.close(pidfd)
    return awaited(lambda: pid_of(daemon) not in (0, was) and pid_of(daemon), f"another {daemon}"), time.monotonic() - began


def parents(name: str) -> list[str]:
    """A container's first process, its parent, and so on up to process 1."""
    pid, found = state(name)["pid"], []
    while pid > 1:
        words = linux.read(f"/proc/{pid}/stat")
        found.append(f"{words.partition('(')[2].rpartition(')')[0]} ({pid})")
        pid = int(words.rpartition(")")[2].split()[1])
    return [*found, "process 1"]


def plumbing(name: str) -> dict[str, str]:
    """Where a container's output goes, station by station: its descriptor, who else has that open, and the file."""
    facts = finding.find(name)
    pipe = pipes.run_folder(facts["id"]) / "stdout"
    inode = pipe.stat().st_ino
    readers = [word for word in ("keeper", "manager") if holds(pid_of(word), inode)]
    log = max(kept.place(facts).glob("*log*"), key=lambda path: path.stat().st_size)
    return {
        "the shop's descriptor 1": f"a named pipe, {pipe.name}",
        "who else has it open": " and ".join(readers),
        "where it ends up": f"a file, {log.name}",
    }


def holds(pid: int, inode: int) -> bool:
    """Has this process a file open?"""
    for path in Path(f"/proc/{pid}/fd").glob("*"):
        with suppress(OSError):
            if path.stat().st_ino == inode:
                return True
    return False
