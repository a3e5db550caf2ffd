"""The functions of Go's templates, and those that Docker has added: what may stand before a field, or behind a ``|``.

See https://pkg.go.dev/text/template and https://docs.docker.com/engine/cli/formatting/.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

HALF = re.compile("[\ud800-\udfff]")  # of a character, or a byte that is not UTF-8: neither can be written


def as_json(value: object, indent: int | None = None) -> str:
    """As Go writes it: without spaces unless it is indented, and what is no character replaced."""
    separators = None if indent else (",", ":")
    return HALF.sub("\ufffd", json.dumps(value, indent=indent, separators=separators, ensure_ascii=False, default=dict))


def plain(value: object) -> str:
    """As Go prints it."""
    if isinstance(value, list):
        return "[" + " ".join(map(plain, value)) + "]"
    if isinstance(value, Mapping) and type(value).__str__ is dict.__str__:
        return "map[" + " ".join(f"{key}:{plain(one)}" for key, one in sorted(value.items())) + "]"
    return "<nil>" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def true(value: object) -> bool:
    """What ``if`` takes for true: not what is empty, zero or nothing."""
    return bool(value)


def index(value: object, *keys: object) -> object:
    """What stands at a place of a list, or under a key of an object; of texts a missing one is empty. Raises ``ValueError``."""
    for key in keys:
        if isinstance(value, Mapping):
            texts = all(isinstance(one, str) for one in value.values())
            value = value.get(key, "" if texts else None)
        elif isinstance(value, Sequence) and isinstance(key, int):
            if not 0 <= key < len(value):
                raise ValueError(f"error calling index: index out of range: {key}")
            value = value[key]
        else:
            raise ValueError(f"error calling index: cannot index {plain(value)} with {plain(key)}")
    return value


def part(value: str, *bounds: int) -> str:
    """``slice .ID 0 12``. Raises ``ValueError``."""
    low, high = (*bounds, *(0, len(value))[len(bounds) :])
    if not 0 <= low <= high <= len(value):
        raise ValueError(f"error calling slice: index out of range: {max(low, high)}")
    return value[low:high]


def length(value: object) -> int:
    """Of a text its bytes, as in Go."""
    return len(value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value)


def title(text: str) -> str:
    """The first letter of each word is made a capital, and no other is changed."""
    return re.sub(r"(?<!\w)\w", lambda one: one[0].upper(), text)


def printf(form: str, *values: object) -> str:
    """The verbs that people use: ``%s %v %q %d %t %f %x``, with a width and a precision. Raises ``ValueError``."""
    left = list(values)

    def one(found: re.Match) -> str:
        if found["verb"] == "%":
            return "%"
        if not left:
            return f"%!{found['verb']}(MISSING)"
        value, verb = left.pop(0), found["verb"]
        text = as_json(value) if verb == "q" else value if verb in "dfx" else plain(value)
        return f"%{found['how']}{'s' if verb in 'vqt' else verb}" % text

    try:
        return re.sub(r"%(?P<how>[-+ 0]*\d{0,4}(?:\.\d{1,4})?)(?P<verb>[svqdtfx%])", one, form)
    except (TypeError, ValueError) as error:
        raise ValueError(f"error calling printf: {error}") from None


def words(*values: object) -> str:
    return " ".join(map(plain, values))


def joined(values: Sequence, between: str) -> str:
    return between.join(map(plain, values or ()))


def compared(how: Callable[[object, object], bool]) -> Callable:
    def compare(one: object, other: object) -> bool:
        try:
            return how(one, other)
        except TypeError:
            raise ValueError("error calling a comparison: incompatible types for comparison") from None

    return compare


class Function(NamedTuple):
    """What it does, and how many words it takes: at least, and at most (None: any number)."""

    call: Callable
    least: int
    most: int | None


FUNCTIONS = {
    "json": Function(as_json, 1, 1),
    "join": Function(joined, 2, 2),
    "lower": Function(lambda text: plain(text).lower(), 1, 1),
    "upper": Function(lambda text: plain(text).upper(), 1, 1),
    "title": Function(lambda text: title(plain(text)), 1, 1),
    "split": Function(lambda text, between: text.split(between), 2, 2),
    "pad": Function(lambda text, before, after: f"{' ' * before}{text}{' ' * after}" if text else "", 3, 3),
    "truncate": Function(lambda text, length: text[:length], 2, 2),
    "print": Function(lambda *values: "".join(map(plain, values)), 0, None),
    "println": Function(lambda *values: words(*values) + "\n", 0, None),
    "printf": Function(printf, 1, None),
    "index": Function(index, 1, None),
    "slice": Function(part, 1, 3),
    "len": Function(length, 1, 1),
    "eq": Function(lambda one, *others: any(one == other for other in others), 2, None),
    "ne": Function(lambda one, other: one != other, 2, 2),
    "lt": Function(compared(lambda one, other: one < other), 2, 2),
    "le": Function(compared(lambda one, other: one <= other), 2, 2),
    "gt": Function(compared(lambda one, other: one > other), 2, 2),
    "ge": Function(compared(lambda one, other: one >= other), 2, 2),
    "not": Function(lambda one: not true(one), 1, 1),
    "and": Function(lambda *values: next((one for one in values if not true(one)), values[-1]), 1, None),
    "or": Function(lambda *values: next((one for one in values if true(one)), values[-1]), 1, None),
}
