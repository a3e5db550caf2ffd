"""Names: a container asks 127.0.0.11, and one server of ours answers them all, for what is theirs and, by way of others, for the rest."""

from lib.lazy import hand_on

__getattr__, __all__ = hand_on(
    __name__,
    {
        "answering": "Query answer",
        "own": "Answered",
        "resolvconf": "Hosts Resolvers behind_the_stub",
        "server": "Server",
        "settings": "ADDRESS Settings",
        "zone": "View Zone",
    },
)
