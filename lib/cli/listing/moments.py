"""``--since`` and ``--until``: a moment as Docker reads it."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

from lib import durations
from lib.engine import moments

DATE = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)(?:T(?P<hour>\d\d)(?::(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<rest>\d{1,20}))?)?)?)?"
    r"(?P<zone>Z|[+-]\d\d:\d\d)?",
    re.ASCII,
)
UNIX = re.compile(r"(?P<seconds>\d{1,19})(?:\.(?P<rest>\d{1,20}))?", re.ASCII)
WAYS = "42m for 42 minutes ago, 2013-01-02T13:23:37Z or a part of that, or seconds since 1970"


def moment(option: str, text: str) -> str:
    """The moment as a log's frames have it. Raises ``ValueError``."""
    try:
        return moments.of(nanoseconds(text))
    except (ValueError, OverflowError):
        raise ValueError(f'invalid value for "{option}": failed to parse value as time or duration: "{text}" ({WAYS})') from None


def nanoseconds(text: str) -> int:
    """Since 1970. A duration is one before now; a date without a zone is one of here. Raises ``ValueError``, ``OverflowError``."""
    if found := DATE.fullmatch(text):
        return of_date(**found.groupdict())
    if found := UNIX.fullmatch(text):
        return int(found["seconds"]) * 10**9 + fraction(found["rest"])
    return time.time_ns() - durations.nanoseconds(text)


def of_date(day: str, hour: str | None, minute: str | None, second: str | None, rest: str | None, zone: str | None) -> int:
    moment = datetime.fromisoformat(f"{day}T{hour or '00'}:{minute or '00'}:{second or '00'}{zone or ''}")
    there = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (there.days * 86400 + there.seconds) * 10**9 + fraction(rest)


def fraction(digits: str | None) -> int:
    return int((digits or "").ljust(9, "0")[:9])
