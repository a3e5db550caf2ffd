"""Where a blob was pulled from or pushed to: a registry that has it in one repository need not be sent it for another.

A small file in the store. It is a memory, not a promise: the registry may have forgotten meanwhile, and is asked.
"""

from __future__ import annotations

import json

from lib.images import Store

FILE = "origins.json"
AT_MOST = 8  # places that are remembered of one blob


class Origins:
    """digest → ``registry/repository``, the latest last."""

    def __init__(self, store: Store):
        self.store = store

    def read(self) -> dict[str, list[str]]:
        try:
            return json.loads((self.store.place / FILE).read_bytes())
        except (FileNotFoundError, ValueError):
            return {}

    def sources(self, digest: str, registry: str, but: str) -> list[str]:
        """Other repositories of the same registry that had the blob, the latest first."""
        prefix = f"{registry}/"
        found = [place.removeprefix(prefix) for place in self.read().get(digest, []) if place.startswith(prefix)]
        return [name for name in reversed(found) if name != but]

    def add(self, digests: list[str], registry: str, repository: str) -> None:
        """These blobs are there now. What is in our store no more is forgotten."""
        place = f"{registry}/{repository}"
        with self.store.locked("origins"):
            known = {digest: places for digest, places in self.read().items() if self.store.has(digest)}
            for digest in digests:
                known[digest] = [*(one for one in known.get(digest, []) if one != place), place][-AT_MOST:]
            self.store.replace(FILE, known)
