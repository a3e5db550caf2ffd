"""Moments as Docker writes them: UTC, RFC 3339, nanoseconds."""

from __future__ import annotations

import time

NEVER = "0001-01-01T00:00:00Z"
LAST = 253_402_300_799_999_999_999  # nanoseconds: the end of the year 9999, the last one with four digits


def now() -> str:
    """Such as ``2026-11-29T03:20:01.123456789Z``."""
    return of(time.time_ns())


def of(nanoseconds: int) -> str:
    """A moment that is so many nanoseconds after 1970. All are of one length: the later one is the greater text."""
    seconds, rest = divmod(min(max(nanoseconds, 0), LAST), 10**9)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09d}Z"


def seconds(text: str) -> float:
    """A moment as seconds since 1970."""
    from datetime import datetime  # to start a container nobody has to read one

    return datetime.fromisoformat(text).timestamp()
