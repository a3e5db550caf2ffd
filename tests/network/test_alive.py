"""What networks share is noted by network namespace: which one that is must stay clear when it has gone."""

from __future__ import annotations

import os
import threading

from helpers.needs import requires

from lib import linux
from lib.network import alive


def numbers() -> tuple[int, int]:
    """Of a new network namespace: its inode, and what we call it. It goes with the thread that has made it."""
    found = []

    def look():
        linux.unshare("net")
        found.append((os.stat("/proc/thread-self/ns/net").st_ino, alive.here()))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    return found[0]


@requires("root")
def test_a_later_namespace_is_never_taken_for_one_that_has_gone():
    """The kernel gives an inode again, and what was noted of the dead would count for the living."""
    seen: dict[int, int] = {}
    for _ in range(200):
        inode, number = numbers()
        if inode in seen:
            assert seen[inode] != number
            return
        seen[inode] = number
    raise AssertionError("this kernel gave no inode twice: the test saw nothing")


def test_threads_of_one_namespace_agree():
    found = []
    thread = threading.Thread(target=lambda: found.append(alive.here()))
    thread.start()
    thread.join()
    assert found == [alive.here()]
