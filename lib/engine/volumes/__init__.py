"""Volumes: folders with a name that outlive the containers that have them mounted."""

from lib.lazy import hand_on

__getattr__, __all__ = hand_on(
    __name__,
    {"store": "NoSuchVolume Volume VolumeInUse create every find remove", "pruning": "prune Pruned"},
)
