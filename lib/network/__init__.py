"""Networks as objects: their addresses, their bridge, who is on them, who reaches whom."""

from lib.lazy import hand_on

__getattr__, __all__ = hand_on(
    __name__,
    {
        "definitions": "Network NetworkError create find every prune remove",
        "connecting": "Connection Wish Wishes on",
    },
)
