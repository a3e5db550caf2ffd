"""Sizes as Docker reads and writes them: ``64m`` in, ``72.8MB`` out."""

from __future__ import annotations

import re

UNITS = ["", "k", "m", "g", "t", "p"]
LARGEST = (1 << 63) - 1


def in_bytes(value: int | str, kilo: int = 1024) -> int:
    """Bytes from Docker's words: ``64m``, ``1g``, ``512k``, ``64MiB`` (or ``64MB``), a plain number. Raises ``ValueError``.

    One k is 1024 of memory, as of most things; of a log it is 1000.
    """
    found = re.fullmatch(r"(\d{1,40}(?:\.\d{0,40})?) ?(?:b|([kmgtp])(?:i?b)?)?", str(value).strip().lower())
    number = float(found[1]) * kilo ** UNITS.index(found[2] or "") if found else LARGEST + 1
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


def binary(number: float) -> str:
    """Four digits and a power of 1024: ``7.764GiB``, as Docker tells of memory."""
    units = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
    unit = min(int(number).bit_length() - 1, 10 * len(units) - 1) // 10 if number >= 1 else 0
    return f"{number / 1024**unit:.4g}{units[unit]}"
