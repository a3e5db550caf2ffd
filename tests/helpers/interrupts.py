"""Ctrl-C while something runs. One that comes too late, as that has ended by itself, fails the test; it must not end pytest."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType

import pytest


def interrupted(deed: Callable[[], object], when: Callable[[], object]) -> KeyboardInterrupt:
    """``deed`` must end by one Ctrl-C, which comes as soon as ``when``, in a thread of its own, is through; that must give something true.

    Returns what was raised. Whatever else ``deed`` raises goes on.
    """

    def within() -> None:
        deed()

    def press() -> object:
        try:
            return when()
        finally:  # also if that never happens, so that the test comes to its end
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    with heard_only_in(within), ThreadPoolExecutor(1) as hand:
        pressing = hand.submit(press)
        with pytest.raises(KeyboardInterrupt) as stopped:
            within()
        assert pressing.result()
    return stopped.value


@contextmanager
def heard_only_in(function: Callable) -> Iterator[None]:
    """Within this block Ctrl-C raises ``KeyboardInterrupt`` while this function runs, and nothing before and after it."""

    def come(number: int, _: FrameType | None) -> None:
        frame: FrameType | None = sys._getframe()  # a shield that was closed hands the interrupt on later, without a frame
        while frame and frame.f_code is not function.__code__:
            frame = frame.f_back
        if frame:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, come)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
