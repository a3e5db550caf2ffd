"""Where a session reads what a container writes.

Whatever has ``fileno()`` (-1: poll knows nothing of it) and ``read()`` will do. That gives a list of ``(stream, bytes)``, empty when there
is nothing just now, and None at the end.
"""

from __future__ import annotations

import os

AT_ONCE = 1 << 16
STREAMS = ("stdout", "stderr")


class PipeSource:
    """Our end of a pipe, or of a terminal: that knows one stream only, and its end is an error (EIO)."""

    def __init__(self, fd: int, stream: str = "stdout"):
        self.fd, self.stream = fd, stream
        os.set_blocking(fd, False)

    def fileno(self) -> int:
        return self.fd

    def read(self) -> list[tuple[str, bytes]] | None:
        try:
            data = os.read(self.fd, AT_ONCE)
        except BlockingIOError:
            return []
        except OSError:
            return None
        return [(self.stream, data)] if data else None
