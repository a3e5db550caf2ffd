"""Whether and when a container that has ended is started again: played with a clock that nobody waits for."""

from __future__ import annotations

import pytest

from lib.engine.plays.restarting import FIRST, LONGEST, STEADY, Policy, Tries, after, backoff, left

ALWAYS, UNLESS, FAILURE = Policy("always"), Policy("unless-stopped"), Policy("on-failure")


class Play:
    """A container with a policy, and a clock: ``ends`` says how long it ran, and when it is started again (None: never)."""

    def __init__(self, policy: Policy):
        self.policy, self.tries, self.now = policy, Tries(), 0.0

    def ends(self, code: int = 1, ran: float = 0.0, by_hand: bool = False) -> float | None:
        self.now += ran
        self.tries = after(self.policy, self.tries, code, ran, by_hand) or Tries()
        if not self.tries.count:
            return None
        self.now += left(self.tries, 0)
        return self.now


def test_it_waits_twice_as_long_each_time_and_no_longer_than_a_minute():
    play, before, waited = Play(ALWAYS), 0.0, []
    for _ in range(13):
        waited.append(round(play.ends() - before, 3))
        before = play.now
    assert waited == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60, 60, 60] and play.tries.count == 13


def test_who_ran_for_a_while_begins_anew_but_is_counted_on():
    play = Play(ALWAYS)
    for _ in range(5):
        play.ends()
    assert play.tries.delay == pytest.approx(1.6)
    play.ends(ran=STEADY - 0.1)
    assert play.tries.delay == pytest.approx(3.2)
    play.ends(ran=STEADY)
    assert play.tries == Tries(7, FIRST)


@pytest.mark.parametrize(
    ("policy", "code", "again"),
    [
        (Policy(), 1, False),
        (Policy("no"), 0, False),
        (ALWAYS, 0, True),
        (ALWAYS, 1, True),
        (UNLESS, 0, True),
        (UNLESS, 137, True),
        (FAILURE, 0, False),
        (FAILURE, 255, True),
    ],
)
@pytest.mark.parametrize("by_hand", [False, True])
def test_which_end_is_followed_by_a_start(policy, code, again, by_hand):
    assert (Play(policy).ends(code, by_hand=by_hand) is not None) is (again and not by_hand)


def test_on_failure_counts():
    play = Play(Policy("on-failure", 3))
    assert [play.ends() is not None for _ in range(3)] == [True] * 3 and play.tries.count == 3
    assert after(play.policy, play.tries, 1, 0, False) is None, "three times it was started again"
    assert after(play.policy, Tries(2, FIRST), 0, 0, False) is None, "this time it did not fail"


def test_a_delay_of_ones_own_stays_the_same():
    play = Play(Policy("always", delay=5.0))
    assert [play.ends(ran=1.0) for _ in range(3)] == [6.0, 12.0, 18.0]


def test_who_ran_as_long_as_the_window_has_all_its_tries_again():
    play = Play(Policy("always", 2, delay=1.0, window=3.0))
    assert play.ends() and play.ends(ran=2.9) and play.tries.count == 2
    assert play.ends(ran=3.0) and play.tries.count == 1
    assert play.ends() and play.ends() is None, "two tries, and no more"


def test_how_long_is_left_whatever_the_clock_does():
    tries = Tries(3, 10.0)
    assert [left(tries, since) for since in (0, 4, 10, 1e9, -5, -1e9)] == [10, 6, 0, 0, 10, 10]


def test_the_rule_for_daemons_is_the_same():
    assert [backoff(0, 0), backoff(-1, 0), backoff(FIRST, 0), backoff(LONGEST, 0), backoff(LONGEST, STEADY)] == [0.1, 0.1, 0.2, 60, 0.1]
