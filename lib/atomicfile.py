"""A file at a path that somebody named, written whole or not at all.

A draft is written beside it and then renamed over it, see rename(2): a crash, a full disk or Ctrl-C leaves what was there. But rename
takes the place of *anything*: of ``/dev/null``, too, or of a link. So only a plain file is ever replaced, and a link stays a link.
"""

from __future__ import annotations

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


class InvalidOutputPath(ValueError):
    """No plain file can be written there. The words are those of ``docker save -o``."""


def destination(path: str | os.PathLike) -> Path:
    """The plain file that ``path`` leads to, there or not yet. Raises ``InvalidOutputPath`` for a path that cannot be one."""
    place = Path(os.path.realpath(path))
    if not place.parent.is_dir():
        raise InvalidOutputPath(f'invalid output path: directory "{place.parent}" does not exist')
    if place.exists() and (kind := KINDS.get(stat.S_IFMT(place.stat().st_mode))):
        raise InvalidOutputPath(f'invalid output path: "{path}" must be a regular file: got {kind}')
    return place


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
