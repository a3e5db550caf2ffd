"""What a member of a layer looks like on disk: its owner, mode, extended attributes and time. See inode(7)."""

from __future__ import annotations

import errno
import os
from contextlib import suppress

from lib.images.entries import Member

NO_XATTRS = (errno.ENOTSUP, errno.EPERM)  # a file system without them; a user may not set file capabilities


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
