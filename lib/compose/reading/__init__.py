"""From the text of Compose files to the model, in the specification's phases; each value knows its place all the way.

``load`` is the entrance. See https://github.com/compose-spec/compose-spec/blob/main/spec.md
"""

from lib.compose.reading.finding import Request
from lib.compose.reading.loading import Loaded, load
from lib.compose.reading.nodes import ComposeError, Place, Problem

__all__ = ["ComposeError", "Loaded", "Place", "Problem", "Request", "load"]
