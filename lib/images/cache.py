"""The build cache: what a step made the last time that everything it depends on was the same.

A step's key is a hash over named *parts*: the layers below, the words of the instruction, the variables, the contents of the
files. Because the parts have names, a miss can be explained: which of them is another than last time. The idea is BuildKit's
(docs/dev/solver.md in its sources, "cache keys").
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lib import state
from lib.images import digests
from lib.images.layers import Layer
from lib.images.store import Store


def key(parts: dict[str, object]) -> str:
    """The key of a step: a hash of its parts, in the order of their names."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@dataclass
class Record:
    """What a step made: a layer (or none, if it changed no file), on which chain, how long it took, and from what."""

    key: str
    text: str
    parts: dict
    layer: dict | None
    below: list[str]  # diff_ids of the layers that it stands on
    created: str  # the time that the image tells of it: it must not change while nothing else does
    seconds: float = 0.0
    used: float = field(default_factory=time.time)

    def as_layer(self) -> Layer | None:
        return Layer(self.layer["descriptor"], self.layer["diff_id"]) if self.layer else None


class Cache:
    """The records of a store, one file each in ``cache/``; ``last/`` remembers each build's keys, to explain the next one's."""

    def __init__(self, store: Store):
        self.others = []  # caches from elsewhere (``sharedcache.Elsewhere``), asked for what is not here
        self.facts: dict[str, str] = {}  # that were asked for
        self.store, self.place, self.last = store, store.place / "cache", store.place / "last"
        for folder in (self.place, self.last):
            folder.mkdir(exist_ok=True)

    def find(self, wanted: str) -> Record | None:
        """The record of a key, if its layer is still here, or comes from elsewhere. Hold ``store.using``."""
        return self.kept(wanted) or next((found for other in self.others if (found := self.from_elsewhere(other, wanted))), None)

    def kept(self, name: str) -> Record | None:
        record = self.find_quietly(self.place / name)
        if record and (not record.layer or self.store.has(record.layer["descriptor"]["digest"])):
            os.utime(self.place / name)
            return record
        return None

    def from_elsewhere(self, other, wanted: str) -> Record | None:
        """It is kept under its source's mark: who wrote it says what a step makes, and only a build that names him believes that."""
        mark = f".{hashlib.sha256(other.source.encode()).hexdigest()[:32]}"
        if record := self.kept(wanted + mark):
            return record
        if record := other.find(wanted):
            self.keep(record, mark)
        return record

    def keep(self, record: Record, mark: str = "") -> None:
        with self.store.locked("index"):
            self.store.replace(f"cache/{record.key}{mark}", asdict(record))

    def once(self, wanted: str, work: Callable[[], str]) -> str:
        """A text that only depends on its key: worked out the first time. One from elsewhere is believed by this build only."""
        path = self.store.place / "facts" / wanted
        try:
            found = json.loads(path.read_bytes())
        except (FileNotFoundError, ValueError):
            if not (found := next((fact for other in self.others if (fact := other.facts.get(wanted))), None)):
                path.parent.mkdir(exist_ok=True)
                found = work()
                self.store.replace(f"facts/{wanted}", found)
        self.facts[wanted] = found
        return found

    def records(self) -> list[Record]:
        found = [self.find_quietly(path) for path in sorted(self.place.iterdir())]
        return [one for one in found if one]

    @staticmethod
    def find_quietly(path: Path) -> Record | None:
        try:
            return Record(**json.loads(path.read_bytes()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def reachable(self) -> tuple[set[str], set[str]]:
        """The blobs and the chains that records lead to: gc leaves them."""
        blobs, chains = set(), set()
        for record in self.records():
            if record.layer:
                blobs.add(record.layer["descriptor"]["digest"])
                chains |= set(digests.chain_ids([*record.below, record.layer["diff_id"]]))
        return blobs, chains

    def prune(self, busy: Callable[[], object] | None = None) -> int:
        """``docker builder prune``: forget every record, and what ``RUN --mount=type=cache`` has kept. Returns how many records there were.

        The layers go with the next gc. It waits until nobody builds: a command may be at work in such a cache.
        ``busy``: see ``Store.locked``.
        """
        with self.store.alone(busy):
            records = list(self.place.iterdir())
            for path in [*records, *self.last.iterdir()]:
                path.unlink(missing_ok=True)
            state.rmtree(str(self.store.place / "mounts"))
        return len(records)

    # -- what the build before was made of

    def recall(self, build: str) -> list[dict]:
        """Text and parts of each step of the last build of that name."""
        try:
            return json.loads((self.last / hashlib.sha256(build.encode()).hexdigest()[:32]).read_bytes())
        except (FileNotFoundError, ValueError):
            return []

    def remember(self, build: str, steps: list[dict]) -> None:
        if steps != self.recall(build):
            with self.store.locked("index"):
                self.store.replace(f"last/{hashlib.sha256(build.encode()).hexdigest()[:32]}", steps)
