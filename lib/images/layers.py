"""A folder becomes a layer: packed into a blob, and unpacked already, as the folder itself is what overlay needs."""

from __future__ import annotations

import os
from dataclasses import dataclass

from lib.images import compression, digests
from lib.images.chains import Chains, Place
from lib.images.overlays import walk
from lib.images.sourcedate import epoch
from lib.images.store import Draft, Store

DOCKERS_PLAIN = "application/vnd.docker.image.rootfs.diff.tar"
DOCKERS_PACKED = DOCKERS_PLAIN + ".gzip"


@dataclass(frozen=True)
class Layer:
    """A packed layer: its descriptor (of the blob), and the digest of what is in it, unpacked."""

    descriptor: dict
    diff_id: str

    def data(self) -> dict:
        return {"descriptor": self.descriptor, "diff_id": self.diff_id}


class Sink:
    """Where a tar file is written to: hashed as it is (the diff_id), packed, and into the store."""

    def __init__(self, draft: Draft, kind: str):
        self.draft, self.packer, self.hash = draft, compression.packer(kind), digests.new()

    def write(self, data: bytes) -> int:
        self.hash.update(data)
        if packed := self.packer.compress(data):
            self.draft.write(packed)
        return len(data)

    def commit(self) -> tuple[str, int]:
        if packed := self.packer.flush():
            self.draft.write(packed)
        return self.draft.commit(), self.draft.written


def write(store: Store, fill, kind: str = "gzip") -> Layer:
    """A layer of what ``fill`` writes to the sink that it is given. Hold ``store.using``."""
    with store.draft() as draft:
        sink = Sink(draft, kind)
        fill(sink)
        digest, size = sink.commit()
    return Layer({"mediaType": compression.MEDIA_TYPES[kind], "digest": digest, "size": size}, f"sha256:{sink.hash.hexdigest()}")


def packed(store: Store, plain: dict) -> dict:
    """The descriptor of a layer's blob, packed; ``plain`` is that of the blob as it is. Hold ``store.using``."""

    def fill(sink: Sink) -> None:
        with store.open(plain["digest"]) as file:
            while data := file.read(1 << 18):
                sink.write(data)

    kind = DOCKERS_PACKED if plain["mediaType"] == DOCKERS_PLAIN else compression.MEDIA_TYPES["gzip"]
    return {**plain, **write(store, fill).descriptor, "mediaType": kind}


def from_folder(store: Store, folder: str, kind: str = "gzip", stopping=None, **how: bool) -> Layer:
    """Pack ``folder``; no time in the layer is later than ``SOURCE_DATE_EPOCH``, where that is set. Hold ``store.using``."""
    from lib.images.pack import pack

    def fill(sink: Sink) -> None:
        pack(folder, compression.Until(sink, stopping) if stopping else sink, epoch(), **how)

    return write(store, fill, kind)


def clamp(folder: str, latest: int) -> None:
    """No time in the folder later than ``latest`` seconds: what is unpacked must be what is packed."""
    for _, place, about in reversed(list(walk(folder))):
        if about.st_mtime > latest:
            place.call(os.utime, ns=(latest * 10**9, latest * 10**9), follow_symlinks=False)


def adopt(chains: Chains, place: Place, below: list[str], kind: str = "gzip") -> tuple[Layer, str]:
    """Make a folder of changes the layer on top of the chain ``below`` (diff_ids): pack it, and publish it as unpacked."""
    if (latest := epoch()) is not None:
        clamp(place.path, latest)
    layer = from_folder(chains.store, place.path, kind, chains.stopping)
    chains.note(layer.descriptor["digest"], layer.diff_id).touch()
    chain_id = digests.chain_ids([*below, layer.diff_id])[-1]
    return layer, place.publish(chain_id)
