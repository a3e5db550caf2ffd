"""The suitcase: references, digests, the store, layers packed and unpacked, the library of names."""

from lib.lazy import hand_on

__getattr__, __all__ = hand_on(
    __name__,
    {
        "cache": "Cache Record",
        "digests": "DigestError ImageError Stopped",
        "image": "Image ManifestError",
        "layers": "Layer",
        "library": "Library",
        "merged": "Merged",
        "references": "BadReference Reference",
        "store": "Draft Store StoreError",
    },
)
