"""A container's health: played with a clock that nobody waits for."""

from __future__ import annotations

import pytest

from lib.engine.plays.health import HEALTHY, KILL, PROBE, STARTING, UNHEALTHY, Check, Times

TIMES = Times(interval=10, timeout=4, start_period=0, start_interval=1, retries=2)


class Play:
    """``until`` lets time go by to the next thing to do; ``asked`` are the moments of the probes."""

    def __init__(self, **times):
        self.now = 0.0
        self.check = Check(TIMES._replace(**times), 0, 0)
        self.asked: list[float] = []

    def until(self) -> str:
        self.now = self.check.deadline
        assert self.check.todo(self.now - 0.001) is None
        return self.check.todo(self.now)

    def probe(self, code: int | None, took: float = 0.0) -> str:
        """The next one, and its answer (None: none comes in time); the status then."""
        assert self.until() == PROBE
        self.asked.append(self.now)
        self.check.begin(self.now)
        if code is None:
            assert self.until() == KILL and self.now == self.asked[-1] + self.check.times.timeout
            self.check.kill()
            assert self.check.deadline is None and self.check.todo(1e9) is None, "its end is waited for"
            took, code = 1.0, -1
        self.now += took
        self.check.answered(code, self.now)
        return self.check.status


def test_the_first_answer_comes_after_an_interval():
    play = Play()
    assert play.check.status == STARTING and play.check.todo(9.9) is None
    assert [play.probe(0) for _ in range(3)] == [HEALTHY] * 3 and play.asked == [10, 20, 30]


def test_the_interval_begins_when_the_answer_is_there():
    play = Play()
    play.probe(0, took=3)
    play.probe(0)
    assert play.asked == [10, 23]


def test_so_many_failures_in_a_row():
    play = Play(retries=3)
    assert [play.probe(code) for code in (1, 1, 0, 1, 1, 2, 1, 0)] == [
        STARTING, STARTING, HEALTHY, HEALTHY, HEALTHY, UNHEALTHY, UNHEALTHY, HEALTHY,
    ]  # fmt: skip
    assert play.check.streak == 0


def test_what_takes_too_long_is_killed_and_has_failed():
    play = Play(retries=2)
    assert [play.probe(None), play.check.streak, play.probe(None), play.check.streak] == [STARTING, 1, UNHEALTHY, 2]
    assert play.asked == [10, 25], "an interval after its end"


def test_within_the_start_period_it_is_asked_more_often_and_failures_do_not_count():
    play = Play(start_period=3.5)
    assert [play.probe(1) for _ in range(3)] == [STARTING] * 3 and play.check.streak == 0
    assert play.asked == [1, 2, 3]
    assert play.probe(1) == STARTING and play.asked[-1] == 4 and play.check.streak == 1, "its interval had begun by then"
    assert play.probe(1) == UNHEALTHY and play.asked[-1] == 14


def test_a_probe_that_began_within_the_start_period_does_not_count_however_long_it_takes():
    play = Play(start_period=2)
    play.probe(1, took=3)
    assert play.check.streak == 0 and play.check.deadline == play.now + 10


def test_one_success_ends_the_start_period():
    play = Play(start_period=100, retries=1)
    assert [play.probe(1), play.probe(0), play.probe(1)] == [STARTING, HEALTHY, UNHEALTHY]
    assert play.asked == [1, 2, 12]


def test_nobody_asks_one_that_is_paused():
    play = Play()
    play.probe(0)
    play.check.pause()
    assert play.check.deadline is None and play.check.todo(1e9) is None and play.check.status == HEALTHY
    play.check.go_on(500)
    assert play.check.deadline == 510
    play.check.go_on(505)
    assert play.check.deadline == 510, "it goes on already"


def test_a_probe_that_runs_when_it_is_paused_counts_for_nothing():
    play = Play(retries=1)
    assert play.until() == PROBE
    play.check.begin(play.now)
    play.check.pause()
    assert play.check.todo(1e9) is None and play.check.streak == 0


def test_one_that_could_not_be_asked_is_asked_later():
    play = Play(retries=1)
    play.until()
    play.check.put_off(play.now, 1)
    assert (play.check.deadline, play.check.status, play.check.streak) == (play.now + 1, STARTING, 0)


@pytest.mark.parametrize(("status", "streak"), [(HEALTHY, 0), (UNHEALTHY, 7), (STARTING, 1)])
def test_the_next_manager_goes_on_where_the_last_one_was(status, streak):
    check = Check(TIMES, 0, 1000, status, streak)
    assert (check.status, check.deadline) == (status, 1010)
    check.begin(1010)
    check.answered(1, 1010)
    assert check.streak == streak + 1
