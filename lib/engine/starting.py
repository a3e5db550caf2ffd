"""A program that starts containers again, as the command ``start`` would, and ends. See ``daemons.again``, which tells it which ones."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

if __name__ == "__main__":  # started as a file, with no search path: the folder three above this one holds `lib`
    sys.path.insert(0, os.path.abspath(f"{__file__}/../../.."))

from lib import linux
from lib.engine import lifecycle
from lib.images import Library, Store
from lib.process.starter import forget_the_caller


def main(*places: str) -> None:
    """Start each of those in these folders that still waits for it. What kept one from starting stands in its facts."""
    linux.set_title("suitcase:again")
    forget_the_caller()
    library = Library(Store())
    for place in places:
        with suppress(Exception):
            lifecycle.start(library, Path(place), again=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
