"""Pull: from a name to a manifest, from the manifest to a config and layers, and each layer unpacked on those below it."""

from __future__ import annotations

import shutil

from lib.images import Image, ImageError, Library, ManifestError, Reference, Store, StoreError, compression, digests, image
from lib.images.library import REPO_DIGEST
from lib.images.store import JSON_AT_MOST
from lib.registry.blobsources import Origins
from lib.registry.downloads import Downloads, Tell
from lib.registry.pace import Stopping
from lib.registry.repository import Repository
from lib.registry.transport import RegistryError

ACCEPT = (image.MANIFEST, image.DOCKER_MANIFEST, image.INDEX, image.DOCKER_LIST)
VAGUE = ("", "application/json", "text/plain", "application/octet-stream")  # a registry that does not say what it sends


class Pull:
    """One image on its way here. ``platform``: as ``image.choose`` takes it, None for this machine's."""

    def __init__(
        self,
        library: Library,
        repository: Repository,
        reference: Reference,
        platform: dict[str, str] | None,
        tell: Tell,
        stopping: Stopping | None = None,
    ):
        self.library, self.store, self.repository = library, library.store, repository
        self.reference, self.platform, self.tell = reference, platform, tell
        self.registry = repository.registry.name
        self.stopping = stopping or Stopping()
        self.stopping.calls(repository.registry.transport.abort)

    def run(self) -> Image:
        """Nothing has a name before everything is here. Raises ``ImageError``."""
        with self.store.using():
            descriptor, data, top = self.resolve()
            manifest = image.manifest(data, descriptor["digest"])
            self.check_sizes([manifest["config"], *image.items(manifest, "layers", "the manifest")])
            config = self.config(manifest)
            self.layers(manifest.get("layers") or [], config["rootfs"]["diff_ids"])
            keep(self.store, descriptor, data)
            name = str(self.reference)
            repo_digest = str(self.reference._replace(tag=None, digest=top))
            self.store.tag(name, descriptor, **{REPO_DIGEST: repo_digest})
            self.remember(manifest)
        self.tell("Digest", top)
        return image.load(self.store, descriptor, (name,))

    # -- documents

    def resolve(self) -> tuple[dict, bytes, str]:
        """The image's manifest: its descriptor, its bytes, and the digest of what the name points to (an index, perhaps)."""
        wanted = self.reference.digest or self.reference.tag
        data, kind, top = self.repository.manifest(wanted, ACCEPT)
        kind = kind_of(data, kind, wanted)
        if kind not in (image.INDEX, image.DOCKER_LIST):
            return {"mediaType": kind, "digest": top, "size": len(data)}, data, top
        index = image.document(data, f"index {top}")
        chosen = image.choose(index, self.platform, f"{self.reference.familiar}", self.config_of)
        data, kind, digest = self.repository.manifest(chosen["digest"], ACCEPT)
        if kind_of(data, kind, digest) in (image.INDEX, image.DOCKER_LIST):
            raise ManifestError(f"index {top} leads to another index, {digest}: an image was expected there")
        if len(data) != chosen["size"]:
            raise ManifestError(f"manifest {digest} has {len(data)} bytes, the index announces {chosen['size']}")
        return {"mediaType": kind_of(data, kind, digest), "digest": digest, "size": len(data)}, data, top

    def config_of(self, entry: dict) -> dict:
        """The config of an entry of an index that does not say what it is for."""
        data, _, digest = self.repository.manifest(entry["digest"], ACCEPT)
        found = image.manifest(data, digest)
        self.check_sizes([found["config"]])
        return self.load_config(found)

    def load_config(self, manifest: dict) -> dict:
        """How a container of it starts, and what its layers are."""
        about = manifest["config"]
        if about.get("mediaType", image.CONFIG) not in image.CONFIGS:
            kind = str(about.get("mediaType"))[:100]
            raise ManifestError(f"{self.reference.familiar} is no container image: its config is of the type {kind!r}")
        if not self.store.has(about["digest"]):
            with Downloads(self.store, self.repository, lambda *words: None) as downloads:
                downloads.start([about])
                downloads.finish()
        return image.config(self.store.get(about["digest"]), f"config {about['digest']}", len(manifest.get("layers") or []))

    def config(self, manifest: dict) -> dict:
        """The same for the image itself, which must be for the platform that was asked for."""
        config = self.load_config(manifest)
        wanted = self.platform or image.here()
        if not image.suits(image.platform_of(config), wanted):
            words = f"it is for {image.platform_name(config)}, and {image.platform_name(wanted)} was asked for"
            if self.platform:
                raise ManifestError(f"image {self.reference.familiar}: {words}")
            self.tell("Warning", f"{words}: its programs may not run here")
        return config

    def check_sizes(self, wanted: list[dict]) -> None:
        """What is announced must be sensible, and fit on the disk."""
        if wanted[0]["size"] > JSON_AT_MOST:
            raise ManifestError(f"the config of {self.reference.familiar} has {wanted[0]['size']} bytes: at most {JSON_AT_MOST} are taken")
        largest = max(wanted, key=lambda one: one["size"])
        if largest["size"] > compression.limit():
            words = f"layer {largest['digest']} has {largest['size']} bytes: at most {compression.limit()} are taken"
            raise ManifestError(f"{words}; SUITCASE_LAYER_LIMIT allows more")
        coming = sum(size for digest, size in {one["digest"]: one["size"] for one in wanted}.items() if not self.store.has(digest))
        free = shutil.disk_usage(self.store.place).free
        if coming > free:
            room = f"{coming / 1e9:.1f} GB are to come, {free / 1e9:.1f} GB are free in {self.store.place}"
            raise StoreError(f"{self.reference.familiar}: {room}. suitcase image prune makes room")

    # -- layers

    def layers(self, layers: list[dict], diff_ids: list[str]) -> None:
        """Unpacking begins with the first layer that is here, while others are still on the way."""
        with Downloads(self.store, self.repository, self.tell) as downloads:
            self.stopping.calls(downloads.stop)
            downloads.start(layers)

            def ready(one: dict) -> None:
                downloads.wait(one)
                self.tell("Extracting", digests.short(one["digest"]))

            def told(one: dict) -> None:
                self.tell("Pull complete", digests.short(one["digest"]))

            try:
                self.library.chains.unpack(layers, diff_ids, told, ready, downloads.stopping)
                downloads.finish()
            except ImageError as error:
                raise self.explained(downloads.first or error, layers) from None

    def explained(self, error: BaseException, layers: list[dict]) -> BaseException:
        """Some layers a registry may not even keep."""
        if isinstance(error, RegistryError) and error.status == 404 and any(image.foreign(one) for one in layers):
            return RegistryError(f"{error}. Its licence forbids to keep that layer in a registry: only its maker has it")
        return error

    def remember(self, manifest: dict) -> None:
        blobs = [one["digest"] for one in [manifest["config"], *(manifest.get("layers") or [])]]
        Origins(self.store).add(blobs, self.registry, self.repository.name)


def keep(store: Store, descriptor: dict, data: bytes) -> None:
    """Put a manifest into the store, under the digest that it came by."""
    if not store.has(descriptor["digest"]):
        with store.draft(descriptor["digest"], descriptor["size"]) as draft:
            draft.write(data)
            draft.commit()


def kind_of(data: bytes, kind: str, reference: str) -> str:
    """The media type: the registry's word and the document's own must agree. Raises ``ManifestError``.

    A manifest that is read as another kind of document means something else: that is why both say it.
    """
    found = image.document(data, f"manifest {reference}")
    own = found.get("mediaType")
    if found.get("schemaVersion") == 1 or "prettyjws" in kind:
        image.manifest(data, reference)  # says what is wrong with it
    if kind in VAGUE:
        kind = own if isinstance(own, str) else image.INDEX if "manifests" in found else image.MANIFEST
    if own not in (None, kind) or kind not in ACCEPT:
        words = f"it came as {kind[:80]!r}" + (f" and says that it is {str(own)[:80]!r}" if own not in (None, kind) else "")
        raise ManifestError(f"manifest {reference}: {words}: that is no image")
    return kind
