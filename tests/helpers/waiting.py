"""One way to wait, for every test: look until it is so, or until a deed has ended."""

from __future__ import annotations

import threading
import time


def wait_for(question, seconds: float = 60):
    """Look again and again until it is so; the limit is only there so that a broken feature fails instead of hanging."""
    deadline = time.monotonic() + seconds
    while not (found := question()):
        assert time.monotonic() < deadline, "it never became so"
        time.sleep(0.01)
    return found


def ends(deed, seconds: float = 60) -> bool:
    """In a thread: what has no end must not keep the test from failing."""
    thread = threading.Thread(target=deed, daemon=True)
    thread.start()
    thread.join(seconds)
    return not thread.is_alive()
