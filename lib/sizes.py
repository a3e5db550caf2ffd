"""Sizes as Docker reads and writes them: ``64m`` in, ``72.8MB`` out."""

from __future__ import annotations

import re

POWERS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def in_bytes(value: int | str) -> int:
    """Bytes from Docker's words: ``64m``, ``1g``, ``512k``, a plain number. Raises ``ValueError``."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([bkmgt]?)b?", str(value).strip().lower())
    if not found:
        raise ValueError(f"invalid size: {value!r} (a number and one of b, k, m, g, e.g. 64m)")
    return int(float(found[1]) * POWERS[found[2]])


DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB")


def human(number: float) -> str:
    """Three digits and a decimal unit: ``72.8MB``."""
    unit = 0
    while number >= 1000 and unit < len(DECIMAL) - 1:
        number /= 1000
        unit += 1
    return f"{number:.3g}{DECIMAL[unit]}" if number < 999.5 else f"{number:.0f}{DECIMAL[unit]}"
