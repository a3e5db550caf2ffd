"""The store: an OCI image layout on disk, in which every content lies under its own digest.

``blobs/sha256/<digest>`` holds manifests, configs and packed layers; ``index.json`` says which names point where. Any tool
that reads an OCI layout can read the folder (``skopeo inspect oci:<folder>:<name>``). See the OCI image specification, image-layout.md.

A blob appears by rename(2), whole or not at all. Whoever adds something holds the lock ``using`` together with others;
``gc`` wants it alone, so that it never takes what is not yet named.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lib import state
from lib.images import digests
from lib.images.digests import DigestError, ImageError

FORMAT = 1  # of this folder, beyond what the specification says; another number is refused
JSON_AT_MOST = 4 << 20  # bytes of a manifest or a config: what registries take, too
PATIENCE = 1.0  # s that a lock may take before somebody hears of it
NAME = "org.opencontainers.image.ref.name"


class StoreError(ImageError):
    """The store cannot do that."""


class Draft:
    """A blob on its way in: written beside its place, hashed on the way, renamed when it is whole and right."""

    def __init__(self, store: Store, digest: str | None = None, size: int | None = None, kind: str = "sha256"):
        self.store, self.expected, self.size = store, digest and digests.check(digest), size
        self.hash, self.written = digests.new(digest or kind), 0
        self.path = store.place / "ingest" / state.new_id()
        self.file = open(self.path, "xb", buffering=0)

    def write(self, data: bytes) -> int:
        self.written += len(data)
        if self.size is not None and self.written > self.size:
            raise DigestError(f"blob {self.expected}: more than the {self.size} bytes that were announced")
        self.hash.update(data)
        view = memoryview(data)
        while view:  # one write(2) takes 2 GiB at most
            view = view[self.file.write(view) :]
        return len(data)

    @property
    def digest(self) -> str:
        return f"{self.hash.name}:{self.hash.hexdigest()}"

    def commit(self) -> str:
        """Check it, have it on disk, give it its name. Raises ``DigestError``; then nothing is left of it."""
        self.seal()
        return self.publish()

    def seal(self) -> None:
        """Check it: no more is written. Raises ``DigestError``."""
        if self.size is not None and self.written != self.size:
            raise DigestError(f"blob {self.expected}: {self.written} bytes came, {self.size} were announced")
        if self.expected and self.digest != self.expected:
            raise DigestError(f"blob {self.expected}: what came has the digest {self.digest}; it was damaged or swapped on the way")
        self.file.close()

    def publish(self) -> str:
        """Have it on disk, and give it its name. Of many drafts perhaps few get that far, and only those are waited for."""
        target = self.store.path(self.digest)
        with open(self.path, "rb") as file:
            self.store.sync(file.fileno())
        os.rename(self.path, target)
        self.store.sync_folder(target.parent)
        return self.digest

    def __enter__(self) -> Draft:
        return self

    def __exit__(self, *error) -> None:
        self.file.close()
        self.path.unlink(missing_ok=True)


class Store:
    """Images by digest and by name, in ``$SUITCASE_IMAGES`` or beside the containers. Raises ``StoreError`` for an unknown format.

    ``durable=False`` leaves fsync(2) out: faster, and a power cut may then leave blobs that do not fit their names.
    """

    def __init__(self, place: str | os.PathLike | None = None, durable: bool = True):
        self.place = Path(place or os.environ.get("SUITCASE_IMAGES") or state.folder("images"))
        self.durable = durable
        if not (self.place / "format").exists():
            self.lay_out()
        self.check_format()

    def lay_out(self) -> None:
        state.make_folder(self.place)
        for folder in ("blobs/sha256", "blobs/sha512", "ingest"):
            (self.place / folder).mkdir(parents=True, exist_ok=True)
        self.place.chmod(0o700)  # secrets of images, setuid programs of strangers: for nobody else
        with self.locked("index"):
            self.replace("oci-layout", {"imageLayoutVersion": "1.0.0"})
            if not (self.place / "index.json").exists():
                self.replace("index.json", {"schemaVersion": 2, "manifests": []})
            self.replace("format", FORMAT)

    def check_format(self) -> None:
        found = (self.place / "format").read_text().strip()
        if found != str(FORMAT):
            raise StoreError(
                f"the store {self.place} has format {found[:20]!r}, this program knows format {FORMAT}: "
                "use the program that made it, or another folder (SUITCASE_STORE)"
            )

    # -- blobs

    def path(self, digest: str) -> Path:
        kind, _, name = digests.check(digest).partition(":")
        return self.place / "blobs" / kind / name

    def has(self, digest: str) -> bool:
        return self.path(digest).exists()

    def open(self, digest: str):
        """The blob, for reading. Raises ``StoreError`` when it is not here."""
        try:
            return open(self.path(digest), "rb")
        except FileNotFoundError:
            raise StoreError(f"blob {digest} is not in the store {self.place}: pull the image again") from None

    def draft(self, digest: str | None = None, size: int | None = None, kind: str = "sha256") -> Draft:
        """A new blob, for writing, in a ``with``; ``commit`` at its end. ``size`` in bytes; ``kind`` of a digest that is not known yet."""
        return Draft(self, digest, size, kind)

    def put(self, data: bytes) -> str:
        """Keep some bytes; returns their digest."""
        digest = digests.of(data)
        if not self.has(digest):
            with self.draft(digest, len(data)) as draft:
                draft.write(data)
                draft.commit()
        return digest

    def put_json(self, value: object, media_type: str) -> dict:
        """Keep a JSON document; returns its descriptor."""
        data = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
        return {"mediaType": media_type, "digest": self.put(data), "size": len(data)}

    def get(self, digest: str, limit: int = JSON_AT_MOST) -> bytes:
        """A small blob whole, verified. Raises ``DigestError`` when it is damaged, or larger than ``limit`` bytes."""
        with self.open(digest) as file:
            reader = digests.Hashed(file, digest, limit, f"blob {digest} in the store")
            data = reader.read(limit + 1)
            reader.verify()
        return data

    # -- names

    def index(self) -> list[dict]:
        """The descriptors of everything that has a name, and those names as annotations."""
        return json.loads((self.place / "index.json").read_bytes())["manifests"]

    def names(self) -> dict[str, dict]:
        """Every name, and the descriptor that it points to."""
        return {one["annotations"][NAME]: one for one in self.index() if NAME in one.get("annotations", {})}

    def tag(self, name: str | None, descriptor: dict, **annotations: str) -> None:
        """Let ``name`` point to a manifest. It pointed elsewhere before, perhaps: a tag is only a label, and that image stays, nameless.

        Without a name the image is only kept.
        """
        entry = {key: descriptor[key] for key in ("mediaType", "digest", "size", "platform") if key in descriptor}
        if name:
            entry["annotations"] = {NAME: name, **annotations}
        with self.locked("index"):
            self.write_index([*self.without(name), entry])

    def untag(self, name: str, digest: str) -> None:
        """Forget a name of a manifest, which stays without it. Raises ``StoreError``, also if it is another one's by now."""
        with self.locked("index"):
            if self.names().get(name, {}).get("digest") != digest:
                raise StoreError(f"No such image: {name}")
            self.write_index(self.without(name))

    def forget(self, digest: str) -> bool:
        """Forget a manifest, unless it has a name: somebody may just have given it one. True if it is gone."""
        with self.locked("index"):
            left = [one for one in self.index() if one["digest"] != digest or "annotations" in one]
            self.write_index(left)
        return digest not in {one["digest"] for one in left}

    def without(self, name: str | None) -> list[dict]:
        """The index in which nothing is called ``name``."""
        plain = [{key: value for key, value in one.items() if key != "annotations"} for one in self.index()]
        return [new if name and old.get("annotations", {}).get(NAME) == name else old for old, new in zip(self.index(), plain, strict=True)]

    def write_index(self, entries: list[dict]) -> None:
        """Each manifest stands there once for each of its names, or once without."""
        named = {one["digest"] for one in entries if "annotations" in one}
        kept = {json.dumps(one, sort_keys=True): one for one in entries if "annotations" in one or one["digest"] not in named}
        self.replace("index.json", {"schemaVersion": 2, "manifests": list(kept.values())})

    # -- files and locks

    def replace(self, name: str, value: object) -> None:
        """Write a small file whole or not at all."""
        draft = self.place / "ingest" / state.new_id()
        with open(draft, "xb") as file:
            file.write(json.dumps(value, indent=1).encode())
            file.flush()
            self.sync(file.fileno())
        os.rename(draft, self.place / name)
        self.sync_folder(self.place)

    def sync(self, fd: int) -> None:
        if self.durable:
            os.fsync(fd)

    def sync_folder(self, folder: Path) -> None:
        """A rename is on disk when its folder is. See fsync(2)."""
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.sync(fd)
        finally:
            os.close(fd)

    @contextmanager
    def locked(self, name: str, shared: bool = False, busy: Callable[[], object] | None = None) -> Iterator[None]:
        """Hold one of the store's locks; the kernel lets go of it even when we are killed. See flock(2).

        ``busy`` is called if it cannot be had at once, and may raise: then nobody waits.
        """
        with open(os.open(self.place / f".{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)) as file:
            kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            if busy and not soon(file, kind):
                busy()
            fcntl.flock(file, kind)
            yield

    def using(self):
        """Held while something is added that has no name yet."""
        return self.locked("use", shared=True)

    def alone(self, busy: Callable[[], object] | None = None):
        """Held while something is removed: nobody is adding anything. That may take as long as a pull or a build."""
        return self.locked("use", busy=busy)

    def sweep(self, wanted: set[str]) -> int:
        """Remove every blob that is not wanted, and what dead writers left; returns the bytes. Hold ``alone``."""
        freed = 0
        for path in (path for kind in digests.ALGORITHMS for path in (self.place / "blobs" / kind).iterdir()):
            if f"{path.parent.name}:{path.name}" not in wanted:
                freed += path.stat().st_size
                path.unlink()
        with self.locked("index"):  # nobody is writing, neither a blob nor the index
            for draft in (self.place / "ingest").iterdir():
                draft.unlink()
        return freed


def soon(file, kind: int) -> bool:
    """Take the lock, if it can be had within ``PATIENCE``."""
    until = time.monotonic() + PATIENCE
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(file, kind | fcntl.LOCK_NB)
            return True
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
