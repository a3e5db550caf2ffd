"""A blob goes up: POST opens a session, the bytes follow, PUT with the digest closes it.

A small one goes with the PUT itself. A large one goes in chunks (PATCH), so that after a broken connection the registry can be
asked how much it has. See the OCI distribution specification, "Pushing blobs".
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from urllib.parse import urlencode

from lib.images.digests import check
from lib.registry.repository import Repository
from lib.registry.transport import TRIES, Broken, RegistryError, Unreachable, busy, drain, follow, pause

CHUNK = 16 << 20  # bytes that are sent in one request; what is lost with a broken connection is less than that


class Part:
    """A part of a file, for sending. In small pieces: what a socket is given at once must be gone within its time limit."""

    def __init__(self, file, start: int, size: int, tell: Callable[[int], object]):
        self.file, self.at, self.end, self.told = file, start, start + size, tell  # `tell` would mean another thing to urllib3
        file.seek(start)

    def read(self, size: int) -> bytes:
        data = self.file.read(min(size, self.end - self.at))
        self.at += len(data)
        self.told(self.at)
        return data


class Upload:
    """One blob on its way into a repository. ``tell`` gets the bytes that are up."""

    def __init__(self, repository: Repository, file: io.BufferedIOBase, digest: str, size: int, tell=lambda done: None):
        self.repository, self.file, self.digest, self.size, self.tell = repository, file, check(digest), size, tell
        self.session, self.sent = "", 0

    def run(self) -> None:
        """Raises ``RegistryError`` when the registry refuses, or breaks off again and again."""
        failures = furthest = 0
        while True:
            try:
                if self.step():
                    return
            except RegistryError as error:
                if not (isinstance(error, Broken | Unreachable) or busy(error.status)):
                    raise
                failures = failures + 1 if self.sent <= furthest else 1
                furthest = max(furthest, self.sent)
                if failures >= TRIES:
                    raise
                pause(failures)
                if self.recover():
                    return

    def step(self) -> bool:
        """The next request; True if it was the last one."""
        if not self.session:
            self.start()
        last = self.size - self.sent <= CHUNK
        response = self.put() if last else self.patch()
        drain(response)
        if not last:
            self.session = follow(response.asked, response.headers.get("Location"))
            have = self.received(response) or self.sent + CHUNK
            if have <= self.sent:
                raise RegistryError(f"the registry takes {self.digest} and forgets it: {have} bytes after {self.sent}")
            self.sent = have
        return last

    def start(self) -> None:
        algorithm = self.digest.partition(":")[0]
        query = "" if algorithm == "sha256" else f"?digest-algorithm={algorithm}"
        response = self.ask("POST", self.repository.path(f"blobs/uploads/{query}"), (202,), {"Content-Length": "0"}, b"")
        self.session, self.sent = follow(response.asked, response.headers.get("Location")), 0
        drain(response)

    def patch(self):
        return self.ask("PATCH", self.session, (202, 204), *self.chunk(CHUNK))

    def put(self):
        """The rest, and the end of the session: now the registry compares the digest."""
        where = f"{self.session}{'&' if '?' in self.session else '?'}{urlencode({'digest': self.digest})}"
        return self.ask("PUT", where, (201, 204), *self.chunk(self.size - self.sent))

    def chunk(self, size: int):
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        if size and (self.sent or size < self.size):
            headers["Content-Range"] = f"{self.sent}-{self.sent + size - 1}"
        start = self.sent
        return headers, lambda: Part(self.file, start, size, self.tell)

    def ask(self, method: str, where: str, expect: tuple[int, ...], headers: dict, body):
        asked = f"to put the blob {self.digest} into {self.repository.name}"
        return self.repository.registry.request(method, where, self.repository.scopes, asked, headers, body, expect)

    def recover(self) -> bool:
        """After a broken connection: is it all there, or how much is? A session that is gone begins anew."""
        try:
            if self.repository.has_blob(self.digest):
                return True
            if not self.session:
                return False
            asked = f"how much of {self.digest} has arrived"
            response = self.repository.registry.request("GET", self.session, self.repository.scopes, asked, expect=(204, 200))
            drain(response)
            self.session = follow(response.asked, response.headers.get("Location") or self.session)
            self.sent = self.received(response)
            if not self.sent:
                self.session = ""
        except Unreachable:
            raise
        except Broken:
            pass  # the next step is the next try
        except RegistryError:
            self.session, self.sent = "", 0
        return False

    def received(self, response) -> int:
        """``Range: 0-99`` → 100 bytes. ``0-0`` is also what some say when there is nothing."""
        found = re.fullmatch(r"(?:bytes=)?0-(\d{1,19})", response.headers.get("Range", ""))
        have = int(found[1]) + 1 if found else 0
        if have > self.size:
            raise RegistryError(f"the registry says that it has {have} bytes of {self.digest}, which is {self.size} bytes long")
        return have if have > 1 else 0
