"""What the property tests share: the same examples on every run, and a count of the steps that a call takes."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

LIB = str(Path(__file__).parents[2] / "lib")

fuzzed = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=300,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def steps(call, *args) -> int:
    """How many lines of ``lib`` run in ``call(*args)``, which may raise a ValueError. No clock: the count is the same everywhere."""
    count = 0

    def trace(frame, event, arg):
        nonlocal count
        if not frame.f_code.co_filename.startswith(LIB):
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call(*args)
    except ValueError:
        pass
    finally:
        sys.settrace(before)
    return count
