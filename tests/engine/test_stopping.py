"""Stopping as a play: no process, no clock; every branch of the state machine."""

from __future__ import annotations

import signal

import pytest

from lib.engine.plays.stopping import GRACE, Kill, Wait, stopping


def played(grace, answers) -> list:
    """The commands given when each is answered so: has it ended by then?"""
    play, given = stopping(signal.SIGTERM, grace), []
    given.append(next(play))
    for answer in answers:
        try:
            given.append(play.send(answer))
        except StopIteration:
            return [*given, "done"]
    return given


TERM, KILL = Kill(signal.SIGTERM), Kill(signal.SIGKILL)


@pytest.mark.parametrize(
    ("grace", "answers", "commands"),
    [
        (3, [True], [TERM, "done"]),  # it was not there any more
        (3, [False, True], [TERM, Wait(3), "done"]),
        (3, [False, False, False, True], [TERM, Wait(3), KILL, Wait(None), "done"]),
        (3, [False, False, True, True], [TERM, Wait(3), KILL, Wait(None), "done"]),  # the signal itself is no proof of the end
        (0, [False, False, False, True], [TERM, Wait(0), KILL, Wait(None), "done"]),
        (-1, [False, True], [TERM, Wait(None), "done"]),  # as long as it takes
        (None, [False, True], [TERM, Wait(GRACE), "done"]),
    ],
)
def test_every_branch(grace, answers, commands):
    assert played(grace, answers) == commands


def test_its_own_signal_comes_first():
    assert next(stopping(signal.SIGINT, 1)) == Kill(signal.SIGINT)
