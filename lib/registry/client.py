"""A registry: a web server that keeps blobs and manifests by digest, and tags that point to manifests.

``Registry`` is one connection to one of them: how it is reached, who we are there, and what it says when it refuses. What can be asked
is in ``repository``. See the OCI distribution specification.
"""

from __future__ import annotations

import ipaddress
import json
import re
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress

from lib.images import references
from lib.registry import credentials
from lib.registry.credentials import Credential
from lib.registry.tokens import Authority, Scopes
from lib.registry.transport import (
    ERROR_AT_MOST,
    Body,
    Broken,
    NotTLS,
    RegistryError,
    Transport,
    content,
    drain,
    origin,
)

HUBS_HOST = "registry-1.docker.io"  # where the Hub's images are served
PROOFS = 3  # times that we show who we are, before we give up


def loopback(name: str) -> bool:
    """Is it this machine? Nobody listens in between, so plain http will do."""
    host = re.sub(r":\d+$", "", name).strip("[]")
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


class Registry:
    """One connection to one registry; threads may share it.

    ``insecure``: plain http will do, and any certificate. ``tell`` gets a sentence where that is used. ``credential`` is used
    instead of what ``suitcase login`` has kept.
    """

    def __init__(
        self,
        name: str,
        insecure: bool = False,
        tell: Callable[[str], object] = lambda sentence: None,
        credential: Credential | None = None,
    ):
        self.name, self.host = name, HUBS_HOST if name == references.HUB else name
        self.plain_will_do, self.tell = insecure or loopback(name), tell
        self.transport = Transport(verify=not insecure)
        self.authority = Authority(self.transport, name, lambda: credential or credentials.find(name))
        self.found, self.lock = "", threading.Lock()

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
        body: Body = None,
        expect: tuple[int, ...] = (200,),
    ):
        """Ask, prove who we are if we must, and hand over an answer of an expected status; its body is still to be read.

        ``where`` is a path, or an address that the registry gave us. Raises ``RegistryError``.
        """
        url = self.base() + where if where.startswith("/") else where
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
        sentence = f"{self.name}: {asked}: status {response.status} {words}".rstrip() + self.hint(response.status, code)
        return RegistryError(sentence, response.status, code)

    def hint(self, status: int, code: str) -> str:
        if status in (401, 403) or code in ("UNAUTHORIZED", "DENIED"):
            return f". It does not exist, or you may not: suitcase login {self.name}"
        if status == 429 or code == "TOOMANYREQUESTS":
            return f". It counts what you ask: wait, or suitcase login {self.name}"
        if code == "NAME_UNKNOWN":
            return ". There is no such repository: is the name right?"
        return ". The registry itself is in trouble: try again later" if status >= 500 else ""


def said(text: bytes) -> tuple[str, str]:
    """Code and message of the first error in an answer, cleaned for a terminal. See the specification, "Error Codes"."""
    try:
        first = json.loads(text)["errors"][0]
        code, message = str(first.get("code") or ""), str(first.get("message") or "")
    except (ValueError, RecursionError, TypeError, LookupError, AttributeError):
        return "", ""
    return re.sub(r"[^A-Z_]", "", code)[:40], "".join(char for char in message if char.isprintable())[:300]
