"""Permissions in chmod(1)'s own words, for ``--chmod``: ``755``, ``u=rwX,go=rX``, ``+x``, ``g=u``.

Nothing is known of files here: a mode goes in, and another comes out. ``X`` is x for folders, and for what somebody may execute already.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from lib.visible import Visible

UMASK = 0o022  # what "+w" leaves out, as it does not say for whom
CLASSES = {"u": 0o4700, "g": 0o2070, "o": 0o1007, "a": 0o7777}
SIGNS = {"r": 0o444, "w": 0o222, "x": 0o111, "s": 0o6000, "t": 0o1000}
SET_ID, ALL = 0o6000, 0o7777
DEED = r"([-+=])([ugo]|[rwxXst]*)"


Mode = Callable[[int, bool], int]  # of a file's mode, and of whether it is a folder, to the mode that it shall have


class BadMode(Visible, ValueError):
    """Neither octal digits nor chmod's words."""


class Change(NamedTuple):
    """One ``=``, ``+`` or ``-``: for which bits (0: it does not say), and the signs, or the class whose bits are taken."""

    who: int
    operator: str
    what: str

    def __call__(self, mode: int, folder: bool) -> int:
        """The mode that comes out. A folder keeps set-user-ID and set-group-ID unless they are named."""
        value, named = self.value(mode, folder), self.signs() & (self.who or ALL)
        kept = SET_ID & ~named if folder else 0
        value &= (self.who or ALL & ~UMASK) & ~kept
        if self.operator == "-":
            return mode & ~value
        if self.operator == "=":
            mode &= (ALL & ~self.who if self.who else 0) | kept
        return mode | value

    def signs(self) -> int:
        return sum(SIGNS.get(sign, 0) for sign in set(self.what))

    def value(self, mode: int, folder: bool) -> int:
        """The bits in question, for all classes."""
        if self.what in CLASSES:
            there = mode & CLASSES[self.what]
            return sum(bits for sign, bits in SIGNS.items() if sign in "rwx" and there & bits)
        return self.signs() | (SIGNS["x"] if "X" in self.what and (folder or mode & SIGNS["x"]) else 0)


def parse(text: str) -> Mode:
    """Raises: BadMode."""
    if re.fullmatch(r"[0-7]{1,4}", text):
        return lambda mode, folder: int(text, 8)
    changes: list[Change] = []
    for clause in text.split(","):
        if not (found := re.fullmatch(rf"([ugoa]*)((?:{DEED})+)", clause)):
            raise BadMode(f"{text[:40]!r} is no mode")
        who = 0
        for letter in found[1]:
            who |= CLASSES[letter]
        changes += [Change(who, operator, what) for operator, what in re.findall(DEED, found[2])]

    def change(mode: int, folder: bool) -> int:
        for one in changes:
            mode = one(mode, folder)
        return mode

    return change
