"""A registry: a web server that keeps blobs and manifests by digest, and tags that point to manifests.

``Registry`` is one connection to one of them: how it is reached, and who we are there. ``Repository`` is one shelf of it: all that
can be asked. Nothing that comes is believed: each answer has a limit, and each content a digest. See the OCI distribution specification.
"""

from __future__ import annotations

import ipaddress
import json
import re
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress

from lib.images import credentials, digests, references
from lib.images.credentials import Credential
from lib.images.digests import DigestError
from lib.images.store import JSON_AT_MOST
from lib.images.tokens import Authority, Scopes
from lib.images.transport import (
    ERROR_AT_MOST,
    PIECE,
    TRIES,
    Broken,
    NotTLS,
    RegistryError,
    Transport,
    content,
    drain,
    follow,
    origin,
    why,
)

HUBS_HOST = "registry-1.docker.io"  # where the Hub's images are served
PROOFS = 3  # times that we show who we are, before we give up
PAGES = 100  # of a list of tags, at most
TAGS_TOLD = 10  # in an error
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


def loopback(name: str) -> bool:
    """Is it this machine? Nobody listens in between, so plain http will do."""
    host = re.sub(r":\d+$", "", name).strip("[]")
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


class Registry:
    """One connection to one registry; threads may share it.

    ``insecure``: plain http will do, and any certificate. ``tell`` gets a sentence where that is used. ``credential`` is used
    instead of what ``suitcase login`` has kept. ``ca``: a file of certificates to trust.
    """

    def __init__(
        self,
        name: str,
        insecure: bool = False,
        tell: Callable[[str], object] = lambda sentence: None,
        credential: Credential | None = None,
        ca: str | None = None,
    ):
        self.name, self.host = name, HUBS_HOST if name == references.HUB else name
        self.plain_will_do, self.tell = insecure or loopback(name), tell
        self.transport = Transport(verify=not insecure, ca=ca)
        self.authority = Authority(self.transport, name, lambda: credential or credentials.find(name))
        self.found, self.lock = "", threading.Lock()

    def repository(self, name: str, actions: str = "pull") -> Repository:
        """One shelf, and what is to be done there, for the token: ``pull``, ``pull,push``, ``delete``."""
        return Repository(self, name, (f"repository:{name}:{actions}",))

    def base(self) -> str:
        """``https://host``, or ``http://host`` where that is allowed and https is not answered. Raises ``Unreachable``."""
        with self.lock:
            self.found = self.found or self.find()
        return self.found

    def find(self) -> str:
        try:
            self.knock("https")
            return f"https://{self.host}"
        except (NotTLS, Broken) as error:
            if not self.plain_will_do:
                raise
            try:
                self.knock("http")
            except RegistryError:
                raise error from None
            self.tell(f"{self.name} answers plain http only: nothing is encrypted on the way")
            return f"http://{self.host}"

    def knock(self, scheme: str) -> None:
        """Whatever it answers, it speaks the protocol. No second try: nobody wants to wait for a typing error."""
        drain(self.transport.once("GET", f"{scheme}://{self.host}/v2/", {}))

    def check(self) -> None:
        """Does the registry take our credential? For ``login``. Raises ``RegistryError``."""
        drain(self.request("GET", "/v2/", (), "login"))

    # -- one request

    def request(
        self,
        method: str,
        where: str,
        scopes: Scopes,
        asked: str,
        headers: Mapping[str, str] | None = None,
        body=None,
        expect: tuple[int, ...] = (200,),
    ):
        """Ask, prove who we are if we must, and hand over an answer of an expected status; its body is still to be read.

        ``where`` is a path, or an address that the registry gave us. Raises ``RegistryError``.
        """
        url = where if "://" in where else self.base() + where
        for number in range(PROOFS):  # nothing, then a password or a token, then a fresh token for one that has expired
            used = self.authority.header(scopes)
            response = self.transport.send(method, url, headers or {}, lambda url, used=used: self.authorize(url, used), body)
            if response.status in expect:
                return response
            if response.status != 401 or not self.ours(response.asked) or number == PROOFS - 1:
                break
            if not self.authority.answer(response, scopes, used):
                break
            drain(response)
        raise self.error(response, asked)

    def ours(self, url: str) -> bool:
        return origin(url) == origin(self.base())

    def authorize(self, url: str, value: str) -> dict[str, str]:
        """Our credentials are for the registry itself, and for nobody that it sends us to."""
        return {"Authorization": value} if value and self.ours(url) else {}

    # -- what it says when it refuses

    def error(self, response, asked: str) -> RegistryError:
        """The registry's own words, and the way out."""
        text = b""
        with suppress(RegistryError):
            text = content(response, ERROR_AT_MOST, asked)
        code, message = said(text)
        words = " ".join(part for part in (f"{code}:" if code else "", message) if part)
        found = RegistryError(f"{self.name}: {asked}: status {response.status} {words}".rstrip() + self.hint(response.status, code))
        found.status, found.code = response.status, code
        return found

    def hint(self, status: int, code: str) -> str:
        if status in (401, 403) or code in ("UNAUTHORIZED", "DENIED"):
            return f". It does not exist, or you may not: suitcase login {self.name}"
        if status == 429 or code == "TOOMANYREQUESTS":
            return f". It counts what you ask: wait, or suitcase login {self.name}"
        if code == "NAME_UNKNOWN":
            return ". There is no such repository: is the name right?"
        return f". It failed {TRIES} times: try again later" if status >= 500 else ""


