"""The images of this machine, as the commands see them."""

from __future__ import annotations


def library():
    from lib.images import Library, Store

    return Library(Store())


def in_use() -> frozenset[str]:
    """The ids of images that containers stand on."""
    from lib.state import kept

    return kept.images()


def disk(ours) -> int:
    """Bytes of all blobs."""
    return sum(path.stat().st_size for path in (ours.store.place / "blobs").rglob("*") if path.is_file())
