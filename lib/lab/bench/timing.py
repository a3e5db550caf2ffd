"""How the bench measures: in turn with the peers, the quartiles for the spread, the machine's free memory before and after."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path


def timed(work: Callable[[], object]) -> float:
    """Milliseconds that ``work`` takes."""
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) * 1e3


def interleaved(works: dict[str, Callable], rounds: int, pause: float = 0) -> dict[str, list[float]]:
    """Milliseconds of each, one after another in each round; the first round only warms up.

    ``pause``: seconds after each, for what it leaves to the kernel; else the next one would pay for it.
    """
    times: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            took = timed(work)
            time.sleep(pause)
            if number:
                times[name].append(took)
    return times


def spread(values: list[float]) -> float:
    low, _, high = statistics.quantiles(values, n=4)
    return high - low


def available() -> int:
    """MemAvailable of the machine, in bytes. See proc_meminfo(5)."""
    line = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable"))
    return int(line.split()[1]) << 10
