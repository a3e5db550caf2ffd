"""Scalars as numbers, switches, sizes and times. All of these raise ValueError for what is none."""

from __future__ import annotations

import re
from typing import Any

from lib import durations, sizes
from lib.compose.reading.nodes import as_text

LARGEST = (1 << 63) - 1


def whole(value: Any) -> int:
    """Raises: ValueError."""
    if isinstance(value, str) and not re.fullmatch(r"[-+]?[0-9]{1,20}", value):
        raise ValueError(f"'{value[:40]}' is not a whole number")
    number = int(value)
    if abs(number) > LARGEST:
        raise ValueError(f"{str(number)[:40]} is too large a number")
    return number


def count(value: Any) -> int:
    """Raises: ValueError."""
    if (found := whole(value)) < 0:
        raise ValueError("it must be 0 or more")
    return found


def bits(value: Any) -> int:
    """The mode of a tmpfs. Raises: ValueError."""
    if isinstance(value, str):
        raise ValueError("it must be a number, like 0o1777, not a text")
    return whole(value)


def number(value: Any) -> float:
    """Raises: ValueError."""
    try:
        found = float(value)
    except ValueError:
        raise ValueError(f"'{str(value)[:40]}' is not a number") from None
    if found != found or abs(found) > LARGEST:
        raise ValueError(f"'{str(value)[:40]}' is too large a number, or none")
    return found


def truth(value: Any) -> bool:
    """Raises: ValueError."""
    word = as_text(value).lower()
    if word in ("true", "y", "yes", "on"):
        return True
    if word in ("false", "n", "no", "off"):
        return False
    raise ValueError(f"'{word[:40]}' is neither true nor false")


def size(value: Any) -> int:
    """Bytes. Raises: ValueError."""
    if isinstance(value, float):
        return int(number(value))
    text = as_text(value)
    if len(text) > 40:
        raise ValueError(f"'{text[:40]}…' is not a size, like 64m")
    return whole(text) if re.fullmatch(r"[-+]?[0-9]+", text) else sizes.in_bytes(text)


DAYS = re.compile(r"(?:([0-9]{1,6}(?:\.[0-9]{1,6})?)w)?(?:([0-9]{1,6}(?:\.[0-9]{1,6})?)d)?")


def duration(value: Any) -> int:
    """Nanoseconds; beside the usual units, ``w`` and ``d`` are known. Raises: ValueError."""
    text = as_text(value)
    long = DAYS.match(text)
    whole_days = float(long[1] or 0) * 7 + float(long[2] or 0)
    rest = text[long.end() :]
    found = int(whole_days * 86400 * 10**9) + (durations.nanoseconds(rest) if rest or not long.end() else 0)
    if found > durations.LONGEST:
        raise ValueError(f"'{text[:40]}' is more than 292 years")
    return found


def mode(value: Any) -> int:
    """A file's mode: a text is read as octal. Raises: ValueError."""
    if isinstance(value, str):
        if not re.fullmatch(r"[0-7]{1,10}", value):
            raise ValueError(f"'{value[:40]}' is not a file's mode, like 0440")
        return int(value, 8)
    return whole(value)


def count_of_devices(value: Any) -> int:
    return -1 if str(value).lower() == "all" else whole(value)
