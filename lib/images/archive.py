"""Images as one file: ``save`` and ``load``; file systems as one file: ``import`` and ``export``.

What ``save`` writes is two formats in one tar file, as Docker's own is since version 25: an OCI layout, and beside it the older
``manifest.json``, so that every tool finds what it knows. ``load`` takes both, from strangers.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Sequence

from lib.images import compression, digests, image, layers, references, unpack
from lib.images.digests import ImageError
from lib.images.image import Image
from lib.images.library import Library
from lib.images.merged import Merged
from lib.images.pack import Packing
from lib.images.sourcedate import created
from lib.images.store import JSON_AT_MOST, NAME, Store
from lib.images.tarmembers import NAME_AT_MOST, members, split

CONTAINERD_NAME = "io.containerd.image.name"
FILES_AT_MOST = 100_000  # in an archive: each is a file on disk for a while
LINKS_AT_MOST = 1000  # Docker's old archives have one for a layer that two images share


class ArchiveError(ImageError):
    """The file holds no image that can be read."""


# -- save -----------------------------------------------------------------------------------


def save(library: Library, names: Sequence[str], out) -> None:
    """``docker save``: write images with their names to ``out``, an object with ``write``. Raises ``StoreError``."""
    found = [(library.find(name), name) for name in names]
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT, bufsize=1 << 18) as tar:
        add(tar, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        for digest in dict.fromkeys(digest for one, _ in found for digest in blobs(one)):
            with library.store.open(digest) as file:
                info = tarfile.TarInfo(blob_name(digest))
                info.size, info.mode = os.fstat(file.fileno()).st_size, 0o644
                tar.addfile(info, file)
        add(tar, "index.json", json.dumps(index(found)).encode())
        add(tar, "manifest.json", json.dumps([docker_entry(one, name) for one, name in found]).encode())


def add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o644
    tar.addfile(info, io.BytesIO(data))


def blobs(one: Image) -> list[str]:
    return [one.descriptor["digest"], one.id, *(layer["digest"] for layer in one.layers)]


def blob_name(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def tags(one: Image, name: str) -> list[str]:
    """The names that an image is saved under: the one that was asked for, none if it was asked for by its id."""
    wanted = Library.canonical(name)
    return [wanted] if wanted in one.names else []


def index(found: list[tuple[Image, str]]) -> dict:
    entries = []
    for one, name in found:
        plain = {key: one.descriptor[key] for key in ("mediaType", "digest", "size")}
        named = [{CONTAINERD_NAME: tag, NAME: references.parse(tag).tag or ""} for tag in tags(one, name)]
        entries += [plain | {"annotations": words} for words in named] or [plain]
    return {"schemaVersion": 2, "mediaType": image.INDEX, "manifests": entries}


def docker_entry(one: Image, name: str) -> dict:
    familiar = [references.parse(tag).familiar for tag in tags(one, name)]
    return {"Config": blob_name(one.id), "RepoTags": familiar or None, "Layers": [blob_name(layer["digest"]) for layer in one.layers]}


# -- load -----------------------------------------------------------------------------------


def load(library: Library, file) -> list[Image]:
    """``docker load``: take every image out of an archive (OCI or Docker, packed or not). Raises ``ArchiveError`` and ``LayerError``."""
    with library.store.using(), Content(library.store) as content:
        content.read(compression.Counted(compression.unpacked(file), "the archive"))
        found = content.docker() if "manifest.json" in content.files else content.oci()
        room = unpack.Room()
        for one, names in found:
            library.chains.unpack(one.layers, one.diff_ids, room=room)
            for name in names:
                library.store.tag(name, one.descriptor)
    return [image.load(library.store, one.descriptor, tuple(names)) for one, names in found]


class Content:
    """What is in an archive: each file is a draft beside the store, and becomes a blob of it when a manifest names it.

    What nobody has named is gone at the end of the ``with``.
    """

    def __init__(self, store: Store):
        self.store, self.files, self.links = store, {}, {}
        self.budget, self.drafts = compression.Budget(compression.limit()), {}  # by digest

    def read(self, file) -> None:
        """Raises ``ArchiveError`` for more than one may unpack to, ``LayerError`` for what is no tar file."""
        for archive, member in members(file):
            name = "/".join(member.parts)
            self.count(member)
            if member.kind == "file":
                self.files[name] = self.keep(archive.extractfile(member), member.size, kind_of(member.parts))
            elif member.kind in ("symbolic link", "hard link"):
                here = os.path.dirname(name) if member.kind == "symbolic link" else ""
                self.links[name] = "/".join(split(os.path.normpath(f"{here}/{member.linkname[:NAME_AT_MOST]}").lstrip("/")))
                if len(self.links) > LINKS_AT_MOST:
                    raise ArchiveError(f"the archive holds more than {LINKS_AT_MOST} links: no image has so many layers")

    def count(self, member) -> None:
        if not self.budget.take(member.size + member.weight):
            words = f"the archive unpacks to more than {compression.limit()} bytes (at {member.name[:60]!r}): a bomb?"
            raise ArchiveError(f"{words} SUITCASE_LAYER_LIMIT allows more")
        if len(self.files) >= FILES_AT_MOST:
            raise ArchiveError(f"the archive holds more than {FILES_AT_MOST} files: no image is made of so many")

    def keep(self, source, size: int, kind: str) -> tuple[str, int]:
        """Digest (of that kind) and size of a file that is a draft now."""
        draft = self.store.draft(size=size, kind=kind)
        try:
            while data := source.read(1 << 20):
                draft.write(data)
            draft.seal()
        except BaseException as error:
            draft.__exit__()
            if isinstance(error, tarfile.ReadError):
                raise ArchiveError("the archive ends in the middle of a file: it was cut off") from None
            raise
        if draft.digest in self.drafts:
            draft.__exit__()
        return self.drafts.setdefault(draft.digest, draft).digest, size

    def take(self, digest: str) -> str:
        """A manifest names it: if it is here, it becomes a blob of the store."""
        if draft := self.drafts.pop(digest, None):
            draft.publish()
        return digest

    def needed(self, digest: str) -> str:
        """As ``take``, of what must be here, or in the store already. Raises ``ArchiveError``."""
        if not self.store.has(self.take(digest)):
            raise ArchiveError(f"blob {digest} is not in the archive: it was cut off, or leaves out what should be here already")
        return digest

    def __enter__(self) -> Content:
        return self

    def __exit__(self, *error) -> None:
        for draft in self.drafts.values():
            draft.__exit__()

    def find(self, name: object) -> tuple[str, int]:
        """Digest and size of a file in the archive; Docker's old archives have links among their layers."""
        if not isinstance(name, str):
            raise ArchiveError(f"the archive names a file by {str(name)[:50]!r}")
        name = "/".join(split(name))
        name = self.links.get(name, name)
        if name not in self.files:
            raise ArchiveError(f"the archive speaks of {name!r}, and has no such file: it was cut off, or is not an image")
        return self.files[name]

    def get(self, name: str) -> bytes:
        """A small file of the archive that only says what is in the others."""
        digest, size = self.find(name)
        if size > JSON_AT_MOST:
            raise ArchiveError(f"{name} in the archive has {size} bytes: at most {JSON_AT_MOST} are read")
        if digest in self.drafts:
            return self.drafts[digest].path.read_bytes()
        return self.store.get(digest)

    def json(self, name: str) -> object:
        try:
            return image.parsed(self.get(name))
        except (ValueError, RecursionError):
            raise ArchiveError(f"{name} in the archive is not valid JSON") from None

    def docker(self) -> list[tuple[Image, list[str]]]:
        """By ``manifest.json``: for each image a config, names, and layers as files."""
        entries = self.json("manifest.json")
        if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
            raise ArchiveError("manifest.json in the archive is not a list of objects")
        return [self.docker_image(one) for one in entries]

    def docker_image(self, entry: dict) -> tuple[Image, list[str]]:
        digest, size = self.find(entry.get("Config"))
        found = [self.find(name) for name in image.items(entry, "Layers", "manifest.json")]
        for one, _ in [(digest, size), *found]:
            self.take(one)
        about = {"mediaType": image.CONFIG, "digest": digest, "size": size}
        manifest = {"schemaVersion": 2, "mediaType": image.MANIFEST, "config": about, "layers": [self.layer(*one) for one in found]}
        descriptor = self.store.put_json(manifest, image.MANIFEST)
        return image.load(self.store, descriptor), believed(image.items(entry, "RepoTags", "manifest.json"))

    def layer(self, digest: str, size: int) -> dict:
        with self.store.open(digest) as file:
            head = file.read(4)
        kind = "gzip" if head.startswith(compression.GZIP) else "zstd" if head.startswith(compression.ZSTD) else "none"
        return {"mediaType": compression.MEDIA_TYPES[kind], "digest": digest, "size": size}

    def oci(self) -> list[tuple[Image, list[str]]]:
        """By ``index.json``, as in an OCI layout; of an image for several platforms, this machine's is taken."""
        if "index.json" not in self.files:
            raise ArchiveError("the archive has neither index.json nor manifest.json: it is not an image (a file system? import takes it)")
        entries = image.items(image.document(self.get("index.json"), "index.json"), "manifests", "index.json")
        found = []
        for entry in entries:
            one = self.manifest(image.descriptor(entry, "an entry of index.json"))
            words = image.items(entry, "annotations", "index.json", dict)
            name = words.get(CONTAINERD_NAME) or words.get(NAME)
            found.append((one, believed([name] if name else [])))
        return found

    def manifest(self, entry: dict, depth: int = 0) -> Image:
        data = self.store.get(self.needed(entry["digest"]))
        if entry.get("mediaType") in (image.INDEX, image.DOCKER_LIST):
            if depth:
                raise ArchiveError(f"index {entry['digest']} lies in an index: only one in another is read")
            index = image.document(data, entry["digest"])
            return self.manifest(image.choose(index, None, f"index {entry['digest']}", self.config), depth + 1)
        found = image.manifest(data, entry["digest"])
        for one in [found["config"], *(found["layers"] or [])]:
            self.needed(one["digest"])
        return image.load(self.store, {"mediaType": image.MANIFEST, **entry})

    def config(self, entry: dict) -> dict:
        """The config of an image in the archive. Raises ``ManifestError`` if there is none."""
        try:
            about = image.manifest(self.get(blob_name(entry["digest"])), entry["digest"])["config"]["digest"]
            return image.document(self.get(blob_name(about)), f"config {about}")
        except ArchiveError as error:
            raise image.ManifestError(str(error)) from None


