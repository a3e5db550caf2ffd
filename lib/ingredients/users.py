"""``USER`` and ``--user``: the program starts as somebody, and it is the image's own /etc/passwd that says who that is.

See passwd(5), group(5), credentials(7). To the kernel there are only numbers; the names live in files, and each image has its own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import NamedTuple

from lib.process import Step
from lib.visible import Visible

LARGEST = (1 << 31) - 1  # what Docker takes, too


class UnknownUser(Visible, LookupError):
    """A name that the image's /etc/passwd or /etc/group does not have."""

    def __init__(self, words: str, name: str):
        super().__init__(words)
        self.name = name


class RunAs(NamedTuple):
    """Give up root for these ids. Afterwards the kernel lets the process do what it lets that user do, and no more."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = (0,)
    home: str = "/root"

    def steps(self) -> list[Step]:
        more = [Step("rights", "setgroups", (list(self.groups),), "its own, and those that /etc/group adds")] if os.geteuid() == 0 else []
        return [
            Step("terminal", "own_stdio", (self.uid,), "it may open /dev/stdout and its terminal again, as many programs do to log"),
            *more,
            Step("rights", "setgid", (self.gid,), "the group first: afterwards nobody may change it any more"),
            Step("rights", "setuid", (self.uid,), "--user; all capabilities go with it"),
        ]


def rows(text: str) -> list[list[str]]:
    return [line.split(":") for line in text.splitlines() if ":" in line and not line.startswith("#")]


def number(text: str) -> int | None:
    return int(text) if re.fullmatch("[0-9]{1,19}", text) and int(text) <= LARGEST else None


def find(user: str, read: Callable[[str], str]) -> RunAs:
    """``app``, ``1000``, ``app:staff`` or ``1000:50`` as ids. ``read`` gives the text of a file of the image.

    Numbers need not be in the files. Raises ``UnknownUser``.
    """
    name, _, group = user.partition(":")
    people = rows(content(read, "/etc/passwd"))
    column = 2 if number(name) is not None else 0  # a number is a uid, even where somebody is *called* so
    row = next((one for one in people if len(one) >= 6 and one[column] == name), None)
    uid = number(row[2]) if row else number(name or "0")
    if uid is None:
        known = ", ".join(one[0] for one in people[:20]) or "nobody"
        raise UnknownUser(f"unable to find user {name}: no matching entries in the image's passwd file (it has {known})", name)
    home = row[5] if row and row[5] else ("/root" if uid == 0 else "/")
    if group:
        gid = find_group(group, read)
        return RunAs(uid, gid, (gid,), home)
    groups = [one for one in rows(content(read, "/etc/group")) if len(one) >= 4]
    more = tuple(int(one[2]) for one in groups if row and row[0] in one[3].split(",") and number(one[2]) is not None)
    gid = (number(row[3]) or 0) if row else 0
    return RunAs(uid, gid, (gid, *(one for one in more if one != gid)), home)


def find_group(group: str, read: Callable[[str], str]) -> int:
    """A group's number, by its name or as it is. Raises ``UnknownUser``."""
    if (found := number(group)) is not None:
        return found
    for row in rows(content(read, "/etc/group")):
        if row[0] == group and len(row) >= 3 and number(row[2]) is not None:
            return number(row[2])
    raise UnknownUser(f"unable to find group {group}: no matching entries in the image's group file", group)


def content(read: Callable[[str], str], path: str) -> str:
    try:
        return read(path)
    except OSError:
        return ""
