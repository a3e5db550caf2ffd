"""What a container's image is called in a list: as it was typed, unless that name means another image by now, or none.

Only the index and the manifests are read, and only for names that are asked for: a list of containers needs nothing that unpacks images.
"""

from __future__ import annotations

from functools import cache

from lib.images import image, references
from lib.images.digests import short
from lib.images.store import JSON_AT_MOST, Store
from lib.visible import Visible


class ImageNames:
    """The names in a store."""

    def __init__(self, store: Store):
        self.store, self.names = store, store.names()
        self.meant = cache(self.meant)  # a hundred containers may have one image

    def shown(self, facts: dict, full: bool = False) -> str:
        typed, ident = facts["image_name"], facts["image"]
        digits = typed.removeprefix("sha256:")
        if ident.removeprefix("sha256:").startswith(digits) and not self.meant(typed):
            return typed if full or len(digits) < 12 else short(ident)
        if ident not in self.meant(typed):
            return ident if full else short(ident)
        return typed if full else familiar(typed)

    def meant(self, typed: str) -> set[str]:
        """The ids of the images that a name stands for now: its own, or else that of its stand-in on this machine."""
        from lib.engine.naming import shortnames

        try:
            wanted = references.parse(typed)
            own = [one for name, one in self.names.items() if name == str(wanted) or wanted.digest == one["digest"]]
            other = self.names.get(str(references.parse(shortnames.stand_in(typed) or typed)))
            return {self.ident(one["digest"]) for one in own or filter(None, [other])}
        except Visible:
            return set()

    def ident(self, digest: str) -> str:
        """What the manifest says, not hashed: it is looked at for a name only, and what hashes takes as long to load as a hundred lines."""
        with self.store.open(digest) as file:
            return image.manifest(file.read(JSON_AT_MOST + 1), digest)["config"]["digest"]


def familiar(typed: str) -> str:
    """Without the Hub, and without a digest: that is for ``--no-trunc``."""
    name, _, _ = typed.partition("@")
    tagged = ":" in name.rpartition("/")[2]
    wanted = references.parse(name)
    return (wanted if tagged else wanted._replace(tag=None)).familiar
