"""A test that presses Ctrl-C, and what it presses it for has ended by then: that is a failure, and not the end of pytest."""

from __future__ import annotations

import signal
import threading
import time

import pytest
from helpers.interrupts import interrupted
from helpers.waiting import wait_for


def test_it_is_raised_while_the_deed_runs_and_only_there():
    began = threading.Event()
    interrupted(lambda: (began.set(), time.sleep(60)), lambda: began.wait(60))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_one_that_comes_too_late_fails_the_test():
    over = threading.Event()
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        interrupted(over.set, lambda: over.wait(60))


def test_an_error_that_comes_first_is_told():
    def fails() -> None:
        over.set()
        raise ValueError("broken")

    over = threading.Event()
    with pytest.raises(ValueError, match="broken"):
        interrupted(fails, lambda: over.wait(60) and time.sleep(0.1))


def test_what_was_waited_for_never_comes():
    """Then it is pressed all the same, so that the deed ends."""
    with pytest.raises(AssertionError, match="it never became so"):
        interrupted(lambda: time.sleep(60), lambda: wait_for(lambda: False, 0.1))
