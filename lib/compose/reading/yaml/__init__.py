"""Phases 1 and 2: the text of a YAML file becomes a tree of nodes with places."""

from lib.compose.reading.yaml.parsing import LARGEST, Document, documents

__all__ = ["LARGEST", "Document", "documents"]
