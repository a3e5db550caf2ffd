"""Lives as drawings: they tell in words what they show, and each kind of probe looks different."""

import pytest

from lib.show import lives
from lib.show.plots import axes

STATUSES = [(0.0, "starting"), (1.0, "healthy"), (3.0, "unhealthy")]
PROBES = [(0.2, "forgiven"), (0.4, "forgiven"), (1.0, "passed"), (2.5, "failed"), (2.8, "failed"), (3.0, "failed")]


@pytest.fixture
def drawn(monkeypatch) -> list:
    """The plots that are drawn meanwhile."""
    found = []

    def noted(*words):
        figure, plot = axes(*words)
        found.append(plot)
        return figure, plot

    monkeypatch.setattr(lives, "axes", noted)
    return found


def test_a_health_check_is_a_band_for_each_status_and_a_mark_for_each_probe(drawn):
    picture = lives.health("the database", STATUSES, PROBES, 2.0)
    assert picture.alt == (
        "the database: starting from 0.00 s on, healthy from 1.00 s on, unhealthy from 3.00 s on; its start period is 2 s. "
        "Probes: 1 passed, 2 failed and forgiven, 3 failed."
    )
    [plot] = drawn
    bands = [(bar.get_x(), round(bar.get_x() + bar.get_width(), 2)) for bars in plot.containers for bar in bars]
    assert bands[:2] == [(0, 1), (1, 3)] and bands[2][0] == 3 < bands[2][1]
    assert [len(marks.get_offsets()) for marks in plot.collections] == [1, 2, 3], "passed, forgiven, failed"
    assert "start period" in [text.get_text() for text in plot.texts]


def test_without_a_start_period_none_is_drawn(drawn):
    picture = lives.health("the database", STATUSES[:1], [], 0)
    assert "start period" not in picture.alt + str([text.get_text() for text in drawn[0].texts])


def test_the_rests_between_lives_are_a_staircase(drawn):
    picture = lives.backoff("a shop", [(0.0, 0.1), (0.2, 0.3), (0.5, 0.6)])
    assert picture.alt == "a shop: the rests before the tries are 100 ms, 200 ms."
    [plot] = drawn
    rests = [(round(bar.get_x(), 2), round(bar.get_width(), 2)) for bars in plot.containers for bar in bars]
    assert rests == [(0.1, 0.1), (0.3, 0.2)]
    assert [label.get_text() for label in plot.get_yticklabels()] == ["first start", "try 1", "try 2"]
    assert plot.yaxis_inverted(), "time goes down"


def test_containers_along_one_clock_are_a_row_each(drawn):
    rows = {"db": [(0.1, "created"), (0.2, "starting"), (1.0, "healthy")], "shop": [(0.1, "created"), (1.0, "started"), (2.0, "failed")]}
    picture = lives.gantt("a race", rows)
    assert picture.alt == (
        "a race. db: created at 0.10 s, starting at 0.20 s, healthy at 1.00 s; "
        "shop: created at 0.10 s, started at 1.00 s, failed at 2.00 s."
    )
    [plot] = drawn
    bands = [(bar.get_x(), round(bar.get_x() + bar.get_width(), 2)) for bars in plot.containers for bar in bars]
    assert bands == [(0.1, 0.2), (0.2, 1.0), (1.0, 2.2), (0.1, 1.0), (1.0, 2.0)], "what nobody has ended goes on to the edge"
    assert [label.get_text() for label in plot.get_yticklabels()] == ["db", "shop"]
