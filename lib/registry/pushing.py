"""Push: what the registry has is left out, what it has elsewhere is mounted, the rest is sent; the manifest goes last.

So a registry never holds a manifest whose layers are missing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed

from lib.images import Image, Library, Reference, Stopped, digests, image
from lib.images.layers import packed
from lib.images.library import REPO_DIGEST
from lib.registry.blobsources import Origins
from lib.registry.downloads import Tell
from lib.registry.repository import Repository
from lib.registry.transport import RegistryError
from lib.registry.uploads import Upload
from lib.shield import Shield

AT_ONCE = 5  # as Docker


class Push:
    """One image on its way to a registry, under a name that it has here."""

    def __init__(self, library: Library, repository: Repository, reference: Reference, tell: Tell):
        self.library, self.store, self.repository = library, library.store, repository
        self.reference, self.tell = reference, tell
        self.stopping = threading.Event()
        self.registry, self.origins = repository.registry.name, Origins(library.store)

    def run(self, found: Image) -> str:
        """The digest that the registry knows it by. Raises ``RegistryError``."""
        with self.store.using():
            found = self.packed(found)
            blobs = list({one["digest"]: one for one in found.layers if self.may_go(one)}.values())
            for one in blobs:
                self.tell("Preparing", digests.short(one["digest"]))
            self.layers(blobs)
            self.blob(found.manifest["config"], lambda done: None)
            data = self.store.get(found.descriptor["digest"])
            kind = found.manifest.get("mediaType") or found.descriptor.get("mediaType") or image.MANIFEST
            digest = self.repository.put_manifest(self.reference.tag or found.descriptor["digest"], data, kind)
            self.origins.add([one["digest"] for one in [found.manifest["config"], *blobs]], self.registry, self.repository.name)
            repo_digest = str(self.reference._replace(tag=None, digest=digest))
            self.store.tag(str(self.reference), found.descriptor, **{REPO_DIGEST: repo_digest})
        self.tell("Digest", digest, len(data), len(data))
        return digest

    def packed(self, found: Image) -> Image:
        """Layers that were never packed (of an archive, of a root file system) travel packed, as Docker sends them.

        Here the image is known so from now on, too, by all its names. Not one that came from a registry: that has its digest there.
        """
        named = [one for one in self.store.index() if one["digest"] == found.descriptor["digest"]]
        plain = [image.LAYERS[one["mediaType"]] == "none" and not image.foreign(one) for one in found.layers]
        if not any(plain) or any(REPO_DIGEST in one.get("annotations", {}) for one in named):
            return found
        layers = [packed(self.store, one) if still else one for one, still in zip(found.layers, plain, strict=True)]
        kind = found.manifest.get("mediaType") or image.MANIFEST
        descriptor = self.store.put_json({**found.manifest, "layers": layers}, kind)
        for name in found.names:
            self.store.tag(name, descriptor)
        return image.load(self.store, descriptor, found.names)

    def may_go(self, one: dict) -> bool:
        """Some layers may be kept by nobody but their maker (image-spec, layer.md, "Non-Distributable Layers")."""
        if not image.foreign(one):
            return True
        self.tell("Skipped foreign layer", digests.short(one["digest"]))
        return False

    def layers(self, blobs: list[dict]) -> None:
        """Side by side; an error of one, or an interrupt, stops the others at their next piece."""
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="upload") as pool:
            try:
                with Shield():  # a thread that an interrupt leaves half begun is one that nobody waits for
                    tasks = [pool.submit(self.layer, one) for one in blobs]
                for task in as_completed(tasks):
                    task.result()
            except BaseException:
                self.stopping.set()
                self.repository.registry.transport.abort()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def progress(self, name: str, done: int, size: int) -> None:
        if self.stopping.is_set():
            raise Stopped("the upload was stopped")
        self.tell("Pushing", name, done, size)

    def layer(self, one: dict) -> None:
        name = digests.short(one["digest"])
        word, source = self.blob(one, lambda done: self.progress(name, done, one["size"]))
        self.tell(word, f"{name} {source}".rstrip())

    def blob(self, one: dict, tell: Callable[[int], object]) -> tuple[str, str]:
        """One blob, by the cheapest way that there is: Docker's word for the way, and the repository that it was mounted from."""
        if self.repository.has_blob(one["digest"]):
            return "Layer already exists", ""
        if source := self.mounted(one["digest"]):
            return "Mounted from", source
        with self.store.open(one["digest"]) as file:
            Upload(self.repository, file, one["digest"], one["size"], tell).run()
        return "Pushed", ""

    def mounted(self, digest: str) -> str:
        """The repository that it was mounted from; empty if none would do."""
        for source in self.origins.sources(digest, self.registry, self.repository.name):
            try:
                if self.repository.mount(digest, source):
                    return source
            except RegistryError:  # we may not read there any more, or it is gone
                continue
        return ""
