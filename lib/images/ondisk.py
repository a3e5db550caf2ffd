"""A member of a layer on disk: its content, its owner, mode, extended attributes and time (inode(7)), and errors that name it."""

from __future__ import annotations

import errno
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from lib.images.tarmembers import LayerError, Member

NO_XATTRS = (errno.ENOTSUP, errno.EPERM)  # a file system without them; a user may not set file capabilities
BLOCK = 1 << 20
HOLE = bytes(BLOCK)


def copy(source, out: int, size: int) -> None:
    """The content of a file, piece by piece as it comes. Raises ``LayerError`` if there is less than announced."""
    left = size
    while left and (piece := source.some(left)):
        left -= len(piece)
        while piece:
            piece = piece[os.write(out, piece) :]
    if left:
        raise LayerError(f"the layer ends in the middle of a file: {left} bytes are missing")


def copy_sparse(source, out: int, size: int) -> None:
    """A file with holes: a block of zeros becomes one again. Raises ``LayerError`` if there is less than announced."""
    position = 0
    while data := source.read(min(BLOCK, size - position)):
        position += len(data)
        if data == HOLE[: len(data)]:
            os.lseek(out, position, os.SEEK_SET)
            continue
        piece = memoryview(data)
        while piece:
            piece = piece[os.write(out, piece) :]
    if position != size:
        raise LayerError(f"the layer ends in the middle of a file: {size - position} bytes are missing")
    os.ftruncate(out, size)


def give(member: Member, fd: int, name: str, owner: bool) -> None:
    """Owner (if ``owner``), mode, attributes and time of what is not open; a chown takes the setuid bit away, so the mode follows."""
    path = f"/proc/self/fd/{fd}/{name}"
    if owner:
        os.chown(path, member.uid, member.gid, follow_symlinks=False)
    for key, value in member.xattrs.items():
        with tolerated():
            os.setxattr(path, key, value, follow_symlinks=False)
    if member.kind != "symbolic link":
        os.chmod(path, member.mode & 0o7777)
    os.utime(path, ns=times(member), follow_symlinks=False)


def give_open(member: Member, out: int, owner: bool) -> None:
    if owner:
        os.fchown(out, member.uid, member.gid)
    if member.pax_headers:
        for key, value in member.xattrs.items():
            with tolerated():
                os.setxattr(out, key, value)
    os.fchmod(out, member.mode & 0o7777)
    os.utime(out, ns=times(member))


def times(member: Member) -> tuple[int, int]:
    """Access and modification time in ns; a pax header may hold fractions, and a stranger's may hold anything."""
    moment = max(-(1 << 33), min(int(member.mtime), 1 << 33)) * 10**9
    if isinstance(member.mtime, float):
        moment = int(max(-(1 << 33), min(member.mtime, 1 << 33)) * 10**9)
    return moment, moment


class tolerated(suppress):
    """Attributes are kept where the file system can, as in Docker."""

    def __init__(self):
        super().__init__(OSError)

    def __exit__(self, kind, error, trace) -> bool:
        return kind is not None and issubclass(kind, OSError) and error.errno in NO_XATTRS


@contextmanager
def named(member: Member) -> Iterator[None]:
    """Every error of the kernel's becomes one that names the member; a full disk is not the member's fault."""
    try:
        yield
    except tarfile.TarError as error:
        raise LayerError(f"{member.name!r}: {error}") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        why = f"{error.strerror} ({errno.errorcode[error.errno]})"
        raise LayerError(f"{member.kind} {member.name!r} cannot be unpacked: {why}") from None
