"""A folder as overlay reads it: how deletions are written down on disk, and which owners and attributes belong to an image.

In a layer's tar file a deletion is a name, ``.wh.x`` or ``.wh..wh..opq``; for the kernel it is a device node, and an attribute.
See overlayfs.rst ("whiteouts and opaque directories") and the OCI image specification, layer.md, "Whiteouts".
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress

from lib.beneath import Place, Way

WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
NO_XATTRS = (errno.ENOTSUP, errno.EPERM)  # a file system without them; a user may not set file capabilities
NOT_PACKED = ("trusted.overlay.", "user.overlay.", "security.selinux", "system.")


def opaque_attribute() -> str:
    """Overlay's own attribute; without root it is kept under ``user.`` (mount option ``userxattr``)."""
    return "trusted.overlay.opaque" if os.geteuid() == 0 else "user.overlay.opaque"


def is_whiteout(about: os.stat_result) -> bool:
    return stat.S_ISCHR(about.st_mode) and about.st_rdev == 0


def is_opaque(folder: str) -> bool:
    try:
        return os.getxattr(folder, opaque_attribute(), follow_symlinks=False) == b"y"
    except OSError:
        return False


def walk(folder: str) -> Iterator[tuple[str, Place, os.stat_result]]:
    """Everything below ``folder``, each folder before what is in it: its name in the layer, where it lies, its status.

    Without recursion: a stranger's folders may be deeper than Python's stack.
    """
    todo = inner(Place(Way(), folder))
    while todo:
        place = todo.pop()
        if (about := place.look()) is None:
            continue  # somebody has removed it meanwhile
        yield place.inner, place, about
        if stat.S_ISDIR(about.st_mode):
            todo += inner(place)


def inner(folder: Place) -> list[Place]:
    """What is in a folder, the last name in the order of bytes first."""
    names = sorted((entry.name for entry in folder.entries()), key=os.fsencode, reverse=True)
    return [folder.below(name) for name in names]


def shows(entry: os.DirEntry) -> bool:
    """Is it more than a whiteout? Of nearly everything the listing itself tells the kind."""
    plain = entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False) or entry.is_symlink()
    return plain or not is_whiteout(entry.stat(follow_symlinks=False))


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


class tolerated(suppress):
    """Attributes are kept where the file system can, as in Docker."""

    def __init__(self):
        super().__init__(OSError)

    def __exit__(self, kind, error, trace) -> bool:
        return kind is not None and issubclass(kind, OSError) and error.errno in NO_XATTRS
