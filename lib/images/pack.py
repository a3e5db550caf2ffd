"""A folder, packed as a layer: what overlay wrote down about changes becomes what the OCI specification calls a changeset.

The same folder always gives the same bytes: names in order, no names of owners, whole seconds, and no time later than
``SOURCE_DATE_EPOCH`` where that is set (reproducible-builds.org). See the OCI image specification, layer.md.
"""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterator

from lib.images.entries import XATTR
from lib.images.unpack import OPAQUE, WHITEOUT, opaque_attribute

KINDS = {
    stat.S_IFREG: tarfile.REGTYPE, stat.S_IFDIR: tarfile.DIRTYPE, stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE, stat.S_IFBLK: tarfile.BLKTYPE, stat.S_IFIFO: tarfile.FIFOTYPE,
}  # fmt: skip
NOT_PACKED = ("trusted.overlay.", "user.overlay.", "security.selinux", "system.")


def epoch() -> int | None:
    """``SOURCE_DATE_EPOCH`` in seconds, where it is set."""
    text = os.environ.get("SOURCE_DATE_EPOCH")
    return int(text) if text else None


def created() -> str:
    """Now, or ``SOURCE_DATE_EPOCH``, as RFC 3339 wants it."""
    from datetime import UTC, datetime

    moment = epoch()
    now = datetime.now(UTC) if moment is None else datetime.fromtimestamp(moment, UTC)
    return now.isoformat().removesuffix("+00:00").rstrip("0" if now.microsecond else "") + "Z"  # as Go writes it


def is_whiteout(about: os.stat_result) -> bool:
    return stat.S_ISCHR(about.st_mode) and about.st_rdev == 0


def is_opaque(folder: str) -> bool:
    try:
        return os.getxattr(folder, opaque_attribute()) == b"y"
    except OSError:
        return False


def walk(folder: str, below: str = "") -> Iterator[tuple[str, str, os.stat_result]]:
    """Every path below ``folder``, each folder before what is in it: its name in the layer, its real path, its status."""
    with os.scandir(folder) as listing:
        names = sorted(os.fsencode(entry.name) for entry in listing)
    for name in map(os.fsdecode, names):
        path, inside = f"{folder}/{name}", f"{below}{name}"
        about = os.lstat(path)
        yield inside, path, about
        if stat.S_ISDIR(about.st_mode):
            yield from walk(path, inside + "/")


class Packing:
    """A folder on its way into a tar file that is written to ``out``, an object with ``write``."""

    def __init__(self, out, latest: int | None = None):
        self.tar = tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT, bufsize=1 << 18, encoding="utf-8")
        self.latest = latest
        self.seen: dict[tuple[int, int], str] = {}  # device and inode of files with several names → the first of them

    def pack(self, folder: str, root: bool = False, whiteouts: bool = True) -> None:
        """All of the folder; ``root`` takes the folder itself along, as "./"."""
        if root:
            self.add("./", folder, os.lstat(folder))
        for name, path, about in walk(folder):
            if whiteouts and is_whiteout(about):
                above, _, last = name.rpartition("/")
                self.empty(f"{above}/{WHITEOUT}{last}".lstrip("/"))
            else:
                self.add(name, path, about)
                if whiteouts and stat.S_ISDIR(about.st_mode) and is_opaque(path):
                    self.empty(f"{name}/{OPAQUE}")

    def add(self, name: str, path: str, about: os.stat_result) -> None:
        """One file, folder, link or node; a socket is left out, as nobody listens any more."""
        if (kind := KINDS.get(stat.S_IFMT(about.st_mode))) is None:
            return
        info = self.header(name, kind, about, path)
        if kind == tarfile.REGTYPE and about.st_nlink > 1:
            first = self.seen.setdefault((about.st_dev, about.st_ino), name)
            if first != name:
                info.type, info.linkname, info.size, info.pax_headers = tarfile.LNKTYPE, first, 0, {}
        if info.isreg():
            with open(path, "rb", buffering=0) as file:
                self.tar.addfile(info, file)
        else:
            self.tar.addfile(info)
        self.tar.members.clear()  # it would remember them all

    def header(self, name: str, kind: bytes, about: os.stat_result, path: str) -> tarfile.TarInfo:
        info = tarfile.TarInfo(name)
        info.type, info.mode, info.mtime = kind, stat.S_IMODE(about.st_mode), self.moment(about.st_mtime)
        info.uid, info.gid = owner(about)
        info.size = about.st_size if kind == tarfile.REGTYPE else 0
        if kind == tarfile.SYMTYPE:
            info.linkname = os.readlink(path)
        if kind in (tarfile.CHRTYPE, tarfile.BLKTYPE):
            info.devmajor, info.devminor = os.major(about.st_rdev), os.minor(about.st_rdev)
        info.pax_headers = {XATTR + key: value.decode("utf-8", "surrogateescape") for key, value in sorted(xattrs(path).items())}
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


def owner(about: os.stat_result) -> tuple[int, int]:
    """Whose a file is in the image: without root everything is ours here, and root's there."""
    if os.geteuid() == 0:
        return about.st_uid, about.st_gid
    return (0 if about.st_uid == os.geteuid() else about.st_uid), (0 if about.st_gid == os.getegid() else about.st_gid)


def xattrs(path: str) -> dict[str, bytes]:
    """The attributes that belong to the image (file capabilities, say); not overlay's and not this machine's."""
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError:
        return {}
    return {name: os.getxattr(path, name, follow_symlinks=False) for name in names if not name.startswith(NOT_PACKED)}


def pack(folder: str, out, latest: int | None = None, **how: bool) -> None:
    """Write ``folder`` to ``out`` as a tar file; ``latest`` is the latest time in seconds that a file in it may have."""
    packing = Packing(out, latest)
    packing.pack(folder, **how)
    packing.close()
