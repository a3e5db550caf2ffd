"""The images of this machine by name and by id: what ``images``, ``tag``, ``rmi`` and ``history`` work on."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property

from lib import state
from lib.images import digests, image, references
from lib.images.chains import Chains
from lib.images.digests import ImageError
from lib.images.image import Image
from lib.images.store import Store, StoreError
from lib.state import events, kept

REPO_DIGEST = "org.suitcase.repo.digest"  # what a registry called it: name@digest


class Busy(Exception):
    """Somebody is adding something."""


def give_up() -> None:
    raise Busy


class Library:
    """A store, its unpacked layers, and the names of its images."""

    def __init__(self, store: Store):
        self.store = store

    @cached_property
    def chains(self) -> Chains:
        return Chains(self.store)

    def images(self) -> list[Image]:
        """Every image, the newest first; one with several names once, one that lost its name too."""
        named: dict[str, list[str]] = {}
        found = {one["digest"]: one for one in self.store.index()}
        for name, descriptor in self.store.names().items():
            named.setdefault(descriptor["digest"], []).append(name)
        loaded = [image.load(self.store, one, tuple(named.get(digest, ()))) for digest, one in found.items()]
        return sorted(loaded, key=lambda one: str(one.config.get("created", "")), reverse=True)

    def find(self, text: str) -> Image:
        """An image by a name, a digest, an id, or the beginning of an id. Raises ``StoreError``.

        Names come first: whoever makes an image can have its id begin as somebody else's is called (feed, cafe, 2048).
        """
        names = self.store.names()
        if found := self.by_name(text, names):
            return found
        if re.fullmatch(r"(sha(256|512):)?[a-f0-9]{4,128}", text) and (hits := self.by_id(text.rpartition(":")[2])):
            if len(hits) > 1:
                raise StoreError(f"{text!r} begins {len(hits)} images' ids: {', '.join(digests.short(one.id) for one in hits)}")
            return hits[0]
        raise StoreError(f"No such image: {text}{self.meant(references.parse(text), names)}")

    def by_name(self, text: str, names: dict[str, dict]) -> Image | None:
        try:
            wanted = references.parse(text)
        except references.BadReference:
            return None
        for name, descriptor in names.items():
            if name == str(wanted) or (wanted.digest and wanted.digest == descriptor["digest"]):
                same = tuple(other for other, one in names.items() if one["digest"] == descriptor["digest"])
                return image.load(self.store, descriptor, same)
        return None

    def by_id(self, beginning: str) -> list[Image]:
        """One for each id: the same image, pulled and loaded, has two manifests."""
        return list({one.id: one for one in self.images() if one.id.partition(":")[2].startswith(beginning)}.values())

    @staticmethod
    def meant(wanted, names: dict) -> str:
        """Other tags of the same repository: the usual mistake."""
        tags = sorted({references.parse(name).tag or "" for name in names if references.parse(name).repository == wanted.repository} - {""})
        return f" (there is {wanted._replace(tag=None, digest=None).familiar} with the tag {', '.join(tags)})" if tags else ""

    def tag(self, source: str, name: str) -> None:
        """``docker tag``: one more label. Raises ``StoreError``."""
        target = references.parse(name)
        if target.digest:
            raise ImageError(f"refusing to create a tag with a digest reference: {name}")
        with self.store.using():  # what is found must still be there when it gets its name
            found = self.find(source)
            self.store.tag(str(target), found.descriptor)
        events.tell("image", "tag", found.id, {"name": target.familiar})

    def remove(
        self, text: str, force: bool = False, in_use: frozenset[str] = frozenset(), busy: Callable[[], object] = lambda: None
    ) -> list[str]:
        """``docker rmi``: take a name away, and with the last name the image. Returns what was done, in Docker's words.

        ``in_use`` are ids of images that containers stand on; ``busy`` is called if the bytes have to stay for the next ``gc``, as
        somebody is adding something: that may take hours. Raises ``StoreError``.
        """
        found = self.find(text)
        by_id = not any(name == text or name == self.canonical(text) for name in found.names)
        if by_id and len(found.names) > 1 and not force:
            raise StoreError(
                f"conflict: unable to delete {digests.short(found.id)} (must be forced) - image is referenced by "
                f"{len(found.names)} names: {', '.join(found.names)}"
            )
        going = list(found.names) if by_id else [self.canonical(text)]
        last = len(going) == len(found.names)
        if last and found.id in in_use and not force:
            raise StoreError(f"conflict: unable to remove {text} - image {digests.short(found.id)} is being used by a container")
        for name in going:
            self.store.untag(name, found.descriptor["digest"])
            events.tell("image", "untag", found.id, {"name": found.id})
        told = [f"Untagged: {references.parse(name).familiar}" for name in going]
        if last and self.store.forget(found.descriptor["digest"]):
            try:
                self.gc(give_up)
            except Busy:
                busy()
            told.append(f"Deleted: {found.id}")
            events.tell("image", "delete", found.id, {"name": found.id})
        return told

    def prune(self, in_use: frozenset[str] = frozenset(), busy: Callable[[], object] | None = None) -> list[str]:
        """``docker image prune``: forget every image without a name that no container stands on; returns their ids.

        ``busy``: see ``Store.locked``.
        """
        going = [one for one in self.images() if not one.names and one.id not in in_use]
        gone = [one.id for one in going if self.store.forget(one.descriptor["digest"])]
        self.gc(busy)
        return gone

    @staticmethod
    def canonical(text: str) -> str:
        try:
            return str(references.parse(text))
        except ImageError:
            return ""

    def folders(self, found: Image) -> list[str]:
        """The image's layers as folders, the lowest first; unpacked now if they are not yet."""
        with self.store.using():
            return self.chains.unpack(found.layers, found.diff_ids)

    def gc(self, busy: Callable[[], object] | None = None) -> int:
        """Remove what no name, no build cache and no running container leads to; returns the bytes of the blobs that went.

        It waits until nobody adds anything; ``busy``: see ``Store.locked``.
        """
        with self.store.alone(busy):
            blobs, chains = self.reachable()
            self.chains.sweep(chains | used_by_containers())
            return self.store.sweep(blobs)

    def reachable(self) -> tuple[set[str], set[str]]:
        """The digests of all blobs, and the chain ids of all layers, that something leads to."""
        from lib.images.cache import Cache  # few need it: it loads what packs layers

        blobs, chains = Cache(self.store).reachable()
        for one in self.images():
            blobs |= {one.descriptor["digest"], one.id, *(layer["digest"] for layer in one.layers)}
            chains |= set(one.chain_ids)
        return blobs, chains


def used_by_containers() -> set[str]:
    """The chains that containers stand on: those that are only being made, and those that live on."""
    return {chain for facts in [*state.records(), *kept.stood_on()] for chain in facts.get("chains", ())}
