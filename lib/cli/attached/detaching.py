"""The keys that leave a container without ending it (``ctrl-p,ctrl-q``), found in what is typed, wherever a read cuts it."""

from __future__ import annotations

DEFAULT = "ctrl-p,ctrl-q"
CONTROL = "@abcdefghijklmnopqrstuvwxyz[\\]^_"  # with ctrl they send the bytes 0 to 31. See ascii(7)


def parsed(words: str) -> bytes:
    """``ctrl-p,ctrl-q`` as the bytes that a terminal sends; nothing stands for the default. Raises ``ValueError``."""
    try:
        return bytes(code(word) for word in (words or DEFAULT).split(","))
    except ValueError as error:
        raise ValueError(f"invalid detach keys ({words}): {error}") from None


def code(key: str) -> int:
    if len(key) == 1 and key.isascii():
        return ord(key)
    if key == "DEL":
        return 127
    if len(key) == 6 and key.startswith("ctrl-") and key[5] in CONTROL:
        return CONTROL.index(key[5])
    raise ValueError(f"Unknown character: '{key}'")


class DetachKeys:
    """Watches for the keys; what may become them is held back until the next byte decides."""

    def __init__(self, words: str = ""):
        self.keys, self.held = parsed(words), b""

    def typed(self, data: bytes) -> tuple[bytes, bool]:
        """What is to be passed on of it, and whether the keys have come: what follows them is nobody's."""
        passed = bytearray()
        for number in data:
            self.held += bytes([number])
            while not self.keys.startswith(self.held):
                passed.append(self.held[0])
                self.held = self.held[1:]
            if self.held == self.keys:
                return bytes(passed), True
        return bytes(passed), False

    def finish(self) -> bytes:
        """Nothing more is typed: what was held back was meant as it came."""
        held, self.held = self.held, b""
        return held
