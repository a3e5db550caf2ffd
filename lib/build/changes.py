"""A folder of changes on top of what is below: where ``COPY``, ``ADD`` and ``WORKDIR`` put things, without a mount.

Only the new folder is written. A folder that is below and gets something new is made again on top, looking as it does below:
what the kernel calls copy-up (overlayfs.rst).
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass

from lib import state
from lib.beneath import Place, Way
from lib.dockerfile.modes import Mode
from lib.images import ImageError, Merged
from lib.images.chains import copy_looks
from lib.images.overlays import xattrs

CHUNK = 1 << 20


@dataclass(frozen=True)
class Looks:
    """What ``--chown`` and ``--chmod`` say; None: as it is. ``keep_owner`` is for files that come from an image."""

    uid: int | None = None
    gid: int | None = None
    mode: Mode | None = None
    keep_owner: bool = False

    def owner(self, about: os.stat_result) -> tuple[int, int]:
        if self.uid is not None:
            return self.uid, self.gid or 0
        return (about.st_uid, about.st_gid) if self.keep_owner else (0, 0)

    @property
    def of_new_folders(self) -> tuple[int, int]:
        return (self.uid or 0), (self.gid or 0)


class Changes:
    """Changes to the tree ``below``, written to the folder ``top``.

    ``replaces``: a folder may take the place of a file, and a file that of a folder, as when an archive is unpacked. COPY refuses.
    """

    def __init__(self, below: Merged, top: str, replaces: bool = False):
        self.below, self.top, self.replaces = below, top, replaces
        self.as_root = os.geteuid() == 0
        self.ready: set[str] = {""}  # folders that are made, or found, on top
        self.times: dict[str, int] = {}  # when each of them was changed last, ns: every file that is put there makes it now
        self.copies: dict[tuple[int, ...], tuple[str, bytes]] = {}  # device, inode and mode of a file with several names → its copy
        self.copied: dict[str, tuple[int, ...]] = {}  # the other way round
        if below.layers:
            copy_looks(below.layers[0], top)

    def resolve(self, path: str, last: bool = True) -> str:
        """The path from the top, with all links followed that are below or were put here. Raises ``ImageError``."""
        try:
            return Merged([*reversed(self.below.layers), self.top]).resolve(path, last)
        except OSError as error:
            raise ImageError(f"{path!r} cannot be reached: {error.strerror}") from None

    def is_folder(self, path: str) -> bool:
        """Is there a folder at ``path`` (no links in it)?"""
        there = self.there(path)
        return there is not None and stat.S_ISDIR(there[1].st_mode)

    def folder(self, path: str, owner: tuple[int, int] = (0, 0), moment: int | None = None) -> bool:
        """Make a folder, and those above it, where they are missing; True if it was not there, below neither.

        ``moment`` is the time of what is new, in ns: without it, now. Raises ``ImageError`` where something else is in its place.
        """
        if path in self.ready:
            return False
        missing = [path]
        while (above := missing[-1].rpartition("/")[0]) not in self.ready:
            missing.append(above)
        for one in reversed(missing):
            self.ready.add(one)
            new = self.one_folder(one, owner)
            about = os.lstat(f"{self.top}/{one}")
            self.times[one] = moment if new and moment is not None else about.st_mtime_ns
        return new

    def one_folder(self, path: str, owner: tuple[int, int]) -> bool:
        place = f"{self.top}/{path}"
        there = self.there(path)
        if there and not stat.S_ISDIR(there[1].st_mode):
            self.refuse(f"a folder to '/{path}': a file is there")
            self.clear(path)
        elif there and there[0]:
            return False
        os.mkdir(place)
        if (found := self.below.find(path)) and stat.S_ISDIR(found[1].st_mode):
            found[0].call(copy_looks, place)
            return False
        self.own(place, owner)
        os.chmod(place, 0o755)
        return True

    def there(self, path: str) -> tuple[bool, os.stat_result] | None:
        """What is at ``path`` (no links in it) by now, and whether it was put here; else it is below."""
        try:
            return True, os.lstat(f"{self.top}/{path}")
        except FileNotFoundError:
            found = self.below.find(path)
            return (False, found[1]) if found else None

    def own(self, place: str, owner: tuple[int, int]) -> None:
        if self.as_root:
            os.chown(place, *owner, follow_symlinks=False)

    def copy(self, real: Place, about: os.stat_result, path: str, looks: Looks, attributes: bool = False, hashed: bool = False) -> bytes:
        """One file, link or node to ``path``, whose folder is there. Times are kept, and a file with several names stays one file.

        ``hashed``: the answer is the ``content`` of the copy.
        """
        place = f"{self.top}/{path}"
        kind = stat.S_IFMT(about.st_mode)
        self.clear(path)
        known = (about.st_dev, about.st_ino, about.st_mode)
        if known in self.copies:
            first, found = self.copies[known]
            os.link(f"{self.top}/{first}", place, follow_symlinks=False)
            return found
        if kind == stat.S_IFREG:
            copy_file(real, about, place)
        elif kind == stat.S_IFLNK:
            os.symlink(real.readlink(), place)
        elif kind in (stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO):
            os.mknod(place, kind | 0o600, about.st_rdev)
        else:
            return b""  # a socket: nobody listens any more
        found = content(place) if hashed else b""  # before it is dressed: we may not be allowed to read what looks like that
        self.dress(real, about, place, looks, attributes)
        if about.st_nlink > 1:
            self.copies[known], self.copied[path] = (path, found), known
        return found

    def copy_folder(
        self, real: Place, about: os.stat_result, path: str, looks: Looks, attributes: bool = False, keep: bool = False
    ) -> None:
        """A folder, without what is in it. It looks like its source; with ``keep`` one that is there already stays as it is."""
        new = self.folder(path, looks.of_new_folders)
        if path and (new or not keep):
            self.dress(real, about, f"{self.top}/{path}", looks, attributes)
            self.times[path] = about.st_mtime_ns

    def finish(self) -> None:
        """All is in its place: the folders get the times that they shall have."""
        way = Way()
        for path, moment in self.times.items():
            place = Place(way, self.top, path)
            if (about := place.look()) and stat.S_ISDIR(about.st_mode):
                place.call(os.utime, ns=(moment, moment))

    def dress(self, real: Place, about: os.stat_result, place: str, looks: Looks, attributes: bool) -> None:
        self.own(place, looks.owner(about))
        for name, value in (real.call(xattrs) if attributes else {}).items():
            os.setxattr(place, name, value, follow_symlinks=False)
        if not stat.S_ISLNK(about.st_mode):
            mode = stat.S_IMODE(about.st_mode)
            os.chmod(place, looks.mode(mode, stat.S_ISDIR(about.st_mode)) if looks.mode else mode)
        os.utime(place, ns=(about.st_mtime_ns, about.st_mtime_ns), follow_symlinks=False)

    def clear(self, path: str) -> None:
        """Make room for something else: what an earlier source put here goes, what is below is hidden."""
        there = self.there(path)
        if there and stat.S_ISDIR(there[1].st_mode):
            self.refuse(f"a file to '/{path}': a folder is there")
            self.ready, self.copies, self.copied = {""}, {}, {}
        self.copies.pop(self.copied.pop(path, None), None)
        if there and there[0]:
            (state.rmtree if stat.S_ISDIR(there[1].st_mode) else os.unlink)(f"{self.top}/{path}")

    def refuse(self, words: str) -> None:
        if not self.replaces:
            raise ImageError(f"cannot copy {words}")


def content(place: str) -> bytes:
    """What a copy of ours holds: the digest of a file's bytes, a link's target. A copy nobody else can change."""
    kind = stat.S_IFMT(os.lstat(place).st_mode)
    if kind == stat.S_IFLNK:
        return os.fsencode(os.readlink(place))
    if kind != stat.S_IFREG:
        return b""
    with open(place, "rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").digest()


def copy_file(real: Place, about: os.stat_result, place: str) -> None:
    """Let the kernel copy, without the bytes passing through us. Not more than there were: a log may grow as fast as we copy.

    See copy_file_range(2), which another file system may refuse.
    """
    with real.open(about) as source, open(place, "xb", buffering=0) as target:
        left = size = about.st_size
        try:
            while copied := os.copy_file_range(source.fileno(), target.fileno(), min(left, 1 << 30)):
                left -= copied
        except OSError:
            source.seek(0)
            target.seek(0)
            target.truncate()
            while data := source.read(min(size - target.tell(), CHUNK)):
                target.write(data)
