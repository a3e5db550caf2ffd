"""Tables, sizes and ages as Docker writes them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime


def age(text: str) -> str:
    """How long ago a moment (RFC 3339) was: ``2 minutes ago``; ``N/A`` for what is no moment."""
    found = re.match(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)", text or "")
    try:
        moment = datetime.fromisoformat(found[1]).replace(tzinfo=UTC) if found else None
    except ValueError:  # the 31st of February
        moment = None
    if moment is None:
        return "N/A"
    seconds = (datetime.now(UTC) - moment).total_seconds()
    return f"{duration(seconds)} ago"


def duration(seconds: float) -> str:
    for limit, unit, word in ((60, 1, "second"), (3600, 60, "minute"), (48 * 3600, 3600, "hour"), (14 * 86400, 86400, "day"),
                              (60 * 86400, 7 * 86400, "week"), (2 * 365 * 86400, 30 * 86400, "month")):  # fmt: skip
        if seconds < limit:
            return words(seconds, unit, word)
    return words(seconds, 365 * 86400, "year")


def words(seconds: float, unit: int, word: str) -> str:
    count = int(seconds // unit)
    if count < 1:
        return "Less than a second"
    if count == 1:
        return {"second": "1 second", "minute": "About a minute", "hour": "About an hour"}.get(word, f"1 {word}")
    return f"{count} {word}s"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns three spaces apart, the last one not padded."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(row[column]) for row in lines) for column in range(len(head))]
    return "\n".join("   ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in lines)


def shorten(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def terminal_width() -> int:
    return shutil.get_terminal_size().columns
