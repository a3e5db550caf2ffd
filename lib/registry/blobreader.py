"""A blob's bytes as they come from a registry: no more than announced, from where we want them, and no waiting for ever."""

from __future__ import annotations

import re

from lib.registry.pace import Flow
from lib.registry.transport import PIECE, Broken, RegistryError, why


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
        if length is not None and length != str(self.size - self.at):
            raise RegistryError(f"{self.what}: it is {self.size} bytes long, and {length[:30]} are announced from byte {self.at} on")
        while self.at < wanted:
            if not self.read(wanted - self.at):
                raise Broken(f"{self.what}: the connection broke at byte {self.at} of {self.size}")

    def read(self, size: int = PIECE) -> bytes:
        """Up to ``size`` bytes, none at the end. Raises ``Broken``, and ``RegistryError`` if more comes than was announced."""
        from urllib3.exceptions import HTTPError

        try:
            data = Flow(self.response).read(min(size, self.size - self.at + 1))
        except (HTTPError, OSError, ValueError) as error:
            raise Broken(f"{self.what}: the connection broke at byte {self.at} of {self.size}: {why(error)}") from None
        self.at += len(data)
        if self.at > self.size:
            raise RegistryError(f"{self.what}: it is {self.size} bytes long, and more comes: refused")
        if not data and self.at < self.size:
            raise Broken(f"{self.what}: the connection ended at byte {self.at} of {self.size}")
        return data

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *error) -> None:
        self.response.close()
