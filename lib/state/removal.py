"""A folder with all that is in it, removed by descriptors: no path is looked up twice, and no link is followed.

Whoever may write in there (a container's /tmp is open to all) could put a link in the place of a folder that was listed a moment ago, and
have root empty what the link leads to. So each folder is opened below the one that is open, and the way back up is checked.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import islice

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
AT_ONCE, MORE = 5000, ""  # names in one list; what stands in it where there may be more


def rmtree(path: str) -> None:
    """Remove the folder at ``path``; one that is gone already is fine. However deep it is, two descriptors must do."""
    above, name = os.path.split(path.rstrip("/"))
    try:
        parent = os.open(above or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if (top := open_folder(name, parent)) is not None:
            empty(top, path)
            with suppress(FileNotFoundError):  # a daemon that is ending removes its own, too
                os.rmdir(name, dir_fd=parent)
    finally:
        os.close(parent)


def empty(fd: int, path: str) -> None:
    """Remove what is in the folder ``fd``, depth first, and close it."""
    for above, name, is_folder in walk(fd, path):
        remove(os.rmdir if is_folder else os.unlink, name, above)


def walk(fd: int, path: str, whole: bool = False) -> Iterator[tuple[int, str, bool]]:
    """What is in the folder ``fd``, depth first: a descriptor of the folder above, the name in it, whether that is a folder. Closes ``fd``.

    A folder comes after all that is in it, so that it may be removed. ``path`` is for an error to name. Unless it is ``whole``, a list ends
    after some thousand names, and what comes is taken to be removed before the next ones are read: there may be millions.
    """
    read = partial(listing, whole=True) if whole else listing
    stack: list[tuple[list, tuple[int, int], str]] = []  # of each folder above: what is left in it, which it is, where we went down
    left = read(fd)
    try:
        while left or stack:
            if not left:
                left, which, name = stack.pop()
                fd = up(fd, which, path)
                yield fd, name, True
                continue
            name, is_folder = left.pop()
            if name == MORE:
                left = read(fd)
            elif is_folder and (below := open_folder(name, fd)) is not None:
                stack.append((left, identity(fd), name))
                os.close(fd)
                fd = below
                left = read(fd)
            else:
                yield fd, name, False
    finally:
        os.close(fd)


def listing(fd: int, whole: bool = False) -> list[tuple[str, bool]]:
    """Names in a folder, and whether each is a folder itself. Taken from the end: ``MORE`` comes last."""
    most = None if whole else AT_ONCE
    with os.scandir(fd) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in islice(entries, most)]
    return [(MORE, False), *found] if len(found) == most else found


def identity(fd: int) -> tuple[int, int]:
    about = os.fstat(fd)
    return about.st_dev, about.st_ino


def up(fd: int, which: tuple[int, int], path: str) -> int:
    """From a folder to the one above it, which must still be that one."""
    above = os.open("..", FOLDER, dir_fd=fd)
    if identity(above) != which:
        os.close(above)
        raise OSError(errno.ESTALE, "somebody moved a folder out of it while it was removed", path)
    os.close(fd)
    return above


def open_folder(name: str, above: int) -> int | None:
    """Open a folder, also one that nobody but root may look into: overlay keeps such ones. None if it is none, or is gone."""
    try:
        return os.open(name, FOLDER, dir_fd=above)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError:
        allow(name, above)
        return os.open(name, FOLDER, dir_fd=above)


def remove(call, name: str, fd: int) -> None:
    """unlink or rmdir; in a folder of ours that we may not write in, after we have allowed it to ourselves."""
    try:
        with suppress(FileNotFoundError):
            call(name, dir_fd=fd)
    except PermissionError:
        if os.fstat(fd).st_mode & 0o700 == 0o700:
            raise
        os.fchmod(fd, 0o700)
        call(name, dir_fd=fd)


def allow(name: str, above: int) -> None:
    place = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
    try:
        os.chmod(f"/proc/self/fd/{place}", 0o700)
    finally:
        os.close(place)
