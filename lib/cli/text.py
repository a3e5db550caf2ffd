"""Tables and ages as Docker writes them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime


def age(text: str) -> str:
    """How long ago a moment (RFC 3339) was: ``2 minutes ago``; ``N/A`` for what is no moment."""
    seconds = seconds_since(text)
    return "N/A" if seconds is None else f"{duration(seconds)} ago"


def seconds_since(text: str) -> float | None:
    """Seconds since a moment (RFC 3339); None for what is no moment, as the 31st of February."""
    try:
        moment = datetime.fromisoformat(text)
        return (datetime.now(UTC) - (moment if moment.tzinfo else moment.replace(tzinfo=UTC))).total_seconds()
    except (ValueError, OverflowError):
        return None


def duration(seconds: float) -> str:
    """In the largest unit that there are two of. From an hour on Docker rounds half hours up, below it cuts off."""
    if seconds < 1:
        return "Less than a second"
    if seconds < 60:
        return "1 second" if seconds < 2 else f"{int(seconds)} seconds"
    if seconds < 3600:
        return "About a minute" if seconds < 120 else f"{int(seconds // 60)} minutes"
    hours = int(seconds / 3600 + 0.5)
    for limit, unit, word in ((48, 1, "hours"), (14 * 24, 24, "days"), (60 * 24, 7 * 24, "weeks"), (2 * 365 * 24, 30 * 24, "months")):
        if hours < limit:
            return "About an hour" if hours == 1 else f"{hours // unit} {word}"
    return f"{int(seconds // 3600) // (365 * 24)} years"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], width: int = 10, gap: int = 3) -> str:
    """Columns ``gap`` spaces apart and, with these, at least ``width`` wide; the last one is not padded."""
    lines = [list(head), *map(list, rows)]
    longest = max(map(len, lines))
    widths = [max([width - gap, *(len(row[column]) for row in lines if len(row) > column + 1)]) + gap for column in range(longest)]
    return "\n".join("".join(word.ljust(width) for word, width in zip(row[:-1], widths, strict=False)) + row[-1] for row in lines)


def shorten(text: str, width: int) -> str:
    """As much of a text as ``width`` columns of a terminal hold: a Chinese character takes two of them."""
    if text.isascii():
        return text if len(text) <= width else text[: width - 1] + "…"
    from unicodedata import east_asian_width

    taken, ends = 0, []
    for one in text:
        taken += 2 if east_asian_width(one) in "WF" else 1
        ends.append(taken)
    return text if taken <= width else text[: sum(end < width for end in ends)] + "…"
