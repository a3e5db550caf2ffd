"""Files below a folder that may belong to a stranger, who may exchange a folder for a link just while we look.

So a path counts once only: each folder is opened below the top, without following any link (openat2(2), RESOLVE_BENEATH and
RESOLVE_NO_SYMLINKS), and what is in it is reached by that descriptor and its last name. A file that was opened must be
the one that was listed.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from io import FileIO
from typing import BinaryIO, NamedTuple

from lib import linux
from lib.regularfile import open_regular

BENEATH = linux.RESOLVE_BENEATH | linux.RESOLVE_NO_SYMLINKS | linux.RESOLVE_NO_MAGICLINKS
FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC  # a pipe in its place must not make us wait
GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
AT_ONCE = 32  # folders that are held open


class Outside(OSError):
    """A link has led out of the folder, to ``real``."""

    def __init__(self, path: str, real: str):
        super().__init__(errno.EXDEV, "a link there leads out of the folder", path)
        self.real = real


class Folder:
    """An open folder. It is closed when the last one who holds it lets go: several threads may walk the same tree."""

    def __init__(self, fd: int):
        self.fd = fd

    @property
    def path(self) -> str:
        """Where it lies now. The kernel says it, whatever the path comes to mean by which it was opened."""
        return os.readlink(f"/proc/self/fd/{self.fd}")

    def open(self, inner: str) -> BinaryIO:
        """A regular file in it, for reading. Links may lead there, also from the root on, but not out of the folder. Raises ``OSError``."""
        file = open_regular(inner, self.fd)
        real = os.path.join("/", os.readlink(f"/proc/self/fd/{file.fileno()}"))  # a pipe's is no path
        if os.path.commonpath([self.path, real]) != self.path:
            file.close()
            raise Outside(inner, real)
        return file

    def __del__(self):
        os.close(self.fd)


class Way:
    """The folders that were asked for last, held open: whoever walks a tree asks for the same one again and again."""

    def __init__(self):
        self.opened: dict[tuple[str, str], Folder] = {}

    def folder(self, top: str, inner: str) -> Folder:
        """The folder ``inner`` below ``top``. Raises ``OSError``; ELOOP where a link is on the way."""
        if found := self.opened.get((top, inner)):
            return found
        if inner:
            above = self.folder(top, "")  # held: another thread may close ours meanwhile, and its number be another folder's
            found = Folder(linux.openat2(above.fd, inner, FOLDER, BENEATH))
        else:
            found = Folder(os.open(top, FOLDER))
        if len(self.opened) >= AT_ONCE:
            self.close()
        self.opened[top, inner] = found
        return found

    def close(self) -> None:
        self.opened.clear()


class Place(NamedTuple):
    """Something at ``inner`` below the folder ``top``, which itself is ours to name."""

    way: Way
    top: str
    inner: str = ""

    def __str__(self) -> str:
        return f"{self.top}/{self.inner}".rstrip("/")

    def reach(self) -> tuple[Folder, str]:
        """The folder that it lies in, and its name there."""
        above, _, name = self.inner.rpartition("/")
        return self.way.folder(self.top, above), name or "."

    def look(self) -> os.stat_result | None:
        """Its status, a link's own; None if it is not there (any more)."""
        try:
            folder, name = self.reach()
            return os.stat(name, dir_fd=folder.fd, follow_symlinks=False)
        except OSError as error:
            if error.errno in GONE:
                return None
            raise

    def open(self, about: os.stat_result) -> FileIO:
        """The regular file that was listed with the status ``about``, for reading. Raises ``OSError`` if it is another one by now."""
        try:
            folder, name = self.reach()
            file = FileIO(os.open(name, FILE, dir_fd=folder.fd), "rb")
        except OSError as error:
            raise self.changed() if error.errno in (*GONE, errno.ENXIO) else error from None
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or (found.st_ino, found.st_dev) != (about.st_ino, about.st_dev):
            file.close()
            raise self.changed()
        return file

    def changed(self) -> OSError:
        return OSError(errno.ESTALE, "somebody has put something else in its place since it was listed: try again", self.inner)

    def readlink(self) -> str:
        folder, name = self.reach()
        return os.readlink(name, dir_fd=folder.fd)

    def call(self, deed: Callable, *args, **how):
        """``deed`` with a path that leads by the open folder. It must not follow a link at the end."""
        folder, name = self.reach()
        return deed(f"/proc/self/fd/{folder.fd}/{name}", *args, **how)

    def entries(self) -> Iterator[os.DirEntry]:
        """What is in this folder; nothing if it is no folder any more. The descriptor is our own: two threads may list the same one."""
        try:
            folder = self.way.folder(self.top, self.inner)
        except OSError as error:
            if self.inner and error.errno in GONE:
                return
            raise
        fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder.fd)
        try:
            with os.scandir(fd) as listing:
                yield from listing
        finally:
            os.close(fd)

    def below(self, name: str) -> Place:
        return Place(self.way, self.top, f"{self.inner}/{name}" if self.inner else name)