def said(text: bytes) -> tuple[str, str]:
    """Code and message of the first error in an answer, cleaned for a terminal. See the specification, "Error Codes"."""
    try:
        first = json.loads(text)["errors"][0]
        code, message = str(first.get("code") or ""), str(first.get("message") or "")
    except (ValueError, RecursionError, TypeError, LookupError, AttributeError):
        return "", ""
    return re.sub(r"[^A-Z_]", "", code)[:40], "".join(char for char in message if char.isprintable())[:300]


class Repository:
    """What a registry keeps under one name."""

    def __init__(self, registry: Registry, name: str, scopes: Scopes):
        self.registry, self.name, self.scopes = registry, name, scopes

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
        return media_type(response), said and digests.check(said), int(size) if size.isdigit() else 0

    def wanted(self, method: str, reference: str, accept: tuple[str, ...], asked: str):
        headers = {"Accept": ", ".join(accept)}
        try:
            return self.registry.request(method, self.path(f"manifests/{reference}"), self.scopes, asked, headers)
        except RegistryError as error:
            if getattr(error, "status", 0) != 404 or ":" in reference:
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
                drain(self.registry.request("DELETE", session, self.scopes, "to cancel an upload", expect=(204, 200)))
        return response.status == 201


class Reader:
    """A blob's bytes as they come; never more than announced."""

    def __init__(self, response, what: str, size: int, offset: int):
        self.response, self.what, self.size, self.at = response, what, size, offset

    def check(self) -> None:
        """Is it the part that we asked for? A registry that knows no ranges sends the whole: what we have is passed over."""
        headers, wanted = self.response.headers, self.at
        if self.response.status == 206:
            found = re.fullmatch(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)", headers.get("Content-Range", ""))
            if not found or int(found[1]) != wanted or found[3] not in ("*", str(self.size)):
                raise RegistryError(f"{self.what}: asked for bytes from {wanted} on, it sends {headers.get('Content-Range', '')[:60]!r}")
        else:
            self.at = 0
        length = headers.get("Content-Length")
        if length is not None and (not length.isdigit() or int(length) != self.size - self.at):
            raise RegistryError(f"{self.what}: it is {self.size} bytes long, and {length[:30]} are announced from byte {self.at} on")
        while self.at < wanted:
            if not self.read(wanted - self.at):
                raise Broken(f"{self.what}: the connection broke at byte {self.at} of {self.size}")

    def read(self, size: int = PIECE) -> bytes:
        """Up to ``size`` bytes, none at the end. Raises ``Broken``, and ``RegistryError`` if more comes than was announced."""
        from urllib3.exceptions import HTTPError

        try:
            data = self.response.read(min(size, PIECE, self.size - self.at + 1))
        except (HTTPError, OSError, ValueError) as error:
            raise Broken(f"{self.what}: the connection broke at byte {self.at} of {self.size}: {why(error)}") from None
        self.at += len(data)
        if self.at > self.size:
            raise RegistryError(f"{self.what}: it is {self.size} bytes long, and more comes: refused")
        if not data and self.at < self.size:
            raise Broken(f"{self.what}: the connection ended at byte {self.at} of {self.size}")
        return data

    def stop(self) -> None:
        """From another thread: let a ``read`` that waits come back."""
        with suppress(ValueError, RuntimeError, OSError):
            self.response.shutdown()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *error) -> None:
        self.response.close()


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
