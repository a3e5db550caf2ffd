"""Which bytes are the last so many lines: found from the end, piece by piece."""

from __future__ import annotations

from collections import Counter


class Tail:
    """Each stream has lines of its own, though their pieces stand in one log; the last ones of all are wanted.

    ``skip`` says how many bytes of each stream, of those gone back over so far, come before them.
    """

    def __init__(self, lines: int):
        self.wanted = lines
        self.inside: set[str] = set()  # streams in whose wanted line we are: its beginning is yet to be found
        self.seen: set[str] = set()
        self.skip: Counter[str] = Counter()

    @property
    def complete(self) -> bool:
        return not self.wanted and not self.inside

    def back(self, stream: str, data: bytes) -> None:
        """One piece further back."""
        if self.wanted and stream not in self.seen and not data.endswith(b"\n"):  # a last line without its newline is one, too
            self.wanted -= 1
            self.inside.add(stream)
        self.seen.add(stream)
        self.skip[stream] += self.before(stream, data)

    def before(self, stream: str, data: bytes) -> int:
        """How many bytes of the piece come before the wanted lines."""
        if not self.wanted and stream not in self.inside:
            return len(data)
        ends = data.count(b"\n")
        if ends <= self.wanted:
            self.wanted -= ends
            self.inside |= {stream} if ends else set()
            return 0
        at = len(data)
        for _ in range(self.wanted + 1):
            at = data.rindex(b"\n", 0, at)
        self.wanted = 0
        self.inside.discard(stream)
        return at + 1
