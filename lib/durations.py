"""``1m30s``: a duration as Go reads it, as HEALTHCHECK and Compose have them."""

from __future__ import annotations

import re

UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
LONGEST = (1 << 63) - 1  # some 292 years
_PART = r"([0-9]{0,20})(?:\.([0-9]{0,20}))?(ns|us|µs|μs|ms|s|m|h)"


class BadDuration(ValueError):
    """A text that is not a duration."""


def nanoseconds(text: str) -> int:
    """The duration in nanoseconds. ``0`` needs no unit. Raises: BadDuration."""
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    total = at = 0
    while at < len(digits) and digits != "0":
        part = re.match(_PART, digits[at : at + 50])
        if not part or not (part[1] or part[2]):
            raise BadDuration(f"'{text[:40]}' is not a duration: a number and one of ns us ms s m h, like 1m30s")
        unit = UNITS[part[3]]
        total += int(part[1] or 0) * unit + int(part[2] or 0) * unit // 10 ** len(part[2] or "")
        at += part.end()
    if not digits or total > LONGEST:
        raise BadDuration(f"'{text[:40]}' is not a duration, or one of more than 292 years")
    return sign * total


def in_words(nanoseconds: int) -> str:
    """As Go writes it: ``1m30s``, ``1.5s``, ``500ms``."""
    if nanoseconds < 0:
        return "-" + in_words(-nanoseconds)
    if nanoseconds < 10**9:
        unit = "ns" if nanoseconds < 10**3 else "µs" if nanoseconds < 10**6 else "ms"
        return f"{nanoseconds / UNITS[unit]:.9g}{unit}" if nanoseconds else "0s"
    minutes, rest = divmod(nanoseconds, 60 * 10**9)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{rest / 10**9:.11g}s"
