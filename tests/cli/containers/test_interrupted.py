"""``run --rm`` in a notebook, and Stop is pressed at whatever moment: nothing of the container stays."""

from __future__ import annotations

import os
import signal
import sys

import click
from helpers.needs import requires
from helpers.waiting import wait_for

from lib.cli import suitcase as typed
from lib.state import kept

pytestmark = requires("root", "overlay", "busybox")
HERE = ("/lib/cli/containers/", "/lib/cli/attached/", "/lib/engine/", "/lib/state/kept.py")
EVERY = 29  # calls of ours between two of the moments


class Stop:
    """Interrupts this process at the n-th call of a function of ours."""

    def __init__(self, number: int):
        self.left = number

    def __call__(self, frame, event, argument) -> None:
        if event == "call" and any(one in frame.f_code.co_filename for one in HERE):
            self.left -= 1
            if not self.left:
                os.kill(os.getpid(), signal.SIGINT)


def interrupted_at(number: int) -> bool:
    stop = Stop(number)
    sys.setprofile(stop)
    try:
        typed("run --rm localhost/busybox:static true")
    except (KeyboardInterrupt, click.Abort):
        pass
    finally:
        sys.setprofile(None)
    return stop.left <= 0


def test_nothing_stays_wherever_it_is_stopped():
    typed("run --rm localhost/busybox:static true")
    number = 1
    while interrupted_at(number):
        wait_for(lambda: not kept.every())  # the manager takes it away, in its own time
        number += EVERY
    assert number > 5 * EVERY