def kind_of(parts: list[str]) -> str:
    """Which digest a file is named by: ``blobs/sha512/…``."""
    return parts[1] if len(parts) == 3 and parts[0] == "blobs" and parts[1] in digests.ALGORITHMS else "sha256"


def believed(names: list) -> list[str]:
    """The names that an archive may give. One with a digest is left out: who has that digest is computed, not told."""
    found = [references.parse(str(name)) for name in names]
    return [str(one) for one in found if not one.digest]


def import_(library: Library, file, name: str | None = None, config: dict | None = None, message: str = "") -> Image:
    """``docker import``: a tar file of a whole file system becomes an image of one layer; ``config`` is its runtime part."""
    name = str(references.parse(name)) if name else None  # a name that is none is refused now, not after the work
    tar = compression.Counted(compression.unpacked(file), "the tar file")

    def fill(sink) -> None:
        while data := tar.read(1 << 18):
            sink.write(data)

    with library.store.using():
        return one_layer(library, layers.write(library.store, fill), name, config, message or "Imported from -")


def from_folder(library: Library, folder: str, name: str, config: dict | None = None) -> Image:
    """An image of one layer, of a root file system that lies in a folder. It stays here, so it is not compressed."""
    with library.store.using():
        layer = layers.from_folder(library.store, folder, "none", root=True, whiteouts=False)
        return one_layer(library, layer, name, config, f"Imported from {os.path.basename(folder)}")


def one_layer(library: Library, layer: layers.Layer, name: str | None, config: dict | None, message: str) -> Image:
    library.chains.unpack([layer.descriptor], [layer.diff_id])  # what is no tar file is found out here
    made = created()
    found = image.save(
        library.store,
        {
            "created": made, **image.here(), "config": config or {},
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]}, "history": [{"created": made, "comment": message}],
        },
        [layer.descriptor],
    )  # fmt: skip
    if name:
        library.store.tag(str(references.parse(name)), found.descriptor)
    return found


def export(folders: Sequence[str], out) -> None:
    """``docker export``: the one tree that the folders make together (the lowest first), as a tar file without whiteouts."""
    merged, packing = Merged(folders), Packing(out)
    for name, place, about in merged.walk():
        packing.add(name, place, about)
    packing.close()
