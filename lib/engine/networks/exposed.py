"""``--expose``: ports by their numbers, and ranges of them."""

from __future__ import annotations

LARGEST = 65535


def exposed(words: tuple[str, ...]) -> list[str]:
    """``80``, ``53/udp``, ``8000-8003``, each port by itself: ``80/tcp`` … Raises ``ValueError``."""
    try:
        return list(dict.fromkeys(one for word in words for one in of_range(word)))
    except ValueError as error:
        raise ValueError(f"invalid range format for --expose: {error}") from None


def of_range(word: str) -> list[str]:
    if not word:
        raise ValueError("invalid port range: value is empty")
    bounds, _, protocol = word.partition("/")
    first, dash, last = bounds.partition("-")
    low = number(first, "start")
    high = number(last, "end") if dash and last != first else low
    if high < low:
        raise ValueError(f"invalid port range: {word}")
    return [f"{port}/{protocol.lower() or 'tcp'}" for port in range(low, high + 1)]


def number(text: str, which: str) -> int:
    """A port. Raises ``ValueError``."""
    if text.isascii() and text.isdigit():
        if len(text) < 20 and int(text) <= LARGEST:
            return int(text)
        why = "value out of range"
    else:
        why = "invalid syntax" if text else "value is empty"
    raise ValueError(f"invalid {which} port '{text}': {why}")
