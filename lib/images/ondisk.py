"""A member of a layer on disk: its content, its owner, mode, extended attributes and time (inode(7)), and errors that name it."""

from __future__ import annotations

import errno
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager

from lib.images.overlays import tolerated
from lib.images.tarmembers import LayerError, Member


def copy(source, out: int, size: int) -> None:
    """The content of a file, piece by piece as it comes. Raises ``LayerError`` if there is less than announced."""
    left = size
    while left and (piece := source.some(left)):
        left -= len(piece)
        while piece:
            piece = piece[os.write(out, piece) :]
    if left:
        raise LayerError(f"the layer ends in the middle of a file: {left} bytes are missing")


def copy_sparse(source, out: int, pieces: list[tuple[int, int]], size: int) -> None:
    """A file with holes: only what lies between them comes, ``pieces`` says from where on and how much. Raises ``LayerError``."""
    end = 0
    for begin, length in pieces:
        if not length:
            continue  # GNU's old map is filled up so, and the newer ones say the file's size like this
        if not end <= begin < (end := begin + length) <= size:
            raise LayerError(f"the map of a sparse file has a piece from {begin} to {end}, which goes back, or out of its {size} bytes")
        os.lseek(out, begin, os.SEEK_SET)
        copy(source, out, length)
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
