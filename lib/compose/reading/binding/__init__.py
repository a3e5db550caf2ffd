"""Phase 15: texts become numbers, times and sizes, and the tree becomes the model."""

from lib.compose.reading.binding.model import bound, origins, typed

__all__ = ["bound", "origins", "typed"]
