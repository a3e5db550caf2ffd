"""Durations as Go reads and writes them."""

from __future__ import annotations

import pytest

from lib.durations import in_words, nanoseconds

PAIRS = {
    0: "0s", 1: "1ns", 1500: "1.5µs", 1_500_000: "1.5ms", 10**9: "1s", 1_500_000_000: "1.5s", 90 * 10**9: "1m30s",
    3600 * 10**9: "1h0m0s", 3600 * 10**9 + 10**6: "1h0m0.001s", -1_500_000_000: "-1.5s", 59_999_999_999: "59.999999999s",
}  # fmt: skip


@pytest.mark.parametrize("number", PAIRS)
def test_a_duration_in_words(number):
    assert in_words(number) == PAIRS[number]
    assert nanoseconds(PAIRS[number]) == number
