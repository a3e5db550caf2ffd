"""A file at a path that somebody named, written whole or not at all.

A draft is written beside it and then renamed over it, see rename(2): a crash, a full disk or Ctrl-C leaves what was there. But rename
takes the place of *anything*: of ``/dev/null``, too, or of a link. So only a plain file is ever replaced, and a link stays a link.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

KINDS = {
    stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a directory",
}  # fmt: skip

EVERYBODYS = 0o1002  # as /tmp: all may write, and nobody may remove what is another's
MOST_LINKS = 40  # as many as the kernel follows


class InvalidOutputPath(ValueError):
    """No plain file can be written there. The words are those of ``docker save -o``."""


def destination(path: str | os.PathLike) -> Path:
    """The plain file that ``path`` leads to, there or not yet.

    Raises ``InvalidOutputPath`` for a path that cannot be one, ``PermissionError`` for one that somebody else leads elsewhere.
    """
    place = followed(Path(path))
    if not place.parent.is_dir():
        raise InvalidOutputPath(f'invalid output path: directory "{place.parent}" does not exist')
    if place.exists() and (kind := KINDS.get(stat.S_IFMT(place.stat().st_mode))):
        raise InvalidOutputPath(f'invalid output path: "{path}" must be a regular file: got {kind}')
    return place


def followed(path: Path) -> Path:
    """``path`` with every link followed. Raises ``PermissionError``, and ``OSError`` for links in a circle."""
    for _ in range(MOST_LINKS):
        path = Path(os.path.realpath(path.parent), path.name)
        if not path.is_symlink():
            return path
        refuse_a_strangers(path)
        path = path.parent / os.readlink(path)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))


def refuse_a_strangers(link: Path) -> None:
    """Whoever may write to /tmp could put a link there in our output's way, which leads to a file of ours.

    The kernel itself does not follow it then (fs.protected_symlinks in proc_sys_fs(5)); but we look where a link leads without its help.
    """
    folder, owner = link.parent.stat(), link.lstat().st_uid
    if folder.st_mode & EVERYBODYS == EVERYBODYS and owner not in (os.geteuid(), folder.st_uid):
        raise PermissionError(errno.EACCES, f"a link that uid {owner} has put into a folder of everybody's is not followed", str(link))


@contextmanager
def atomic_file(path: str | os.PathLike, mode: int = 0o666) -> Iterator[BinaryIO]:
    """A new file to write to, which becomes ``path`` when the block ends well, on disk before it does; else nothing has changed.

    ``mode`` is that of the new file, less the umask. Raises ``InvalidOutputPath`` before anything is made, and ``OSError``.
    """
    place = destination(path)
    draft = place.with_name(f".{place.name[:200]}.{os.urandom(6).hex()}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, place)
    except BaseException:
        with suppress(FileNotFoundError):
            draft.unlink()
        raise
