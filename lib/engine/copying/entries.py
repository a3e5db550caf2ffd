"""One file, folder, link or node on its way from one tree to another."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

CHUNK = 1 << 20  # bytes that are read at once
AT_ONCE = 1 << 16  # bytes of a small file: read and written, which takes fewer calls than having the kernel copy
CAPABILITY = "security.capability"
NO_TARGET = ""


class Entry(NamedTuple):
    """``path`` is where it lies below what is copied ("" is that itself); ``mode`` holds its kind, too; ``mtime`` is in nanoseconds.

    Of a regular file, ``fd`` is open for reading until the next entry is asked for, or else ``pour`` writes its content into a descriptor.
    ``target`` is where a symbolic link leads, ``first`` the path of an earlier entry that is the same file (a hard link).
    """

    path: str
    mode: int
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    size: int = 0
    rdev: int = 0
    fd: int = -1
    target: str = NO_TARGET
    first: str = ""
    attributes: dict[str, bytes] | None = None
    pour: Callable[[int], None] | None = None


class CannotCopy(ValueError):
    """What cannot be copied there. In Docker's words."""


def of(path: str, about: os.stat_result, **more) -> Entry:
    return Entry(path, about.st_mode, about.st_uid, about.st_gid, about.st_mtime_ns, about.st_size, about.st_rdev, **more)


def capability(fd: int, about: os.stat_result) -> dict[str, bytes] | None:
    """The one attribute that is copied with a file: what it may do as a program (capabilities(7))."""
    if about.st_mode & 0o111 and stat.S_ISREG(about.st_mode):
        with suppress(OSError):
            return {CAPABILITY: os.getxattr(fd, CAPABILITY)}
    return None


def content(source: int, out: int, size: int) -> None:
    """Copy at most ``size`` bytes: what is appended meanwhile is not ours, or a log that grows would have no end."""
    if size <= AT_ONCE:
        while size > 0 and (data := os.read(source, size)):
            size -= len(data)
            whole(out, data)
        return
    with suppress(OSError):  # two file systems, say
        while size > 0 and (copied := os.copy_file_range(source, out, min(size, CHUNK << 10))):
            size -= copied
        return
    while size > 0 and (data := os.read(source, min(size, CHUNK))):
        size -= len(data)
        whole(out, data)


def whole(out: int, data: bytes) -> None:
    while (written := os.write(out, data)) < len(data):
        data = data[written:]
