"""Blobs come down: three at a time, each into a draft in the store, and on from where it stopped when the connection breaks."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from typing import Protocol

from lib.images import Draft, Stopped, Store, digests
from lib.registry.repository import Repository
from lib.registry.transport import PIECE, TRIES, Broken, pause
from lib.shield import Shield

AT_ONCE = 3  # as Docker
TICK = 0.1  # seconds between looks whether anybody still waits


class Tell(Protocol):
    """Gets Docker's word for what happens, to which layer (12 digits) or tag, and where there are numbers: bytes done, of how many."""

    def __call__(self, word: str, what: str, done: int = 0, total: int = 0) -> object: ...


class Downloads:
    """The blobs of one image on their way into the store. A context manager: at its end nothing is on the way any more."""

    def __init__(self, store: Store, repository: Repository, tell: Tell):
        self.store, self.repository, self.tell = store, repository, tell
        self.pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="download")
        self.stopping = threading.Event()
        self.futures: dict[str, Future] = {}
        self.first: BaseException | None = None  # of the errors: the others follow from it

    def start(self, wanted: Iterable[dict]) -> None:
        """Begin with what is not here yet; each blob once, however often it is named."""
        for one in {one["digest"]: one for one in wanted}.values():
            name = digests.short(one["digest"])
            if self.store.has(one["digest"]):
                self.tell("Already exists", name)
                continue
            self.tell("Pulling fs layer", name)
            if len(self.futures) >= AT_ONCE:
                self.tell("Waiting", name)
            with Shield():  # a thread that an interrupt leaves half begun is one that nobody waits for
                self.futures[one["digest"]] = self.pool.submit(self.fetch, one)

    def wait(self, one: dict) -> None:
        """Until a blob is here. Raises what its download raised, or ``Stopped``."""
        found = self.futures.get(one["digest"])
        while found and not wait([found], TICK).done:
            self.check()
        try:
            if found:
                found.result()
        except CancelledError:
            raise Stopped("the download was stopped") from None

    def finish(self) -> None:
        """Until all are here. Raises what went wrong first: it stops the others."""
        wait(self.futures.values())
        if self.first:
            raise self.first
        self.check()

    def fetch(self, one: dict) -> None:
        """One blob, whole and right, or nothing of it."""
        digest, size, name = one["digest"], one["size"], digests.short(one["digest"])
        try:
            self.check()
            with self.store.draft(digest, size) as draft:
                self.fill(draft, digest, size, name)
                self.tell("Verifying Checksum", name)
                draft.commit()
            self.tell("Download complete", name)
        except BaseException as error:
            if not isinstance(error, Stopped):
                self.first = self.first or error
            self.stop()  # the image cannot become whole any more
            raise

    def fill(self, draft: Draft, digest: str, size: int, name: str) -> None:
        """Again and again from where it broke off, as long as it gets on."""
        failures = last = 0
        while draft.written < size:
            try:
                self.read(draft, digest, size, name)
            except Broken:
                failures = failures + 1 if draft.written - last < PIECE else 1
                last = draft.written
                if failures >= TRIES or self.stopping.is_set():
                    raise
                pause(failures)

    def read(self, draft: Draft, digest: str, size: int, name: str) -> None:
        with self.repository.blob(digest, size, draft.written) as reader:
            while data := reader.read():
                self.check()
                draft.write(data)
                self.tell("Downloading", name, draft.written, size)

    def check(self) -> None:
        if self.stopping.is_set():
            raise Stopped("the download was stopped")

    def stop(self) -> None:
        """Nothing more is begun, and what waits for bytes comes back."""
        self.stopping.set()
        for future in list(self.futures.values()):
            future.cancel()
        self.repository.registry.transport.abort()

    def __enter__(self) -> Downloads:
        return self

    def __exit__(self, kind, error, trace) -> None:
        if kind:
            self.stop()
        self.pool.shutdown()
