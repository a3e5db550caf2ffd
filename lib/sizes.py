"""Sizes as Docker reads and writes them: ``64m`` in, ``72.8MB`` out."""

from __future__ import annotations

import re

POWERS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
LARGEST = (1 << 63) - 1


def in_bytes(value: int | str) -> int:
    """Bytes from Docker's words: ``64m``, ``1g``, ``512k``, ``64MiB`` (or ``64MB``), a plain number. Raises ``ValueError``."""
    found = re.fullmatch(r"(\d{1,40}(?:\.\d{0,40})?) ?(?:b|([kmgtp])(?:i?b)?)?", str(value).strip().lower())
    number = float(found[1]) * POWERS[found[2] or ""] if found else LARGEST + 1
    if number > LARGEST:
        raise ValueError(f"invalid size: {value!r} (a number and one of b, k, m, g, e.g. 64m)")
    return int(number)


DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB")


def human(number: float) -> str:
    """Three digits and a decimal unit: ``72.8MB``."""
    unit = 0
    while number >= 1000 and unit < len(DECIMAL) - 1:
        number /= 1000
        unit += 1
    return f"{number:.3g}{DECIMAL[unit]}" if number < 999.5 else f"{number:.0f}{DECIMAL[unit]}"
