"""What of ``cp``'s source goes where, and by which name: the rules of Docker's manual, by open folders.

A place is a folder that is open and a name in it; what the name leads to may change at any time, what is done to it is done by that name
in that folder.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from typing import NamedTuple

from lib import linux
from lib.engine.copying.entries import CannotCopy
from lib.engine.copying.reading import FOLDER

LINKS_AT_MOST = 40  # as in the kernel
IN_ROOT = linux.RESOLVE_IN_ROOT | linux.RESOLVE_NO_MAGICLINKS
UP = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


class Place(NamedTuple):
    """``name`` in the folder ``above``, which is ours to close. ``about`` is None if nothing is there."""

    above: int
    name: str
    about: os.stat_result | None

    @property
    def is_folder(self) -> bool:
        return self.about is not None and stat.S_ISDIR(self.about.st_mode)

    def folder(self) -> int:
        """Opened."""
        return os.open(self.name, FOLDER, dir_fd=self.above)


def asserts_folder(path: str) -> bool:
    """A slash or ``/.`` at the end says that it is a folder."""
    return path.endswith("/") or os.path.basename(path) == "."


def cleaned(path: str) -> str:
    """From the root on, without dots; those are lexical, as in Docker."""
    return os.path.normpath("/" + path.lstrip("/"))


def reach(root: int, path: str, follow: bool, resolve: int = IN_ROOT) -> Place:
    """Where a path leads, seen from ``root``; through a link at its end only if we are to ``follow``.

    Raises ``OSError`` if the folder that it lies in is not there.
    """
    path, wants_folder = cleaned(path), asserts_folder(path)
    for _ in range(LINKS_AT_MOST):
        folder, name = os.path.split(path)
        if name in ("", ".", ".."):
            folder, name = path, "."
        above = linux.openat2(root, folder or "/", UP, resolve)
        try:
            about = looked(above, name)
            if about is None or not stat.S_ISLNK(about.st_mode) or not (follow or wants_folder):
                if about is not None and wants_folder and not stat.S_ISDIR(about.st_mode):
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
                return Place(above, name, about)
            path = os.path.join(folder, os.readlink(name, dir_fd=above))  # its ".." are the kernel's: there may be links before them
        except BaseException:
            os.close(above)
            raise
        os.close(above)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def looked(above: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=above, follow_symlinks=False)
    except FileNotFoundError:
        return None


def own_name(path: str) -> str:
    """What a source is called in the folder that it is copied to; empty: what is in it, not itself (``SRC/.``, and the root)."""
    return "" if os.path.basename(path) == "." else os.path.basename(cleaned(path))


def target(source_is_folder: bool, name: str, path: str, find: Callable[[], Place]) -> tuple[int, str]:
    """The folder that the copy goes into, opened, and what it is called there. ``find`` reaches the destination ``path``.

    Raises ``CannotCopy``, in Docker's words, and what ``find`` raises.
    """
    try:
        place = find()
    except NotADirectoryError:
        if asserts_folder(path) and not source_is_folder:
            raise CannotCopy("no such directory") from None
        raise
    try:
        if place.is_folder:
            return place.folder(), name
        if place.about and source_is_folder:
            raise CannotCopy("cannot copy directory")
        if not place.about and not source_is_folder and asserts_folder(path):
            raise CannotCopy("no such directory")
        return os.open(".", FOLDER, dir_fd=place.above), place.name
    finally:
        os.close(place.above)
