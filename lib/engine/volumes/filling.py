"""A new volume gets what the image has at its place, as in Docker: files with owners, modes, links, attributes, the looks of the folder.

A mark is there from the moment that this is known to be needed until it is done. Whoever is killed in between leaves the mark, and the
next one who uses the volume begins again: what is there already is made anew.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress

from lib.engine.copying.entries import Entry, of
from lib.engine.copying.planting import Planting, as_it_is
from lib.engine.volumes import store
from lib.images import Merged
from lib.images.overlays import tolerated, xattrs


def plan(image: Merged, one: dict) -> None:
    """Mark the volume of a mount, if it is empty and the image has a folder there. Hold ``store.using``."""
    volume = store.find(one["name"])
    if one.get("nocopy") or volume.options or os.listdir(volume.data):
        return
    if folder_of(image, one["target"]) is not None:
        (volume.place / store.FILLING).touch(0o600)


def folder_of(image: Merged, target: str) -> str | None:
    """The path, without links, of the folder that the image has there."""
    with suppress(OSError):
        path = image.resolve(target)
        found = image.find(path)
        if found and stat.S_ISDIR(found[1].st_mode):
            return path
    return None


def fill(layers: Sequence[str], one: dict, volume: store.Volume) -> None:
    """Copy what the mark says is missing. An image that has nothing there leaves the mark to the one that has. Raises ``OSError``."""
    if one.get("nocopy") or not (volume.place / store.FILLING).exists():
        return
    image = Merged(layers)
    if (path := folder_of(image, one["target"])) is None:
        return  # two containers are made at the same time, and it is the other one whose image fills it
    with store.filling(volume) as needed:
        if needed:
            copy(image, path, volume.data)
        (volume.place / store.FILLING).unlink(missing_ok=True)


def copy(image: Merged, path: str, data: str) -> None:
    top = os.open(data, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        Planting(top, as_it_is).all(entries(image, path))
        dress(image, path, top)
    finally:
        os.close(top)


def entries(image: Merged, top: str) -> Iterator[Entry]:
    """What is in a folder of the image, as entries of a copy."""
    seen: dict[tuple[int, int], str] = {}
    for inner, place, about in image.walk(top):
        path, kind = inner.removeprefix(top).lstrip("/"), stat.S_IFMT(about.st_mode)
        first = seen.setdefault((about.st_dev, about.st_ino), path) if kind == stat.S_IFREG and about.st_nlink > 1 else path
        if first != path:
            yield of(path, about, first=first)
        elif kind == stat.S_IFREG:
            with place.open(about) as file:
                yield of(path, about, fd=file.fileno(), attributes=place.call(xattrs))
        elif kind == stat.S_IFLNK:
            yield of(path, about, target=place.readlink())
        elif kind != stat.S_IFSOCK:
            yield of(path, about, attributes=place.call(xattrs))


def dress(image: Merged, path: str, top: int) -> None:
    """The volume looks as the folder in the image does."""
    place, about = image.find(path)
    if os.geteuid() == 0:
        os.fchown(top, about.st_uid, about.st_gid)
    for name, value in place.call(xattrs).items():
        with tolerated():
            os.setxattr(top, name, value)
    os.fchmod(top, stat.S_IMODE(about.st_mode))
    os.utime(top, ns=(about.st_mtime_ns, about.st_mtime_ns))
