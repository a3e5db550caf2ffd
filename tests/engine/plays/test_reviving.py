"""One daemon starts the other again: played with a clock that nobody waits for."""

from __future__ import annotations

from lib.engine.plays.restarting import LONGEST, STEADY
from lib.engine.plays.reviving import PATIENCE, Reviving


def test_who_was_killed_is_started_a_moment_later():
    one = Reviving()
    one.here(100)
    assert one.left(1000) is None
    one.lost(1000)
    one.lost(1000.05)
    assert [round(one.left(now), 3) for now in (1000, 1000.05, 2000)] == [0.1, 0.05, 0]


def test_who_dies_at_once_is_started_later_and_later():
    one, now, waited = Reviving(), 0.0, []
    for _ in range(13):
        one.here(now)
        one.lost(now)
        waited.append(round(one.left(now), 3))
        now += one.left(now)
    assert waited == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, LONGEST, LONGEST, LONGEST]
    one.here(now)
    one.lost(now + STEADY)
    assert round(one.left(now + STEADY), 3) == 0.1, "this one had lived for a while"


def test_a_start_that_was_seen_counts_once():
    one, now, waited = Reviving(), STEADY, []
    for _ in range(4):
        one.lost(now)
        waited.append(round(one.left(now), 3))
        one.started(now)
        one.here(now)
    assert waited == [0.1, 0.2, 0.4, 0.8]


def test_who_was_started_and_is_not_seen_is_started_once_more():
    one = Reviving()
    one.lost(STEADY)
    waited, now = [], STEADY
    for _ in range(8):
        now += one.left(now)
        one.started(now)
        waited.append(round(one.left(now), 3))
    assert waited == [PATIENCE, PATIENCE, PATIENCE, PATIENCE, PATIENCE, 3.2, 6.4, 12.8]
    one.here(now)
    assert one.left(now) is None


def test_who_need_not_be_there_is_not_started():
    one = Reviving()
    one.lost(0)
    one.forget()
    assert one.left(100) is None
