"""Digests: the name of a content is a hash of it. Whoever has the name can tell whether the content is right.

See the OCI image specification, descriptor.md, "Digests".
"""

from __future__ import annotations

import hashlib
import re

from lib.visible import Visible

ALGORITHMS = {"sha256": 64, "sha512": 128}  # and how many hexadecimal digits each has
CHECKSUMS = {**ALGORITHMS, "sha384": 96}  # of what is in no store, as for ADD: what is broken (md5, sha1) would protect nobody
GRAMMAR = re.compile(r"([a-z0-9]+):([a-f0-9]+)")


class ImageError(Visible):
    """Something about an image, a layer or the store is wrong; the message says what, where, and what to do."""


class Stopped(ImageError):
    """Something else failed, or somebody pressed Ctrl-C: this is not wanted any more."""


class DigestError(ImageError):
    """The content is not what its digest, or its length, says."""


def check(digest: object, algorithms: dict[str, int] = ALGORITHMS) -> str:
    """The digest, if it is one; it becomes a path in the store, so nothing else may pass. Raises ``DigestError``."""
    found = GRAMMAR.fullmatch(digest) if isinstance(digest, str) else None
    if not found or len(found[2]) != algorithms.get(found[1]):
        raise DigestError(f"{str(digest)[:100]!r} is not a digest: sha256: and 64 hexadecimal digits in lower case")
    return digest


def of(data: bytes) -> str:
    """The sha256 digest of some bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def new(digest: str | None = None):
    """A running hash of the kind that ``digest`` names."""
    return hashlib.new((digest or "sha256").partition(":")[0])


def short(digest: str) -> str:
    """Twelve digits, as Docker shows an image's id."""
    return digest.partition(":")[2][:12]


def chain_ids(diff_ids: list[str]) -> list[str]:
    """The name of each *stack* of layers: a layer on another base is another file system.

    See the OCI image specification, config.md, "Layer ChainID".
    """
    chain: list[str] = []
    for diff_id in diff_ids:
        chain.append(of(f"{chain[-1]} {diff_id}".encode()) if chain else diff_id)
    return chain


class Hashed:
    """A file for reading, wrapped: what passes through is hashed and counted, and no more than ``limit`` bytes pass.

    ``what`` names it in the error. Raises ``DigestError``.
    """

    def __init__(self, file, digest: str | None = None, limit: int | None = None, what: str = "the content"):
        self.file, self.expected, self.limit, self.what = file, digest, limit, what
        self.hash, self.size = new(digest), 0

    def read(self, size: int = -1) -> bytes:
        data = self.file.read(size)
        self.size += len(data)
        if self.limit is not None and self.size > self.limit:
            raise DigestError(f"{self.what} is larger than the {self.limit} bytes that it may have: refused")
        self.hash.update(data)
        return data

    def drain(self) -> None:
        """Read what is left: a hash is of the whole."""
        while self.read(1 << 20):
            pass

    @property
    def digest(self) -> str:
        return f"{self.hash.name}:{self.hash.hexdigest()}"

    def verify(self) -> None:
        """Raises ``DigestError`` unless what came is what was promised."""
        if self.expected and self.digest != self.expected:
            raise DigestError(f"{self.what} has the digest {self.digest}, not {self.expected}: it was damaged or swapped on the way")
