"""A tree, read by its open folders: each name is opened in the folder that it was listed in, and never followed.

Whoever owns the tree (a container) may put a link, a pipe or a device in the place of what was listed. So a file is opened without
waiting, and must be a regular one then; where devices work, it is not even opened before we know that it is none.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress

from lib import linux
from lib.engine.copying.entries import Entry, capability, of

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
DEEPEST = 400  # folders in each other: each is held open, twice in a copy
GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
OTHER = (errno.ESTALE, errno.EXDEV)  # not what was listed: something is mounted over it, say, and a list tells what lies below that
Attributes = Callable[[int, os.stat_result], "dict[str, bytes] | None"]


class Level:
    """A folder that is being read: its descriptor, the names that are left (the next one last), its path in the copy."""

    def __init__(self, fd: int, path: str):
        self.fd, self.path = fd, path
        self.harmless = bool(os.fstatvfs(fd).f_flag & os.ST_NODEV)  # no device works in here
        with os.scandir(fd) as listing:
            found = [(one.name, one.is_file(follow_symlinks=False)) for one in listing]
        self.names = sorted(found, key=lambda one: os.fsencode(one[0]), reverse=True)


class Tree:
    """What ``name`` is in the open folder ``above``, and all that is in it, as entries of a copy that is called ``path``.

    Entries come as ``tar`` would have them: each folder before what is in it. ``above`` stays the caller's. Of the folders ``empty``
    (their paths in the copy) nothing is copied but themselves.
    """

    def __init__(self, above: int, name: str, path: str = "", attributes: Attributes = capability, empty: Collection[str] = ()):
        self.above, self.name, self.path, self.attributes, self.empty = above, name, path, attributes, empty
        self.seen: dict[tuple[int, int], str] = {}  # device and inode of files with several names → the first path
        self.levels: list[Level] = []
        self.fd = -1  # of the file whose entry was given last

    def __iter__(self) -> Iterator[Entry]:
        try:
            yield from self.one(self.above, self.name, self.path, False, False)
            while self.levels:
                level = self.levels[-1]
                if not level.names:
                    os.close(self.levels.pop().fd)
                    continue
                name, is_file = level.names.pop()
                yield from self.one(level.fd, name, f"{level.path}/{name}" if level.path else name, is_file, level.harmless)
        finally:
            self.done_with_file()
            for level in self.levels:
                os.close(level.fd)
            self.levels.clear()

    def one(self, above: int, name: str, path: str, is_file: bool, harmless: bool) -> Iterator[Entry]:
        """The entry of this name; of what has gone meanwhile, or is a socket, none."""
        try:
            found = self.file(above, name, path, harmless) if is_file else self.other(above, name, path)
        except OSError as error:
            if path != self.path and error.errno in GONE:
                return
            if not (is_file and error.errno in OTHER):
                raise
            self.done_with_file()
            found = self.other(above, name, path)
        if found:
            yield found
            self.done_with_file()

    def file(self, above: int, name: str, path: str, harmless: bool) -> Entry:
        self.fd = linux.openat2(above, name, FILE, linux.RESOLVE_NO_XDEV) if harmless else opened(above, name)
        about = os.fstat(self.fd)
        if not stat.S_ISREG(about.st_mode):
            raise OSError(errno.ESTALE, "somebody has put something else in its place since it was listed: try again", name)
        if about.st_nlink > 1:
            first = self.seen.setdefault((about.st_dev, about.st_ino), path)
            if first != path:
                return of(path, about, first=first)
        return of(path, about, fd=self.fd, attributes=self.attributes(self.fd, about))

    def other(self, above: int, name: str, path: str) -> Entry | None:
        about = os.stat(name, dir_fd=above, follow_symlinks=False)
        if stat.S_ISREG(about.st_mode):
            return self.file(above, name, path, False)
        if stat.S_ISDIR(about.st_mode):
            return self.folder(above, name, path)
        if stat.S_ISLNK(about.st_mode):
            return of(path, about, target=os.readlink(name, dir_fd=above))
        return None if stat.S_ISSOCK(about.st_mode) else of(path, about)

    def folder(self, above: int, name: str, path: str) -> Entry:
        if len(self.levels) >= DEEPEST:
            raise OSError(errno.ENAMETOOLONG, f"more than {DEEPEST} folders in each other", path)
        fd = os.open(name, FOLDER, dir_fd=above)
        try:
            about = os.fstat(fd)
            found = of(path, about, attributes=self.attributes(fd, about))
            if path in self.empty:
                os.close(fd)
            else:
                self.levels.append(Level(fd, path))
        except BaseException:
            os.close(fd)
            raise
        return found

    def done_with_file(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1


def opened(above: int, name: str) -> int:
    """A descriptor of a regular file, which is looked at before it is opened: to open a device may already do something."""
    place = os.open(name, LOOK, dir_fd=above)
    try:
        if not stat.S_ISREG(os.fstat(place).st_mode):
            raise OSError(errno.ESTALE, "somebody has put something else in its place since it was listed: try again", name)
        return os.open(f"/proc/self/fd/{place}", FILE & ~os.O_NOFOLLOW)
    finally:
        os.close(place)


def size(above: int, name: str) -> int:
    """Bytes of the regular files in it. What goes away while we look counts nothing."""
    total = 0
    with suppress(FileNotFoundError):
        for one in Tree(above, name, attributes=lambda fd, about: None):
            total += one.size if stat.S_ISREG(one.mode) and not one.first else 0
    return total
