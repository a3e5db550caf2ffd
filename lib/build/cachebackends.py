"""Where a build cache travels through: a folder that is an OCI image layout, or a tag in a registry. Both hold one manifest and its blobs.

``type=local,dest=FOLDER`` (``src=`` to read) and ``type=registry,ref=NAME``, as in ``docker build --cache-to`` and ``--cache-from``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from lib import state
from lib.images import ImageError, digests, image, references
from lib.images.store import JSON_AT_MOST
from lib.regularfile import open_regular


class Folder:
    """An OCI image layout with one manifest. See the OCI image specification, image-layout.md."""

    def __init__(self, place: str):
        self.place = Path(place)
        self.source = f"folder {os.path.realpath(place)}"  # whose records they are, however it was written

    def manifest(self) -> bytes:
        """Raises ``ImageError``, ``OSError``."""
        with open_regular(self.place / "index.json") as file:
            index = image.document(file.read(JSON_AT_MOST + 1), "its index.json")
        if not (entries := image.items(index, "manifests", "index.json")):
            raise ImageError("its index.json names no manifest")
        entry = image.descriptor(entries[0], "the entry in its index.json")
        with self.blob(entry) as file:
            reader = digests.Hashed(file, entry["digest"], JSON_AT_MOST, "its manifest")
            data = reader.read(JSON_AT_MOST + 1)
            reader.verify()
        return data

    def path(self, digest: str) -> Path:
        return self.place / "blobs" / digests.check(digest).replace(":", "/")

    def blob(self, descriptor: dict) -> AbstractContextManager:
        """For reading, in a ``with``; whoever reads it checks the digest. Raises ``OSError``."""
        return open_regular(self.path(descriptor["digest"]))

    def put(self, descriptor: dict, file) -> None:
        """Keep a blob, unless it is there."""
        if not self.path(descriptor["digest"]).exists():
            self.write(self.path(descriptor["digest"]), iter(lambda: file.read(1 << 20), b""))

    def write(self, path: Path, pieces) -> None:
        """A file whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.place / f".{state.new_id()}"
        try:
            with open(draft, "xb") as out:
                for piece in pieces:
                    out.write(piece)
            os.rename(draft, path)
        finally:
            draft.unlink(missing_ok=True)

    def stop(self) -> None:
        """Nobody waits for a folder."""

    def put_manifest(self, data: bytes) -> None:
        """Let the layout hold this manifest, instead of the one before."""
        entry = {"mediaType": image.MANIFEST, "digest": digests.of(data), "size": len(data)}
        self.write(self.path(entry["digest"]), [data])
        self.write(self.place / "oci-layout", [b'{"imageLayoutVersion":"1.0.0"}'])
        self.write(self.place / "index.json", [json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()])


class Tag:
    """A tag in a registry. Raises ``RegistryError``."""

    def __init__(self, text: str, actions: str):
        from lib.registry.transfer import shelf, silent  # who only builds needs no HTTP

        self.reference = references.parse(text)
        if self.reference.digest:
            raise ImageError(f"{text}: a cache needs a tag, a digest never changes")
        self.source = f"tag {self.reference}"
        self.repository = shelf(self.reference, silent, insecure=False, actions=actions)
        self.stop = self.repository.registry.transport.abort

    def manifest(self) -> bytes:
        return self.repository.manifest(self.reference.tag, (image.MANIFEST,))[0]

    def blob(self, descriptor: dict) -> AbstractContextManager:
        return self.repository.blob(descriptor["digest"], descriptor["size"])

    def put(self, descriptor: dict, file) -> None:
        from lib.registry import Upload

        if not self.repository.has_blob(descriptor["digest"]):
            Upload(self.repository, file, descriptor["digest"], descriptor["size"]).run()

    def put_manifest(self, data: bytes) -> None:
        self.repository.put_manifest(self.reference.tag, data, image.MANIFEST)


def to_read(text: str) -> Folder | Tag:
    """What ``--cache-from`` names. Raises ``ImageError``."""
    return opened(text, "--cache-from", ("src", "source"), lambda name: Tag(name, "pull"))


def to_write(text: str) -> Folder | Tag:
    """What ``--cache-to`` names. Raises ``ImageError``."""
    return opened(text, "--cache-to", ("dest",), lambda name: Tag(name, "pull,push"))


def opened(text: str, flag: str, names: tuple[str, ...], tag: Callable[[str], Tag]) -> Folder | Tag:
    """A text without ``=`` is a name in a registry."""
    given = dict(word.partition("=")[::2] for word in text.split(",")) if "=" in text else {"type": "registry", "ref": text}
    folder = next((given[name] for name in names if given.get(name)), None)
    if given.get("type") == "local" and folder:
        return Folder(folder)
    if given.get("type") == "registry" and given.get("ref"):
        return tag(given["ref"])
    raise ImageError(f"{flag} {text!r} is not a cache: type=local,{names[0]}=FOLDER, or type=registry,ref=NAME:TAG")
