"""A town, or a host alone, in network namespaces."""

from helpers.town import host, town

__all__ = ["host", "town"]
