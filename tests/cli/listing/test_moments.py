"""``--since`` and ``--until``: each way in which Docker takes a moment."""

from __future__ import annotations

import time

import pytest

from lib.cli.listing.moments import moment

NOW = 1_795_924_801_123_456_789  # 2026-11-29T04:00:01Z


@pytest.fixture(autouse=True)
def here(monkeypatch):
    """An hour and a half east of Greenwich, all year."""
    monkeypatch.setenv("TZ", "<+0130>-1:30")
    time.tzset()
    monkeypatch.setattr(time, "time_ns", lambda: NOW)
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2013-01-02T13:23:37Z", "2013-01-02T13:23:37.000000000Z"),
        ("2013-01-02T13:23:37.5Z", "2013-01-02T13:23:37.500000000Z"),
        ("2013-01-02T13:23:37.123456789123Z", "2013-01-02T13:23:37.123456789Z"),
        ("2013-01-02T13:23:37+02:00", "2013-01-02T11:23:37.000000000Z"),
        ("2013-01-02T13:23:37.25-00:30", "2013-01-02T13:53:37.250000000Z"),
        ("2013-01-02T13:23:37", "2013-01-02T11:53:37.000000000Z"),
        ("2013-01-02T13:23:37.25", "2013-01-02T11:53:37.250000000Z"),
        ("2013-01-02T13:23", "2013-01-02T11:53:00.000000000Z"),
        ("2013-01-02T13", "2013-01-02T11:30:00.000000000Z"),
        ("2013-01-02T13:23Z", "2013-01-02T13:23:00.000000000Z"),
        ("2013-01-02", "2013-01-01T22:30:00.000000000Z"),
        ("2013-01-02Z", "2013-01-02T00:00:00.000000000Z"),
        ("1136073845", "2006-01-01T00:04:05.000000000Z"),
        ("1136073845.000000001", "2006-01-01T00:04:05.000000001Z"),
        ("1136073845.5", "2006-01-01T00:04:05.500000000Z"),
        ("0", "1970-01-01T00:00:00.000000000Z"),
        ("0001-01-01T00:00:00Z", "1970-01-01T00:00:00.000000000Z"),
        ("42", "1970-01-01T00:00:42.000000000Z"),
        ("42m", "2026-11-29T03:18:01.123456789Z"),
        ("1h30m", "2026-11-29T02:30:01.123456789Z"),
        ("0s", "2026-11-29T04:00:01.123456789Z"),
        ("-10s", "2026-11-29T04:00:11.123456789Z"),
        ("1.5s", "2026-11-29T03:59:59.623456789Z"),
        ("2000000h", "1970-01-01T00:00:00.000000000Z"),
        ("9999999999999999999", "9999-12-31T23:59:59.999999999Z"),
    ],
)
def test_moments(text, found):
    assert moment("since", text) == found


@pytest.mark.parametrize(
    "text",
    ["yesterday", "", "2013-02-30", "2013-01-02T25", "2013-1-2", "2013-01-02 13:00", "2013-01-02T13:23:37z", "12:00", "1e9", "٣", "5 m",
     "2013-01-02T13:23:37+2", "1" * 5000],
)  # fmt: skip
def test_what_is_no_moment(text):
    with pytest.raises(ValueError) as caught:
        moment("until", text)
    said = f'invalid value for "until": failed to parse value as time or duration: "{text}" (42m for 42 minutes ago, '
    assert str(caught.value).startswith(said)
