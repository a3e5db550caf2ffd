"""The build cache for other machines: what one has built, another need not build again.

What travels is an OCI manifest: its config is the list of cache records, its layers are the records' layers. A record is read at
once, a layer only when a step hits it. The records come from strangers, so each is checked, and each layer must be what its digests say.
Whoever lets others write to the cache that he reads from lets them say what a step makes: no digest helps against that.
So what came from such a cache answers only for builds that name it, too.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable

from lib.build.cachebackends import Folder, Tag, to_read, to_write
from lib.images import ImageError, Record, Store, compression, digests, image
from lib.images.store import JSON_AT_MOST
from lib.registry.pace import Stopping

KIND = "application/vnd.suitcase.build-cache.v1+json"
KEY = re.compile(r"[0-9a-f]{64}")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
TEXT_AT_MOST = 1 << 16  # characters of an instruction
BELOW_AT_MOST = 500  # layers


class CacheError(ImageError):
    """A cache from elsewhere is not what it should be."""


# -- export ---------------------------------------------------------------------------------


def export(text: str, store: Store, records: Iterable[Record], facts: dict[str, str]) -> None:
    """``--cache-to``: write the records, with their layers, to where ``text`` says. Hold ``store.using``.

    Raises ``ImageError``, ``OSError``; the image is built by then.
    """
    depot, found = to_write(text), list(records)
    layers = list({one.layer["descriptor"]["digest"]: one.layer["descriptor"] for one in found if one.layer}.values())
    for one in layers:
        with store.open(one["digest"]) as file:
            depot.put(one, file)
    listing = json.dumps({"records": [data_of(one) for one in found], "facts": facts}, sort_keys=True).encode()
    if len(listing) > JSON_AT_MOST:
        raise CacheError(
            f"--cache-to {text}: {len(found)} steps make a list of {len(listing)} bytes, at most {JSON_AT_MOST} are read again"
        )
    config = {"mediaType": KIND, "digest": store.put(listing), "size": len(listing)}
    with store.open(config["digest"]) as file:
        depot.put(config, file)
    depot.put_manifest(json.dumps({"schemaVersion": 2, "mediaType": image.MANIFEST, "config": config, "layers": layers}).encode())


def data_of(record: Record) -> dict:
    """What another machine needs; not the parts of the key: the values of all variables are among them."""
    return {name: getattr(record, name) for name in ("key", "text", "layer", "below", "created", "seconds")}


# -- import ---------------------------------------------------------------------------------


class Elsewhere:
    """The records of a cache from elsewhere. What is wrong with it is said once; then it is as if it were empty."""

    def __init__(self, text: str, store: Store, warn: Callable[[str], object], stopping: Stopping):
        self.text, self.store, self.warn, self.stopping = text, store, warn, stopping
        self.lock, self.records, self.facts = threading.Lock(), {}, {}
        self.depot = to_read(text)
        self.source = self.depot.source
        stopping.calls(self.depot.stop)
        try:
            self.records, self.facts = read(self.depot)
        except (ImageError, OSError) as error:
            self.give_up(error)

    def find(self, wanted: str) -> Record | None:
        """The record of a key; its layer is here now. Hold ``store.using``."""
        record = self.records.get(wanted)
        try:
            if record and record.layer:
                self.bring(record.layer["descriptor"], record.layer["diff_id"])
        except (ImageError, OSError) as error:
            self.give_up(error)
            return None
        return record

    def bring(self, descriptor: dict, diff_id: str) -> None:
        """Fetch the layer's blob if it is not here; both of its digests must be right."""
        digest, size = descriptor["digest"], descriptor["size"]
        if not self.store.has(digest):
            with self.depot.blob(descriptor) as source, self.store.draft(digest, size) as draft:
                while data := source.read(1 << 20):
                    draft.write(data)
                draft.commit()
        if (found := self.store.path(digest).stat().st_size) != size:  # it was here already
            raise CacheError(f"layer {digest} has {found} bytes, the cache says {size}")
        with self.store.open(digest) as file:
            plain = digests.Hashed(
                compression.unpacked(compression.Until(file, self.stopping)), diff_id, 2 * compression.limit(), f"layer {digest}, unpacked,"
            )
            plain.drain()
            plain.verify()

    def give_up(self, error: Exception) -> None:
        with self.lock:
            if not self.text:
                return
            self.warn(f"--cache-from {self.text} is left out: {error}")
            self.text, self.records, self.facts = "", {}, {}


def read(depot: Folder | Tag) -> tuple[dict[str, Record], dict[str, str]]:
    """Records and facts by their keys, all of them checked. Raises ``ImageError``, ``OSError``."""
    manifest = image.document(depot.manifest(), "the cache's manifest")
    about = image.descriptor(manifest.get("config"), "the cache's config")
    if about.get("mediaType") != KIND:
        raise CacheError(f"its config is of the type {str(about.get('mediaType'))[:100]!r}: this is not a build cache that suitcase wrote")
    with depot.blob(about) as file:
        reader = digests.Hashed(file, about["digest"], JSON_AT_MOST, "the cache's config")
        data = b"".join(iter(lambda: reader.read(1 << 16), b""))
        reader.verify()
    found = image.document(data, "the cache's config")
    records = [checked(one) for one in image.items(found, "records", "the cache's config")]
    facts = image.items(found, "facts", "the cache's config", dict)
    if not all(KEY.fullmatch(name) and isinstance(value, str) and KEY.fullmatch(value) for name, value in facts.items()):
        raise CacheError("the cache's facts are not digests")
    return {one.key: one for one in records}, facts


def checked(found: object) -> Record:
    """A record from a stranger. Raises ``ImageError``."""
    if not isinstance(found, dict) or not matches(KEY, found.get("key")) or not matches(MOMENT, found.get("created")):
        raise CacheError("a record in the cache has no key, or no time")
    text, below, seconds = found.get("text"), found.get("below"), found.get("seconds")
    if not isinstance(text, str) or len(text) > TEXT_AT_MOST or not isinstance(seconds, int | float) or not 0 <= seconds < 1 << 31:
        raise CacheError(f"the cache's record {found['key'][:12]} does not say what it is of")
    if not isinstance(below, list) or len(below) > BELOW_AT_MOST:
        raise CacheError(f"the cache's record {found['key'][:12]} does not say what it stands on")
    for one in below:
        digests.check(one)
    return Record(found["key"], text, {}, layer_of(found.get("layer")), below, found["created"], float(seconds))


def layer_of(found: object) -> dict | None:
    if found is None:
        return None
    what = "a layer in the cache"
    descriptor = image.descriptor(image.items(found, "descriptor", what, dict) if isinstance(found, dict) else None, what)
    if descriptor.get("mediaType") not in compression.MEDIA_TYPES.values() or descriptor["size"] > compression.limit():
        raise CacheError(f"{what} is of the type {str(descriptor.get('mediaType'))[:100]!r} and has {descriptor['size']} bytes: refused")
    plain = {name: descriptor[name] for name in ("mediaType", "digest", "size")}
    return {"descriptor": plain, "diff_id": digests.check(found.get("diff_id"))}


def matches(expression: re.Pattern, value: object) -> bool:
    return isinstance(value, str) and expression.fullmatch(value) is not None
