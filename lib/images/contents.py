"""The content of a member of a layer, from the tar file to the disk."""

from __future__ import annotations

import os

from lib.images.entries import LayerError

BLOCK = 1 << 20
HOLE = bytes(BLOCK)


def copy(source, out: int, size: int) -> None:
    """The content of a file, piece by piece as it comes. Raises ``LayerError`` if there is less than announced."""
    left = size
    while left and (piece := source.some(left)):
        left -= len(piece)
        while piece:
            piece = piece[os.write(out, piece) :]
    if left:
        raise LayerError(f"the layer ends in the middle of a file: {left} bytes are missing")


def copy_sparse(source, out: int, size: int) -> None:
    """A file with holes: a block of zeros becomes one again. Raises ``LayerError`` if there is less than announced."""
    position = 0
    while data := source.read(min(BLOCK, size - position)):
        position += len(data)
        if data == HOLE[: len(data)]:
            os.lseek(out, position, os.SEEK_SET)
            continue
        piece = memoryview(data)
        while piece:
            piece = piece[os.write(out, piece) :]
    if position != size:
        raise LayerError(f"the layer ends in the middle of a file: {size - position} bytes are missing")
    os.ftruncate(out, size)
