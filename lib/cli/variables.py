"""``--build-arg``: variables as the command line gives them. Those of ``-e`` and ``--env-file`` are read by ``flags.keyvalues``."""

from __future__ import annotations

import os
from collections.abc import Iterable


def pairs(words: Iterable[str]) -> dict[str, str]:
    """``NAME=value``; a NAME alone takes its value from our own environment, as in Docker. Raises ``ValueError``."""
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name:
            raise ValueError(f"invalid environment variable: {word}")
        if equals or name in os.environ:
            found[name] = value if equals else os.environ[name]
    return found
