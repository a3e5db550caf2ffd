"""One shelf of a registry, and all that can be asked of it: manifests, tags, blobs.

Nothing that comes is believed: each answer has a limit, and each content a digest. See the OCI distribution specification.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress

from lib.images import DigestError, digests
from lib.images.store import JSON_AT_MOST
from lib.registry.blobreader import Reader
from lib.registry.client import Registry
from lib.registry.tokens import Scopes
from lib.registry.transport import RegistryError, content, drain, follow

PAGES = 100  # of a list of tags, at most
TAGS_TOLD = 10  # in an error
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


class Repository:
    """What a registry keeps under one name. ``actions`` is what we want to do there, for the token: ``pull``, ``pull,push``, ``delete``."""

    def __init__(self, registry: Registry, name: str, actions: str = "pull"):
        self.registry, self.name = registry, name
        self.scopes: Scopes = (f"repository:{name}:{actions}",)

    def path(self, rest: str) -> str:
        return f"/v2/{self.name}/{rest}"

    # -- manifests

    def manifest(self, reference: str, accept: tuple[str, ...]) -> tuple[bytes, str, str]:
        """A manifest or index by tag or digest: its bytes, its media type, its digest, all checked. Raises ``RegistryError``."""
        asked = f"the manifest {reference} of {self.name}"
        response = self.wanted("GET", reference, accept, asked)
        data = content(response, JSON_AT_MOST, f"{self.registry.name}: {asked}")
        promised = [reference] if ":" in reference else []
        if said := response.headers.get("Docker-Content-Digest"):
            promised.append(said)
        for one in promised:
            verify(data, one, f"{self.registry.name}: {asked}")
        return data, media_type(response), promised[0] if promised else digests.of(data)

    def head(self, reference: str, accept: tuple[str, ...]) -> tuple[str, str, int]:
        """Media type, digest and size of a manifest, without the manifest. Digest is empty where the registry does not say it."""
        response = self.wanted("HEAD", reference, accept, f"the manifest {reference} of {self.name}")
        drain(response)
        said = response.headers.get("Docker-Content-Digest", "")
        size = response.headers.get("Content-Length", "")
        return media_type(response), said and digests.check(said), int(size) if re.fullmatch("[0-9]{1,19}", size) else 0

    def wanted(self, method: str, reference: str, accept: tuple[str, ...], asked: str):
        headers = {"Accept": ", ".join(accept)}
        try:
            return self.registry.request(method, self.path(f"manifests/{reference}"), self.scopes, asked, headers)
        except RegistryError as error:
            if error.status != 404 or ":" in reference:
                raise
            raise RegistryError(f"{error}{self.others()}") from None

    def others(self) -> str:
        """What there is instead, if the registry tells."""
        with suppress(RegistryError, DigestError):
            if tags := self.tags(pages=1):
                more = ", …" if len(tags) > TAGS_TOLD else ""
                return f". There are the tags {', '.join(tags[:TAGS_TOLD])}{more}"
        return ""

    def put_manifest(self, reference: str, data: bytes, kind: str) -> str:
        """Keep a manifest under a tag or its digest; its blobs must be there. Returns the digest. Raises ``RegistryError``."""
        asked = f"to put the manifest {reference} into {self.name}"
        where, headers = self.path(f"manifests/{reference}"), {"Content-Type": kind}
        response = self.registry.request("PUT", where, self.scopes, asked, headers, data, (200, 201))
        drain(response)
        if said := response.headers.get("Docker-Content-Digest"):
            verify(data, said, f"{self.registry.name}: {asked}")
        return digests.of(data)

    def tags(self, pages: int = PAGES) -> list[str]:
        """Every tag, page by page. See the specification, "Listing Tags". Raises ``RegistryError``."""
        found, where, asked = [], self.path("tags/list?n=1000"), f"the tags of {self.name}"
        for _ in range(pages):
            response = self.registry.request("GET", where, self.scopes, asked)
            found += tag_list(content(response, JSON_AT_MOST, f"{self.registry.name}: {asked}"))
            following = re.match(r"\s*<([^<>]+)>", response.headers.get("Link", ""))
            if not following:
                break
            where = follow(response.asked, following[1])
        return list(dict.fromkeys(found))

    def delete(self, digest: str) -> None:
        """Take a manifest out, with every tag that points to it. Raises ``RegistryError``; many registries do not allow it."""
        asked = f"to delete {digest} of {self.name}"
        drain(self.registry.request("DELETE", self.path(f"manifests/{digests.check(digest)}"), self.scopes, asked, expect=(202, 200)))

    # -- blobs

    def has_blob(self, digest: str) -> bool:
        asked, where = f"whether {self.name} has {digest}", self.path(f"blobs/{digests.check(digest)}")
        response = self.registry.request("HEAD", where, self.scopes, asked, expect=(200, 404))
        drain(response)
        return response.status == 200

    def blob(self, digest: str, size: int, offset: int = 0) -> Reader:
        """A blob from byte ``offset`` on; whoever reads it checks the digest of the whole. Raises ``RegistryError``, ``Broken``."""
        asked = f"the blob {digests.check(digest)} of {self.name}"
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={offset}-{size - 1}"} if offset else {})
        response = self.registry.request("GET", self.path(f"blobs/{digest}"), self.scopes, asked, headers, expect=(200, 206))
        reader = Reader(response, f"{self.registry.name}: {asked}", size, offset)
        try:
            reader.check()
        except BaseException:
            response.close()
            raise
        return reader

    def mount(self, digest: str, source: str) -> bool:
        """Have a blob that another repository of this registry has, without sending it. False if it does not do that.

        See the specification, "Mounting a blob from another repository".
        """
        where = self.path(f"blobs/uploads/?mount={digests.check(digest)}&from={source}")
        scopes = (*self.scopes, f"repository:{source}:pull")
        response = self.registry.request("POST", where, scopes, f"to mount {digest} from {source}", expect=(201, 202))
        drain(response)
        if response.status == 202:  # it began an upload instead, which we do not go on with
            with suppress(RegistryError):
                session = follow(response.asked, response.headers.get("Location"))
                if self.registry.ours(session):  # what somebody else has is not deleted, whoever sends us there
                    drain(self.registry.request("DELETE", session, self.scopes, "to cancel an upload", expect=(204, 200)))
        return response.status == 201


def verify(data: bytes, digest: str, what: str) -> None:
    """Raises ``DigestError`` unless the bytes are those that the digest names."""
    found = digests.new(digests.check(digest))
    found.update(data)
    if f"{found.name}:{found.hexdigest()}" != digest:
        raise DigestError(f"{what}: what came has the digest {found.name}:{found.hexdigest()}, not {digest}: damaged or exchanged")


def media_type(response) -> str:
    """Without parameters, as the specification wants it."""
    return response.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def tag_list(data: bytes) -> list[str]:
    """The tags in one page. What is no tag is left out: it goes to the terminal, and into addresses."""
    with suppress(ValueError, RecursionError, TypeError, KeyError):
        return [tag for tag in json.loads(data)["tags"] if isinstance(tag, str) and TAG.fullmatch(tag)]
    return []
