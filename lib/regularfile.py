"""Open a file that a stranger may have put there: a regular file, or an error that says what it is instead.

A named pipe would let us wait for a writer who never comes, and with some devices opening alone does something.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import BinaryIO

OURS = ("/dev/fd/", "/dev/stdin", "/proc/self/fd/")  # whoever called us has handed these to us: <(...) of a shell is such a pipe
KINDS = {stat.S_IFIFO: "named pipe", stat.S_IFSOCK: "socket", stat.S_IFCHR: "device", stat.S_IFBLK: "device"}


def open_regular(path: str | os.PathLike) -> BinaryIO:
    """The file at ``path``, links followed, for reading. Raises ``OSError``."""
    if os.fspath(path).startswith(OURS):
        return open(path, "rb")
    refuse(os.stat(path), path)
    file = open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC), "rb")
    try:
        refuse(os.fstat(file.fileno()), path)  # it may be another one by now
    except OSError:
        file.close()
        raise
    return file


def lies_in(file: BinaryIO, *folders: str) -> bool:
    """Does the open file really lie in one of the folders? By which links somebody came to it, says nothing."""
    real = os.path.join("/", os.readlink(f"/proc/self/fd/{file.fileno()}"))  # a pipe's is no path
    return any(os.path.commonpath([top, real]) == top for top in map(os.path.realpath, folders))


def refuse(about: os.stat_result, path: str | os.PathLike) -> None:
    if stat.S_ISDIR(about.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if not stat.S_ISREG(about.st_mode):
        kind = KINDS.get(stat.S_IFMT(about.st_mode), "strange thing")
        raise OSError(errno.EINVAL, f"it is a {kind}, and only a regular file is read: put one in its place", os.fspath(path))
