"""Entries as a tar file, and a tar file as entries: what ``cp`` writes to ``-`` and reads from it."""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterable, Iterator
from functools import partial
from typing import BinaryIO

from lib.engine.copying.entries import CHUNK, Entry
from lib.images import ondisk, tarmembers
from lib.images.pack import KINDS
from lib.images.tarmembers import XATTR, Member

MODES = {
    "file": stat.S_IFREG, "folder": stat.S_IFDIR, "symbolic link": stat.S_IFLNK, "hard link": stat.S_IFREG, "fifo": stat.S_IFIFO,
    "character device": stat.S_IFCHR, "block device": stat.S_IFBLK,
}  # fmt: skip
SECOND = 10**9  # nanoseconds
END = bytes(2 * tarfile.BLOCKSIZE)


def write(entries: Iterable[Entry], out: BinaryIO, contents: bool) -> None:
    """All entries; with ``contents`` their names begin with ``./``, as those of ``SRC/.`` do."""
    for one in entries:
        info = header(one, "./" if contents else "")
        out.write(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
        if info.isreg():
            content(one.fd, one.size, out)
    out.write(END)
    out.flush()


def header(one: Entry, before: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(before + one.path)
    info.type, info.mode = KINDS[stat.S_IFMT(one.mode)], stat.S_IMODE(one.mode)
    info.uid, info.gid, info.mtime = one.uid, one.gid, one.mtime // SECOND
    info.size = one.size if info.isreg() else 0
    info.linkname = one.target
    if one.first:
        info.type, info.size, info.linkname = tarfile.LNKTYPE, 0, before + one.first
    if info.type in (tarfile.CHRTYPE, tarfile.BLKTYPE):
        info.devmajor, info.devminor = os.major(one.rdev), os.minor(one.rdev)
    info.pax_headers = {XATTR + name: value.decode("utf-8", "surrogateescape") for name, value in (one.attributes or {}).items()}
    return info


def content(fd: int, size: int, out: BinaryIO) -> None:
    """As many bytes as the header says: a file that has become shorter meanwhile ends in zeros."""
    left = size
    while left and (data := os.read(fd, min(left, CHUNK))):
        out.write(data)
        left -= len(data)
    while left:
        out.write(bytes(min(left, CHUNK)))
        left -= min(left, CHUNK)
    out.write(bytes(-size % tarfile.BLOCKSIZE))


def read(file) -> Iterator[Entry]:
    """The entries of a stranger's tar file, which is not packed. Raises ``LayerError``."""
    for archive, member in tarmembers.members(file):
        yield entry(archive, member)


def entry(archive: tarfile.TarFile, member: Member) -> Entry:
    kind, path = member.kind, "/".join(member.parts)
    about = (path, MODES[kind] | stat.S_IMODE(member.mode), member.uid, member.gid, ondisk.times(member)[1])
    if kind == "hard link":
        return Entry(*about, first="/".join(tarmembers.split(member.linkname)))
    if kind == "file":
        return Entry(*about, size=member.size, attributes=member.xattrs, pour=partial(pour, archive, member))
    return Entry(*about, rdev=os.makedev(member.devmajor, member.devminor), target=member.linkname, attributes=member.xattrs)


def pour(archive: tarfile.TarFile, member: Member, out: int) -> None:
    if member.issparse():
        ondisk.copy_sparse(archive.fileobj, out, member.sparse, member.size)
    else:
        ondisk.copy(archive.fileobj, out, member.size)
