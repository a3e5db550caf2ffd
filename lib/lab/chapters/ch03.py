"""What chapter 3 begins and ends with, its store, package index and registry; and what it asks of images and bases."""

from __future__ import annotations

import atexit
import os
import stat
import tarfile
from pathlib import Path

from lib import bases
from lib.engine.naming import shortnames
from lib.images import Image, Library, Merged, Store, compression
from lib.images.overlays import walk
from lib.lab.chapters import tempfolder
from lib.lab.chapters.slowapp import Index, toy
from lib.lab.registry import LocalRegistry
from lib.shield import Shield


def begin(work: int) -> tuple[Library, Index]:
    """A store for this notebook alone, with the base image and ``toy`` in it, and the index that ``toy`` gets its packages from.

    A second call begins anew: every build of the chapter is the first one again.
    """
    end()
    os.environ["SUITCASE_IMAGES"] = str(tempfolder.folder() / "images")
    library, index = Library(Store()), Index(json="1.0", log="2.1", web="3.3")
    shortnames.make(library, "localhost/busybox:static")
    toy(library, index, work)
    _open.append(index)
    return library, index


def registry() -> LocalRegistry:
    """A registry of this notebook's own; one that it had before is ended."""
    for one in [one for one in _open if isinstance(one, LocalRegistry)]:
        _open.remove(one)
        one.__exit__(None, None, None)
    found = LocalRegistry()
    with Shield():  # between the start and the note nothing may come
        _open.append(found.__enter__())
    return found


def end() -> None:
    """Close the index and the registry, and remove the store with all that is in the temporary folder."""
    while _open:
        one = _open.pop()
        one.close() if isinstance(one, Index) else one.__exit__(None, None, None)
    tempfolder.clear()


_open: list[Index | LocalRegistry] = []
atexit.register(end)  # who closes the notebook without its last cell leaves no registry running


def bases_here() -> list[tuple[str, int, int]]:
    """The bases that set-up has made on this machine, the smallest first: name, megabytes, Debian packages."""
    found = []
    for name, (base, _) in shortnames.HERE.items():
        try:
            folder = bases.find(base)
        except FileNotFoundError:
            continue
        size = sum(about.st_size for _, _, about in walk(folder) if stat.S_ISREG(about.st_mode))
        status = Path(folder, "var/lib/dpkg/status")
        packages = status.read_text().count("\nPackage: ") + 1 if status.exists() else 0
        found.append((name, size // 1_000_000, packages))
    return sorted(found, key=lambda row: row[1])


# -- what is in an image ----------------------------------------------------------------------------


def contents(library: Library, image: Image) -> list[bytes]:
    """Everything that travels with an image: its documents, and its layers unpacked. Who has the image has these bytes."""
    found = [library.store.get(image.descriptor["digest"]), library.store.get(image.id)]
    for one in image.layers:
        with library.store.open(one["digest"]) as file:
            reader, data = compression.unpacked(file), b""
            while piece := reader.read(1 << 20):
                data += piece
        found.append(data)
    return found


def layer_texts(library: Library, image: Image) -> dict[str, str]:
    """Each layer, the lowest first, as one text: any bytes at all."""
    return {f"layer {number}": data.decode("latin-1") for number, data in enumerate(contents(library, image)[2:], 1)}


def look(folders: list[str]) -> dict:
    """Path → mode, owner, size of everything in a tree."""
    return {
        path: (about.st_mode, about.st_uid, about.st_gid, about.st_size if stat.S_ISREG(about.st_mode) else 0)
        for path, _, about in Merged(folders).walk()
    }


def entries(library: Library, layer: dict) -> list[str]:
    """The names in a layer's tar file, whiteouts and all."""
    with library.store.open(layer["digest"]) as file:
        return [one.name for one in tarfile.open(fileobj=compression.unpacked(file), mode="r|") if one.name != "./"]


def fields(library: Library, image: Image) -> dict[str, dict]:
    """What the tar file of an image's last layer says of each member."""
    words = ("mtime", "uid", "gid", "mode", "size", "type")
    with library.store.open(image.layers[-1]["digest"]) as file:
        tar = tarfile.open(fileobj=compression.unpacked(file), mode="r|")
        return {one.name: {key: getattr(one, key) for key in words} for one in tar}
