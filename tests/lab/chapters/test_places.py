"""A place is in a namespace of its own, and answers, wherever the stop button has come before."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from helpers.needs import requires

from lib.lab.chapters.places import Place

pytestmark = requires("root", "ip")


@pytest.fixture
def place():
    one = Place("one")
    yield one
    one.close()


def stopped_at(number: int, call) -> bool:
    """Call it, with an interrupt at the so-manieth thing that Python does there; False if it was done before that."""
    left = [number]

    def trace(*_):
        left[0] -= 1
        if not left[0]:
            sys.settrace(None)
            raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    try:
        sys.settrace(trace)
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)  # coverage's
    return False


def test_it_answers_whatever_was_interrupted_before(place):
    """A lock that Python takes step by step stayed locked, and the next question was never answered."""
    number = 1
    while stopped_at(number, lambda: place(os.getpid)):
        answers: list[int] = []
        asker = threading.Thread(target=lambda answers=answers: answers.append(place(os.getpid)), daemon=True)
        asker.start()
        asker.join(60)
        assert answers == [os.getpid()], f"after an interrupt at event {number}"
        number += 1
    assert number > 5


STARTED_THERE = """
import os
from lib.lab.chapters.places import Place
from lib.process import Starter
place = Place("one")
with place:
    there = os.readlink("/proc/thread-self/ns/net")
    asked = Starter.current().process.pid
print(os.readlink(f"/proc/{asked}/ns/net") == os.readlink("/proc/self/ns/net") != there)
place.close()
"""


def test_what_starts_processes_stays_at_home_though_it_is_first_asked_there():
    """Else whatever is started later, from home, is in a network that nobody sees any more: a virtual machine that never answers."""
    command = [sys.executable, "-c", STARTED_THERE]
    done = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True, timeout=60)
    assert done.stdout == "True\n", done.stdout + done.stderr


def test_what_a_call_raises_is_raised_here(place):
    with pytest.raises(FileNotFoundError):
        place(os.stat, "/nosuch")
    assert place(os.getpid) == os.getpid()


def test_its_namespace_goes_with_it(place):
    assert place(os.readlink, "/proc/thread-self/ns/net") != os.readlink("/proc/self/ns/net")
    thread = place.thread
    place.close()
    assert not thread.is_alive()
    with pytest.raises(ValueError, match="one has been tidied away"):
        place(os.getpid)
