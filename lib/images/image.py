"""An image is three documents and some tar files: an index names manifests, a manifest names a config and layers.

See the OCI image specification: image-index.md, manifest.md, config.md. Docker's own older words (schema 2) mean the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NamedTuple

from lib import processor
from lib.images import digests
from lib.images.digests import ImageError
from lib.images.store import JSON_AT_MOST, Store

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker."
MANIFEST, INDEX, CONFIG = OCI + "manifest.v1+json", OCI + "index.v1+json", OCI + "config.v1+json"
DOCKER_MANIFEST, DOCKER_LIST = DOCKER + "distribution.manifest.v2+json", DOCKER + "distribution.manifest.list.v2+json"
CONFIGS = (CONFIG, DOCKER + "container.image.v1+json")
LAYERS = {
    **{OCI + f"layer.v1.tar{suffix}": kind for suffix, kind in (("", "none"), ("+gzip", "gzip"), ("+zstd", "zstd"))},
    **{OCI + f"layer.nondistributable.v1.tar{suffix}": kind for suffix, kind in (("", "none"), ("+gzip", "gzip"), ("+zstd", "zstd"))},
    DOCKER + "image.rootfs.diff.tar.gzip": "gzip",
    DOCKER + "image.rootfs.foreign.diff.tar.gzip": "gzip",
    DOCKER + "image.rootfs.diff.tar": "none",
    DOCKER + "image.rootfs.diff.tar.zstd": "zstd",
}
LAYERS_AT_MOST = 500  # overlay takes no more
LOOKED_AT = 32  # entries of an index that do not say what they are for, and whose configs are read therefore


class ManifestError(ImageError):
    """A manifest, index or config is not what the specification says."""


def here() -> dict[str, str]:
    """This machine, in the words of an image index (Go's GOOS and GOARCH)."""
    return {"os": "linux", "architecture": processor.architecture()}


def parsed(data: bytes) -> object:
    """JSON from a stranger, in UTF-8. Raises ``ValueError``, ``RecursionError``.

    Half of a character can neither be shown nor written again: Python would take it written as \\ud800, and (from bytes) as it is, too.
    """
    text = data.decode()
    found = json.loads(text)
    if "\\u" in text:
        json.dumps(found, ensure_ascii=False).encode()
    return found


def document(data: bytes, what: str) -> dict:
    """A JSON object from a stranger. Raises ``ManifestError``."""
    if len(data) > JSON_AT_MOST:
        raise ManifestError(f"{what} has {len(data)} bytes: at most {JSON_AT_MOST} are taken")
    try:
        found = parsed(data)
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{what} is not valid JSON: {str(error)[:200]}") from None
    if not isinstance(found, dict):
        raise ManifestError(f"{what} is a JSON {type(found).__name__}, not an object")
    return found


def descriptor(value: object, what: str) -> dict:
    """A reference to a content: type, digest, size. Raises ``ManifestError``."""
    if not isinstance(value, dict) or not isinstance(value.get("mediaType", ""), str):
        raise ManifestError(f"{what} is not a descriptor")
    if not isinstance(value.get("size"), int) or isinstance(value["size"], bool) or not 0 <= value["size"] < 1 << 50:
        raise ManifestError(f"{what} has no valid size: {str(value.get('size'))[:30]}")
    digests.check(value.get("digest"))
    return value


def items(document: dict, key: str, what: str, kind: type = list) -> list | dict:
    """A part of a document that must be a list (or an object); null counts as empty, as Go writes it so. Raises ``ManifestError``."""
    found = document.get(key)
    if found is None:
        return kind()
    if not isinstance(found, kind):
        raise ManifestError(f"{what}: {key!r} is a {type(found).__name__}, not a {kind.__name__}")
    return found


def manifest(data: bytes, digest: str) -> dict:
    """A manifest, checked. Raises ``ManifestError``, also for an index and for Docker's first schema."""
    what = f"manifest {digest}"
    found = document(data, what)
    if found.get("schemaVersion") == 1:
        raise ManifestError(f"{what} is of Docker's schema 1, which nobody makes any more: rebuild the image")
    kind = found.get("mediaType", MANIFEST)
    if kind not in (MANIFEST, DOCKER_MANIFEST) or "manifests" in found:
        raise ManifestError(f"{what} says that it is {str(kind)[:100]!r}, or holds 'manifests': it is not an image manifest")
    descriptor(found.get("config"), f"{what}: config")
    layers = [descriptor(one, f"{what}: layer {number}") for number, one in enumerate(items(found, "layers", what))]
    if len(layers) > LAYERS_AT_MOST:
        raise ManifestError(f"{what} has {len(layers)} layers: overlay takes {LAYERS_AT_MOST}")
    for one in layers:
        if one.get("mediaType") not in LAYERS:
            kind = str(one.get("mediaType"))[:100]
            raise ManifestError(f"{what}: a layer of the type {kind!r} is not a file system, so this is not a container image")
    return found


def foreign(layer: dict) -> bool:
    """A layer that nobody but its maker may hand out. See layer.md, "Non-Distributable Layers"."""
    return any(word in layer["mediaType"] for word in ("layer.nondistributable.", "rootfs.foreign."))


def config(data: bytes, what: str, layers: int) -> dict:
    """A config, checked: one diff_id for each of the ``layers``. Raises ``ManifestError``."""
    found = document(data, what)
    ids = items(items(found, "rootfs", what, dict), "diff_ids", what)
    if len(ids) != layers:
        raise ManifestError(f"{what} names {len(ids)} layers, the manifest {layers}")
    for one in ids:
        digests.check(one)
    inner = items(found, "config", what, dict)
    for key in ("Env", "Cmd", "Entrypoint", "OnBuild", "Shell"):
        if not all(is_word(word) for word in items(inner, key, what)):
            raise ManifestError(f"{what}: {key} is not a list of words")
    for key in ("Labels", "Volumes", "ExposedPorts"):
        items(inner, key, what, dict)
    for key in ("User", "WorkingDir", "StopSignal"):
        if not is_word(inner.get(key) or ""):
            raise ManifestError(f"{what}: {key} is not a word")
    if not all(isinstance(one, dict) for one in items(found, "history", what)):
        raise ManifestError(f"{what}: history is not a list of objects")
    return found


def is_word(value: object) -> bool:
    """Something that the kernel can take: for it a text ends at a NUL character."""
    return isinstance(value, str) and "\0" not in value


def choose(
    index: dict, wanted: dict[str, str] | None = None, what: str = "the index", config: Callable[[dict], dict] = lambda entry: {}
) -> dict:
    """The descriptor of the manifest for a platform, by default this machine's. Raises ``ManifestError``, naming what there is.

    Of the variants that the processor can do, the highest is taken. An entry may leave out what it is for: then its ``config``
    tells, if nothing else fits.
    """
    wanted = wanted or here()
    offers = [(descriptor(one, what), platform_of(items(one, "platform", what, dict))) for one in items(index, "manifests", what)]
    ranked = [(rank, one) for one, place in offers if (rank := fits(place, wanted)) is not None]
    if ranked:
        return max(ranked, key=lambda pair: pair[0])[1]
    found = [place for _, place in offers if "architecture" in place]
    for one in [one for one, place in offers if "architecture" not in place][:LOOKED_AT]:
        try:
            place = platform_of(config(one))
        except ManifestError:
            continue  # no image at all
        if fits({**wanted, **place}, wanted) is not None:
            return one
        found.append(place)
    there = sorted({name for place in found if "unknown" not in (name := platform_name(place)) and name})
    raise ManifestError(f"{what} has nothing for {platform_name(wanted)}; it has {', '.join(there)[:300] or 'no platform at all'}")


def fits(place: dict, wanted: dict[str, str]) -> int | None:
    """How well a platform fits the one that is wanted, the higher the better; None: not at all."""
    if any(place.get(key) != wanted[key] for key in ("os", "architecture")):
        return None
    kind, variant = wanted["architecture"], place.get("variant", "")
    if "variant" not in wanted:
        return processor.rank(kind, variant)
    asked = wanted["variant"]
    return 0 if variant == asked or processor.number(kind, variant) == processor.number(kind, asked) is not None else None


def suits(place: dict[str, str], wanted: dict[str, str]) -> bool:
    """Is something for the platform, as far as it says what it is for? The variant counts only where one is asked for."""
    there = {**wanted, **place}
    return fits({key: there[key] for key in wanted}, wanted) is not None


def platform_of(config: dict) -> dict[str, str]:
    """What the programs of an image run on, as far as its config (or an entry of an index) says so; empty words say nothing."""
    return {key: value for key in ("os", "architecture", "variant") if isinstance(value := config.get(key), str) and value}


def platform_name(words: dict) -> str:
    return "/".join(str(words[key]) for key in ("os", "architecture", "variant") if words.get(key))


def parse_platform(text: str) -> dict[str, str]:
    """``linux/arm64/v8`` as an index has it. Raises ``ManifestError``."""
    words = text.split("/")
    if not 1 <= len(words) <= 3 or not all(words):
        raise ManifestError(f"platform {text!r}: os/architecture, for example linux/arm64")
    found = dict(zip(("os", "architecture", "variant"), words if len(words) > 1 else ["linux", *words], strict=False))
    return found | {"architecture": processor.SAME.get(found["architecture"], found["architecture"])}


class Image(NamedTuple):
    """An image in the store: its manifest's descriptor, and the documents that it leads to."""

    descriptor: dict
    manifest: dict
    config: dict
    names: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """What Docker shows as the image's id: the digest of the config, which names every layer."""
        return self.manifest["config"]["digest"]

    @property
    def layers(self) -> list[dict]:
        return self.manifest.get("layers") or []

    @property
    def diff_ids(self) -> list[str]:
        return (self.config.get("rootfs") or {}).get("diff_ids") or []

    @property
    def chain_ids(self) -> list[str]:
        return digests.chain_ids(self.diff_ids)

    @property
    def platform(self) -> dict[str, str]:
        return platform_of(self.config)

    @property
    def runtime(self) -> dict:
        """How a container of it starts: Env, Cmd, Entrypoint, User, WorkingDir …"""
        return self.config.get("config") or {}

    @property
    def size(self) -> int:
        """Bytes of its layers as they lie in the store, packed."""
        return sum(one["size"] for one in self.layers)

    @property
    def history(self) -> list[dict]:
        return self.config.get("history") or []


def load(store: Store, descriptor: dict, names: tuple[str, ...] = ()) -> Image:
    """Read an image's documents from the store, verified. Raises ``ImageError``."""
    found = manifest(store.get(descriptor["digest"]), descriptor["digest"])
    about = found["config"]
    return Image(descriptor, found, config(store.get(about["digest"]), f"config {about['digest']}", len(found.get("layers") or [])), names)


def save(store: Store, config: dict, layers: list[dict], annotations: dict[str, str] | None = None) -> Image:
    """Write config and manifest of a new image; its layers are in the store already. It has no name yet.

    Raises ``ImageError`` for one that grew too large.
    """
    about = store.put_json(config, CONFIG)
    found = {"schemaVersion": 2, "mediaType": MANIFEST, "config": about, "layers": layers}
    if annotations:
        found["annotations"] = annotations
    return load(store, store.put_json(found, MANIFEST))  # what we could not read again must never get a name
