"""A folder, packed as a layer: what overlay wrote down about changes becomes what the OCI specification calls a changeset.

The same folder always gives the same bytes: names in order, no names of owners, whole seconds, and no time later than
``SOURCE_DATE_EPOCH`` where that is set (reproducible-builds.org). See the OCI image specification, layer.md.
"""

from __future__ import annotations

import os
import stat
import tarfile

from lib.beneath import Place, Way
from lib.images.overlays import OPAQUE, WHITEOUT, is_opaque, is_whiteout, owner, walk, xattrs
from lib.images.tarmembers import XATTR

KINDS = {
    stat.S_IFREG: tarfile.REGTYPE, stat.S_IFDIR: tarfile.DIRTYPE, stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE, stat.S_IFBLK: tarfile.BLKTYPE, stat.S_IFIFO: tarfile.FIFOTYPE,
}  # fmt: skip


class Packing:
    """A folder on its way into a tar file that is written to ``out``, an object with ``write``."""

    def __init__(self, out, latest: int | None = None):
        self.tar = tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT, bufsize=1 << 18, encoding="utf-8")
        self.latest = latest
        self.seen: dict[tuple[int, int], str] = {}  # device and inode of files with several names → the first of them

    def pack(self, folder: str, root: bool = False, whiteouts: bool = True) -> None:
        """All of the folder; ``root`` takes the folder itself along, as "./"."""
        if root:
            self.add("./", Place(Way(), folder), os.lstat(folder))
        for name, place, about in walk(folder):
            if whiteouts and is_whiteout(about):
                above, _, last = name.rpartition("/")
                self.empty(f"{above}/{WHITEOUT}{last}".lstrip("/"))
            else:
                self.add(name, place, about)
                if whiteouts and stat.S_ISDIR(about.st_mode) and place.call(is_opaque):
                    self.empty(f"{name}/{OPAQUE}")

    def add(self, name: str, place: Place, about: os.stat_result) -> None:
        """One file, folder, link or node; a socket is left out, as nobody listens any more."""
        if (kind := KINDS.get(stat.S_IFMT(about.st_mode))) is None:
            return
        info = self.header(name, kind, about, place)
        if kind == tarfile.REGTYPE and about.st_nlink > 1:
            first = self.seen.setdefault((about.st_dev, about.st_ino), name)
            if first != name:
                info.type, info.linkname, info.size, info.pax_headers = tarfile.LNKTYPE, first, 0, {}
        if info.isreg():
            with place.open(about) as file:
                self.tar.addfile(info, file)
        else:
            self.tar.addfile(info)
        self.tar.members.clear()  # it would remember them all

    def header(self, name: str, kind: bytes, about: os.stat_result, place: Place) -> tarfile.TarInfo:
        info = tarfile.TarInfo(name)
        info.type, info.mode, info.mtime = kind, stat.S_IMODE(about.st_mode), self.moment(about.st_mtime)
        info.uid, info.gid = owner(about)
        info.size = about.st_size if kind == tarfile.REGTYPE else 0
        if kind == tarfile.SYMTYPE:
            info.linkname = place.readlink()
        if kind in (tarfile.CHRTYPE, tarfile.BLKTYPE):
            info.devmajor, info.devminor = os.major(about.st_rdev), os.minor(about.st_rdev)
        info.pax_headers = {XATTR + key: value.decode("utf-8", "surrogateescape") for key, value in sorted(place.call(xattrs).items())}
        return info

    def moment(self, seconds: float) -> int:
        return min(int(seconds), self.latest) if self.latest is not None else int(seconds)

    def empty(self, name: str) -> None:
        """An empty file whose name says something. It has no time of its own."""
        info = tarfile.TarInfo(name)
        info.mode = 0o600
        self.tar.addfile(info)
        self.tar.members.clear()

    def close(self) -> None:
        self.tar.close()


def pack(folder: str, out, latest: int | None = None, **how: bool) -> None:
    """Write ``folder`` to ``out`` as a tar file; ``latest`` is the latest time in seconds that a file in it may have."""
    packing = Packing(out, latest)
    try:
        packing.pack(folder, **how)
        packing.close()
    except BaseException:
        packing.tar.fileobj.closed = True  # else it writes its rest when it is forgotten, and complains that ``out`` is closed
        raise
