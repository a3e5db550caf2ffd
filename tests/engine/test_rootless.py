"""Who may go into a network namespace of a user's own: a process of one thread."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import ctypes, os, threading
from lib.engine.networks import rootless
libc = ctypes.CDLL(None)
libc.pthread_create(ctypes.byref(ctypes.c_ulong()), None, libc.usleep, ctypes.c_void_p(300_000))
print(len(os.listdir("/proc/self/task")), rootless.alone(), len(os.listdir("/proc/self/task")))
over = threading.Event()
threading.Thread(target=over.wait).start()
print(rootless.alone())
over.set()
"""


def test_a_thread_that_is_still_being_put_away_is_waited_for_and_one_that_works_is_not():
    """To Python it has ended when it has said so; the kernel, which decides, may still count it. Here Python has never heard of it."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["2", "True", "1", "False"], done.stdout + done.stderr
