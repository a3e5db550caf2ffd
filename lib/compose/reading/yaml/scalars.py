"""What a word without quotes means: YAML 1.2's core, and the three things more that Compose's own parser knows.

These are numbers with ``_`` in them, ``010`` as an octal number, and days like ``2001-12-14``. ``yes`` and ``22:22`` are texts.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Any

WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **dict.fromkeys((f"{sign}{word}" for sign in ("", "+") for word in (".inf", ".Inf", ".INF")), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
}
WHOLE = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]*|[1-9][0-9]*)")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
DAY = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})")
LONGEST = 400  # digits; a longer number is a text


def meaning(word: str) -> Any:
    """The value of a plain scalar: None, a bool, a number, or the text itself."""
    if word in WORDS:
        return WORDS[word]
    if word[:1] not in "+-.0123456789" or len(word) > LONGEST:
        return word
    digits = word.replace("_", "")
    if WHOLE.fullmatch(digits):
        return _whole(digits)
    if FLOAT.fullmatch(digits):
        return float(digits)
    found = DAY.fullmatch(word)
    return _day(word, *map(int, found.groups())) if found else word


def _whole(digits: str) -> int | float:
    sign, digits = (-1, digits[1:]) if digits[0] == "-" else (1, digits.removeprefix("+"))
    octal = len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()
    number = sign * int(digits, 8 if octal else 0)
    if not number and sign < 0:
        return -0.0
    return number if -(1 << 63) <= number < 1 << 64 else float(number)


def _day(word: str, year: int, month: int, day: int) -> str:
    try:
        return f"{date(year, month, day)} 00:00:00 +0000 UTC"
    except ValueError:
        return word
