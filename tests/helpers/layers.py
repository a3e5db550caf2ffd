"""Layers and images made for tests: tar files with any members, valid or not; trees to compare."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
from pathlib import Path

from lib.images import Library, Merged, Store


def member(name: str, data: bytes = b"", **words) -> tuple[tarfile.TarInfo, bytes]:
    """A tar member; ``words`` are fields of ``TarInfo``."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o644
    for key, value in words.items():
        setattr(info, key, value)
    return info, data


def folder(name: str, mode: int = 0o755, **words):
    return member(name, type=tarfile.DIRTYPE, mode=mode, **words)


def link(name: str, to: str):
    return member(name, type=tarfile.SYMTYPE, linkname=to)


def hard(name: str, to: str):
    return member(name, type=tarfile.LNKTYPE, linkname=to)


def device(name: str, major: int, minor: int, kind: bytes = tarfile.CHRTYPE):
    return member(name, type=kind, devmajor=major, devminor=minor)


def tar(*members, form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def library(folder: Path) -> Library:
    return Library(Store(folder))


def image(library: Library, *layers: bytes, name: str = "test:1", pack=gzip.compress, config: dict | None = None):
    """An image whose layers are these tar files."""
    from lib.images import digests, image

    descriptors, ids = [], []
    kind = {gzip.compress: "gzip"}.get(pack, "none" if pack is bytes else "zstd")
    for data in layers:
        packed = pack(data)
        suffix = {"gzip": "+gzip", "zstd": "+zstd", "none": ""}[kind]
        media = f"application/vnd.oci.image.layer.v1.tar{suffix}"
        descriptors.append({"mediaType": media, "digest": library.store.put(packed), "size": len(packed)})
        ids.append(digests.of(data))
    found = image.save(library.store, {**image.here(), "config": config or {}, "rootfs": {"type": "layers", "diff_ids": ids}}, descriptors)
    from lib.images import references

    library.store.tag(str(references.parse(name)), found.descriptor)
    return library.find(name)


def tree(folders, times: bool = False) -> dict[str, tuple]:
    """Everything in the tree that the folders make together: path → type and mode, owner, size, content, links, attributes."""
    names: dict[tuple, str] = {}
    found = {}
    for path, place, about in Merged(folders).walk():
        kind = stat.S_IFMT(about.st_mode)
        content: object = None
        if kind == stat.S_IFREG:
            with place.open(about) as file:
                content = file.read()
        elif kind == stat.S_IFLNK:
            content = place.readlink()
        elif kind in (stat.S_IFCHR, stat.S_IFBLK):
            content = (os.major(about.st_rdev), os.minor(about.st_rdev))
        mode = 0 if kind == stat.S_IFLNK else stat.S_IMODE(about.st_mode)
        same = names.setdefault((about.st_dev, about.st_ino), path) if about.st_nlink > 1 and kind == stat.S_IFREG else path
        attributes = {
            name: place.call(os.getxattr, name, follow_symlinks=False)
            for name in place.call(os.listxattr, follow_symlinks=False)
            if not name.startswith(("trusted.overlay", "user.overlay"))
        }
        when = (int(about.st_mtime),) if times else ()
        found[path] = (oct(kind), oct(mode), about.st_uid, about.st_gid, content, same, tuple(sorted(attributes.items())), *when)
    return found
