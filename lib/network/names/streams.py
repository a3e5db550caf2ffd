"""Questions on a stream of bytes: each has its length before it, and they come in pieces or several at once. See RFC 7766."""

from __future__ import annotations

import struct
from contextlib import suppress

LENGTH = struct.Struct("!H")


class Stream:
    """What has come and is not whole yet, and what has still to go."""

    def __init__(self):
        self.come, self.to_go = bytearray(), bytearray()

    def take(self, data: bytes) -> list[bytes]:
        """The messages that are whole by now."""
        self.come += data
        found = []
        while len(self.come) >= LENGTH.size and len(self.come) >= (end := LENGTH.size + LENGTH.unpack_from(self.come)[0]):
            found.append(bytes(self.come[LENGTH.size : end]))
            del self.come[:end]
        return found

    def put(self, message: bytes) -> None:
        self.to_go += LENGTH.pack(len(message)) + message

    def flush(self, sock) -> None:
        """Send what can go without waiting."""
        with suppress(BlockingIOError):
            del self.to_go[: sock.send(self.to_go)]
