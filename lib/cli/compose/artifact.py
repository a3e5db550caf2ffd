"""A Compose file in a registry (``oci://…``): an artifact whose layers are files. Brought here, and sent there.

What comes from a registry is a stranger's: its sizes and the names of its files are checked, and nothing of it is a path.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

SCHEME = "oci://"
PROJECT = "application/vnd.docker.compose.project"
FILE, ENV_FILE = "application/vnd.docker.compose.file+yaml", "application/vnd.docker.compose.envfile"
OLD_CONFIG = "application/vnd.docker.compose.config.empty.v1+json"  # says what it is where a registry knows no types of artifacts
PROJECT_FILE = "compose.yaml"
EMPTY = "application/vnd.oci.empty.v1+json"
MANIFEST, INDEX = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"
LABEL = "com.docker.compose"
LARGEST, MOST = 1 << 20, 64  # bytes of a file, and files
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,200}")


class NoArtifact(ValueError):
    """What is there is no project of Compose's, or is not as it should be."""


class Layer(NamedTuple):
    """A file of the project: ``extended`` is one that others name in their ``extends``."""

    kind: str
    name: str
    data: bytes
    extended: bool = False


# -- here ---------------------------------------------------------------------------------------------------------------


def brought(address: str, insecure: Collection[str] = ()) -> str:
    """The file of ``oci://NAME``, laid down in the store. Raises ``NoArtifact``, ``RegistryError``."""
    from lib import state
    from lib.images import references

    reference = references.parse(address.removeprefix(SCHEME))
    repository = shelf(reference, insecure)
    digest, manifest = found(repository, reference.digest or reference.tag or "latest", address)
    place = state.folder("compose") / digest.partition(":")[2]
    layers = [fetched(repository, one, address) for one in layers_of(manifest, address)]
    if not any(one.kind == FILE and not one.extended for one in layers):
        raise NoArtifact(f"{address} has no Compose file in it")
    return laid_down(place, layers)


def shelf(reference, insecure: Collection[str], actions: str = "pull"):
    from lib.registry.client import Registry
    from lib.registry.repository import Repository

    return Repository(Registry(reference.registry, reference.registry in insecure), reference.repository, actions)


def found(repository, which: str, address: str, depth: int = 0) -> tuple[str, dict]:
    """The manifest, or that of an index which is a project's."""
    from lib.images import image

    data, kind, digest = repository.manifest(which, (MANIFEST, INDEX))
    manifest = image.document(data, address)
    if kind == INDEX and depth == 0:
        wanted = [one for one in image.items(manifest, "manifests", address, list) if one.get("artifactType") == PROJECT]
        if not wanted:
            raise NoArtifact(f"{address} is an index without a Compose project in it")
        return found(repository, image.descriptor(wanted[-1], address)["digest"], address, 1)
    config = manifest.get("config")
    if manifest.get("artifactType", PROJECT if isinstance(config, dict) and config.get("mediaType") == OLD_CONFIG else "") != PROJECT:
        raise NoArtifact(f"{address} is not a compose project OCI artifact, but {str(manifest.get('artifactType') or 'an image')[:80]}")
    return digest, manifest


def layers_of(manifest: Mapping, address: str) -> list[dict]:
    from lib.images import image

    layers = [image.descriptor(one, address) for one in image.items(manifest, "layers", address, list)]
    wanted = [one for one in layers if one.get("mediaType") in (FILE, ENV_FILE)]
    if len(wanted) > MOST or any(one["size"] > LARGEST for one in wanted):
        raise NoArtifact(f"{address}: at most {MOST} files of {LARGEST >> 20} MiB each are read")
    return wanted


def fetched(repository, one: dict, address: str) -> Layer:
    from lib.images import image
    from lib.registry.repository import verify

    with repository.blob(one["digest"], one["size"]) as reader:
        data = b"".join(iter(reader.read, b""))
    verify(data, one["digest"], address)
    notes = image.items(one, "annotations", address, dict)
    kind = one["mediaType"]
    name = str(notes.get(f"{LABEL}.file" if kind == FILE else f"{LABEL}.envfile", "compose.yaml" if kind == FILE else ""))
    if not NAME.fullmatch(name):
        raise NoArtifact(f"{address}: {name[:60]!r} is no name of a file beside the project's")
    return Layer(kind, name, data, f"{LABEL}.extends" in notes)


def laid_down(place: Path, layers: Sequence[Layer]) -> str:
    """In a folder by the artifact's digest. Several files that are the project become documents of one, which are laid over each other."""
    from lib import state
    from lib.atomicfile import atomic_file

    state.make_folder(place)
    own = [one.data for one in layers if one.kind == FILE and not one.extended]
    beside = {one.name: one.data for one in layers if one.kind != FILE or one.extended}
    for name, data in {**beside, PROJECT_FILE: b"\n---\n".join(own)}.items():
        with atomic_file(str(place / name)) as file:
            file.write(data)
    return str(place / PROJECT_FILE)


# -- there --------------------------------------------------------------------------------------------------------------


def sent(address: str, layers: Sequence[Layer], insecure: Collection[str] = (), version: str = "", created: str = "") -> str:
    """The artifact's digest. ``version`` is 1.1, or 1.0 for a registry that knows no artifacts. Raises ``RegistryError``."""
    from lib.images import references

    reference = references.parse(address.removeprefix(SCHEME))
    repository = shelf(reference, insecure, "pull,push")
    config = uploaded(repository, b"{}", OLD_CONFIG if version == "1.0" else EMPTY)
    manifest = {
        "schemaVersion": 2, "mediaType": MANIFEST, **({} if version == "1.0" else {"artifactType": PROJECT}), "config": config,
        "layers": [described(repository, one) for one in layers], "annotations": {"org.opencontainers.image.created": created},
    }  # fmt: skip
    return repository.put_manifest(reference.tag or "latest", json.dumps(manifest).encode(), MANIFEST)


def described(repository, one: Layer) -> dict:
    notes = {f"{LABEL}.version": "5", f"{LABEL}.{'file' if one.kind == FILE else 'envfile'}": one.name}
    return uploaded(repository, one.data, one.kind) | {"annotations": notes | ({f"{LABEL}.extends": "true"} if one.extended else {})}


def uploaded(repository, data: bytes, kind: str) -> dict:
    from lib.images import digests
    from lib.registry.uploads import Upload

    digest = digests.of(data)
    if not repository.has_blob(digest):
        Upload(repository, io.BytesIO(data), digest, len(data)).run()
    return {"mediaType": kind, "digest": digest, "size": len(data)}


def beside(folder: str, path: str) -> str:
    """The name of a file that lies beside the project's. Raises ``NoArtifact`` for one that lies elsewhere."""
    name = os.path.relpath(path, folder)
    if not NAME.fullmatch(name):
        raise NoArtifact(f"{path} does not lie beside the Compose file, and an artifact has no folders")
    return name
