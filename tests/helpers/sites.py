"""A place to build at: a store with a base image, a context, and builds of the one in the other."""

from __future__ import annotations

import os
from pathlib import Path

from helpers import layers as make
from lib import state
from lib.build import StepReport, build, plan
from lib.build.builder import Built
from lib.engine.naming import shortnames
from lib.images import Image, Merged


class Site:
    """``base`` is the image that every Dockerfile may begin with: busybox."""

    def __init__(self, top: Path, store: Path | None = None):
        self.top, self.context = top, top / "context"
        self.context.mkdir(parents=True, exist_ok=True)
        self.library = make.library(store or top / "images")
        self.library.store.durable = False
        shortnames.make(self.library, "localhost/busybox:static")
        self.library.tag("localhost/busybox:static", "base")

    def write(self, path: str, content: str | bytes = "", mode: int = 0o644) -> Path:
        place = self.context / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)
        place.chmod(mode)
        return place

    def build(self, text: str, **options) -> Built:
        return build(str(self.context), self.library, text=text, **options)

    def plan(self, text: str, **options) -> list[StepReport]:
        return plan(str(self.context), self.library, text=text, **options)

    def tree(self, built: Built | Image) -> dict[str, tuple]:
        found = built.image if isinstance(built, Built) else built
        return make.tree(self.library.folders(found))

    def read(self, built: Built, path: str) -> str:
        return Merged(self.library.folders(built.image)).read(path)

    def top_layer(self, built: Built) -> dict[str, tuple]:
        """What the last layer alone holds."""
        return make.tree(self.library.folders(built.image)[-1:])

    def leftovers(self) -> list[str]:
        """What a build should have removed: folders that are no layer, half-written blobs, records of processes."""
        chains = self.library.chains
        known = {os.path.basename(os.readlink(link)) for link in chains.names.iterdir()} | {"mounts"}
        return [
            *sorted(place.name for place in chains.layers.iterdir() if place.name not in known),
            *os.listdir(self.library.store.place / "ingest"),
            *(facts["id"] for facts in state.records()),
            *(path.name for path in state.runtime_dir().glob("*-mounts")),
        ]


def cached(built: Built | list[StepReport]) -> list[bool]:
    """For each step that may make a layer: was it taken from the cache?"""
    steps = built.steps if isinstance(built, Built) else built
    return [one.cached for one in steps if one.kind != "config"]
