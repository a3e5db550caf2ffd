"""The pattern of ``${x#pattern}``: ``*`` is any text, ``?`` one character, neither goes beyond a line's end.

Between the stars stand fixed pieces. To match from the left, each piece is taken where it is found first: nothing is gained by
taking a later one, so there is no search back and forth, and a pattern from a stranger cannot keep us busy.
"""

from __future__ import annotations

import re

from lib.visible import Visible

LONGEST = 1000  # characters: each is compared, at worst, with every character of the value


class BadPattern(Visible, ValueError):
    """A pattern that ends in a backslash, that has one before an ordinary character, or that is too long."""


class ShellPattern:
    """A compiled pattern. Raises: BadPattern."""

    def __init__(self, text: str):
        if len(text) > LONGEST:
            raise BadPattern(f"the pattern '{text[:60]}…' has {len(text)} characters, at most {LONGEST} are taken")
        self._signs = _signs(text)
        self._pieces = _pieces(self._signs)

    def without_beginning(self, value: str, longest: bool) -> str:
        """``value`` without the beginning that matches (``#``, and ``##`` for the longest)."""
        end = _match(self._pieces, value, longest)
        return value if end is None else value[end:]

    def without_end(self, value: str, longest: bool) -> str:
        """``value`` without the end that matches (``%`` and ``%%``): the same, read backwards."""
        end = _match(_pieces(self._signs[::-1]), value[::-1], longest)
        return value if end is None else value[: len(value) - end]

    def replaced(self, value: str, by: str, every: bool, most: int) -> str:
        """``value`` with its first match, or every match, replaced. At most ``most`` characters are made."""
        parts, done, at, size = [], 0, 0, 0
        while size <= most and (found := _search(self._pieces, value, at)):
            begin, end = found
            if begin == end == done and parts:  # nothing, right after a match: that is no match of its own
                at = end + 1
                if at > len(value):
                    break
                continue
            parts += value[done:begin], by
            size += begin - done + len(by)
            done, at = end, max(end, begin + 1)
            if not every or at > len(value):
                break
        return "".join(parts) + value[done:]


def _signs(text: str) -> list[str]:
    """The pattern as regular expressions of one character each; a star is ``*``."""
    signs, chars = [], iter(text)
    for char in chars:
        if char == "\\":
            escaped = next(chars, "")
            if not escaped or escaped not in "}/*?\\":
                raise BadPattern(f"'\\{escaped}' means nothing in the pattern '{text[:60]}'; a backslash stands before * ? \\ / or }}")
            signs.append(re.escape(escaped))
        else:
            signs.append({"*": "*", "?": "."}.get(char) or re.escape(char))
    return signs


def _pieces(signs: list[str]) -> list[re.Pattern]:
    """What stands between the stars."""
    pieces = [[]]
    for sign in signs:
        if sign == "*":
            pieces.append([])
        else:
            pieces[-1].append(sign)
    return [re.compile("".join(piece)) for piece in pieces]


def _match(pieces: list[re.Pattern], value: str, longest: bool) -> int | None:
    """Where a match ends that begins with ``value``."""
    found = pieces[0].match(value)
    return _rest(pieces[1:], value, found.end(), longest) if found else None


def _rest(pieces: list[re.Pattern], value: str, at: int, longest: bool) -> int | None:
    """Where the pieces after the first star end: each at its first place, the last one at its last if ``longest``."""
    for number, piece in enumerate(pieces):
        stop = value.find("\n", at)
        stop = len(value) if stop < 0 else stop
        found = (
            _last(piece, value, at, stop) if longest and number == len(pieces) - 1 else piece.search(value, at, stop + len(piece.pattern))
        )
        if not found or found.start() > stop:
            return None
        at = found.end()
    return at


def _last(piece: re.Pattern, value: str, at: int, stop: int) -> re.Match | None:
    return next((found for begin in range(stop, at - 1, -1) if (found := piece.match(value, begin))), None)


def _search(pieces: list[re.Pattern], value: str, at: int) -> tuple[int, int] | None:
    """The first match, as long as it can be."""
    while found := pieces[0].search(value, at):
        end = _rest(pieces[1:], value, found.end(), longest=True)
        if end is not None:
            return found.start(), end
        at = value.find("\n", found.start()) + 1  # what follows is missing in this line: no later beginning in it is better
        if at == 0:
            return None
    return None
