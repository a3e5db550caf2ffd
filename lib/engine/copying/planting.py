"""Entries, made in an open folder. Who owns what is in there may put links in our way: none is ever followed at a name's end.

Each folder that entries go into is held open, so it stays the one that it was, whatever its path comes to mean meanwhile.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import NamedTuple

from lib import linux
from lib.beneath import BENEATH
from lib.engine.copying.entries import CannotCopy, Entry, content
from lib.engine.copying.reading import FOLDER, LOOK
from lib.images.overlays import tolerated

NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
TRIES = 100  # to make something where somebody puts something else again and again
DEVICES = (stat.S_IFCHR, stat.S_IFBLK)
SET_ID = stat.S_ISUID | stat.S_ISGID
Owner = Callable[[Entry], "tuple[int, int] | None"]


def as_it_is(entry: Entry) -> tuple[int, int]:
    return entry.uid, entry.gid


def whoever_copies(entry: Entry) -> None:
    return None


class Opened(NamedTuple):
    """A folder that entries go into, and what it is to look like when they are all there."""

    path: str
    fd: int
    entry: Entry | None


class Planting:
    """Entries made in the folder ``top`` (a descriptor, the caller's).

    ``owner`` says whose an entry is to be, None: whoever copies. A folder that no entry has described is found by ``find`` (its path below
    ``top`` → a descriptor); by default no link may lead there.
    """

    def __init__(self, top: int, owner: Owner = whoever_copies, find: Callable[[str], int] | None = None, devices: bool = True):
        self.top, self.owner, self.devices = top, owner, devices
        self.find = find or self.beneath
        self.stack: list[Opened] = []
        self.looks: dict[str, Entry] = {}  # folders that were described: another entry may go in there later, and change their time
        self.me = os.geteuid(), os.getegid()
        self.mask = own_umask()
        self.left_out: list[str] = []  # devices

    def all(self, entries: Iterable[Entry]) -> None:
        try:
            for one in entries:
                self.put(one)
            while self.stack:
                self.leave()
        finally:
            for one in self.stack:
                os.close(one.fd)

    def put(self, entry: Entry) -> None:
        """Make one entry. Raises ``CannotCopy`` where a folder would take a file's place, or the other way round; ``OSError``."""
        if not entry.path:
            return  # the folder itself, which is there and stays as it is
        above, _, name = entry.path.rpartition("/")
        fd = self.folder(above)
        kind = stat.S_IFMT(entry.mode)
        if kind == stat.S_IFDIR:
            self.enter(fd, name, entry)
        elif entry.first:
            self.anew(fd, name, entry, lambda: self.link(entry.first, fd, name))
        elif kind == stat.S_IFREG:
            self.file(fd, name, entry)
        elif kind == stat.S_IFLNK:
            self.anew(fd, name, entry, lambda: os.symlink(entry.target, name, dir_fd=fd))
            self.dress_name(fd, name, entry)
        elif kind in (stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK):
            self.node(fd, name, entry)

    # -- folders

    def folder(self, path: str) -> int:
        """The folder that something goes into: mostly that of the entry before, or one above it."""
        while self.stack and self.stack[-1].path != path and not path.startswith(f"{self.stack[-1].path}/"):
            self.leave()
        if not path:
            return self.top
        if not self.stack or self.stack[-1].path != path:
            self.stack.append(Opened(path, self.reached(path), self.looks.get(path)))
        return self.stack[-1].fd

    def enter(self, fd: int, name: str, entry: Entry) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=fd)
        except FileExistsError:
            if not stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
                raise CannotCopy(f'cannot overwrite non-directory "{entry.path}" with directory "{name}"') from None
        self.stack.append(Opened(entry.path, os.open(name, FOLDER, dir_fd=fd), entry))
        self.looks[entry.path] = entry

    def leave(self) -> None:
        """All that goes into the last folder is there: now it gets its owner, mode and time."""
        one = self.stack.pop()
        try:
            if one.entry:
                self.dress(one.fd, one.entry, True)
        finally:
            os.close(one.fd)

    def reached(self, path: str) -> int:
        """A folder that is not open; those that are missing on the way are made."""
        try:
            return self.find(path)
        except FileNotFoundError:
            above, _, name = path.rpartition("/")
            fd = self.reached(above) if above else os.dup(self.top)
            try:
                with suppress(FileExistsError):
                    os.mkdir(name, dir_fd=fd)
                return os.open(name, FOLDER, dir_fd=fd)
            finally:
                os.close(fd)

    def beneath(self, path: str) -> int:
        return linux.openat2(self.top, path, FOLDER, BENEATH)

    # -- all else

    def anew(self, fd: int, name: str, entry: Entry, make: Callable[[], object]):
        """What ``make`` makes, in the place of whatever is there by then; of a folder only where one may be replaced."""
        for _ in range(TRIES):
            try:
                return make()
            except FileExistsError:
                self.clear(fd, name, entry)
        raise OSError(errno.EEXIST, "somebody puts something there again and again", entry.path)

    def clear(self, fd: int, name: str, entry: Entry) -> None:
        with suppress(FileNotFoundError):
            there = stat.S_IFMT(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode)
            if there == stat.S_IFDIR:
                raise CannotCopy(f'cannot overwrite directory "{entry.path}" with non-directory "{name}"')
            if there in DEVICES and stat.S_IFMT(entry.mode) not in DEVICES:  # whoever wants it would miss it: /dev/null, say
                raise CannotCopy(f'cannot overwrite device "{entry.path}" with non-device "{name}"')
            os.unlink(name, dir_fd=fd)

    def file(self, fd: int, name: str, entry: Entry) -> None:
        mode = entry.mode & 0o777
        try:
            out = os.open(name, NEW, mode, dir_fd=fd)
        except FileExistsError:
            out = self.anew(fd, name, entry, lambda: os.open(name, NEW, mode, dir_fd=fd))
        try:
            if entry.pour:
                entry.pour(out)
            else:
                content(entry.fd, out, entry.size)
            self.dress(out, entry, bool(mode & self.mask))
        finally:
            os.close(out)

    def link(self, first: str, fd: int, name: str) -> None:
        above, _, last = first.rpartition("/")
        source = self.reached(above) if above else os.dup(self.top)
        try:
            os.link(last, name, src_dir_fd=source, dst_dir_fd=fd, follow_symlinks=False)
        finally:
            os.close(source)

    def node(self, fd: int, name: str, entry: Entry) -> None:
        """A named pipe or a device; what an ordinary user may not make is left out, and told of in ``left_out``."""
        if not stat.S_ISFIFO(entry.mode) and (not self.devices or self.me[0]):
            self.left_out.append(entry.path)
            return
        self.anew(fd, name, entry, lambda: os.mknod(name, stat.S_IFMT(entry.mode) | 0o600, entry.rdev, dir_fd=fd))
        place = os.open(name, LOOK, dir_fd=fd)
        try:
            if stat.S_IFMT(os.fstat(place).st_mode) == stat.S_IFMT(entry.mode):
                self.dress_name(fd, name, entry)
                os.chmod(f"/proc/self/fd/{place}", stat.S_IMODE(entry.mode))
        finally:
            os.close(place)

    # -- looks

    def dress(self, fd: int, entry: Entry, with_mode: bool) -> None:
        """Owner, mode, attributes and time. A change of owner takes the setuid bit away, so the mode follows.

        Who becomes the owner of somebody else's setuid program must not have it run with his rights: the bit goes where its owner goes.
        """
        owner, mode = self.owner(entry), stat.S_IMODE(entry.mode)
        if owner is None:
            mode = mode if (entry.uid, entry.gid) == self.me else mode & ~SET_ID
        elif owner != self.me or self.inherits():
            os.fchown(fd, *owner)
        if with_mode or mode & SET_ID:
            os.fchmod(fd, mode)
        for name, value in (entry.attributes or {}).items():
            with tolerated():
                os.setxattr(fd, name, value)
        os.utime(fd, ns=(entry.mtime, entry.mtime))

    def inherits(self) -> bool:
        """Does what is made in the last folder get that one's group?"""
        return bool(os.fstat(self.stack[-1].fd if self.stack else self.top).st_mode & stat.S_ISGID)

    def dress_name(self, fd: int, name: str, entry: Entry) -> None:
        """Owner and time of what cannot be opened."""
        if owner := self.owner(entry):
            os.chown(name, *owner, dir_fd=fd, follow_symlinks=False)
        os.utime(name, ns=(entry.mtime, entry.mtime), dir_fd=fd, follow_symlinks=False)


def own_umask() -> int:
    """umask(2) could only be asked by changing it, for every thread at once. See proc_pid_status(5)."""
    return int(linux.read("/proc/self/status").partition("\nUmask:")[2].split(None, 1)[0], 8)
