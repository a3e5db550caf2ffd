"""Phases 1 and 2: the text of a YAML file becomes a tree of nodes with places."""

from lib.compose.reading.yaml.parsing import Document, documents

__all__ = ["Document", "documents"]
