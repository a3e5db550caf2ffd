"""The project written down again, as ``config`` prints it: all of it, parts of it, and where each value came from."""

from lib.compose.reading.canonical.hashing import config_hash
from lib.compose.reading.canonical.lists import environment, images, models, networks, profiles, services, variables, volumes
from lib.compose.reading.canonical.origins import provenance
from lib.compose.reading.canonical.shape import document
from lib.compose.reading.canonical.writing import as_json, as_yaml, uninterpolated

__all__ = [
    "as_json", "as_yaml", "config_hash", "document", "environment", "images", "models", "networks", "profiles", "provenance", "services",
    "uninterpolated", "variables", "volumes",
]  # fmt: skip
