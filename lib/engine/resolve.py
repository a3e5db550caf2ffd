"""From a name to an image: here, or pulled, or (for a name of the Hub, when the Hub cannot be reached) a stand-in."""

from __future__ import annotations

import sys
from collections.abc import Callable

from lib.engine import shortnames
from lib.images import Image, ImageError, Library, StoreError, references


def say(text: str) -> None:
    print(text, file=sys.stderr)


def image(library: Library, text: str, pull: str = "missing", tell: Callable[[str], object] = say, **how) -> Image:
    """The image for ``run`` and ``FROM``. ``pull`` is ``always``, ``missing`` or ``never``, as in Docker. Raises ``ImageError``."""
    if pull != "always":
        try:
            return library.find(text)
        except StoreError as error:
            if pull == "never":
                raise
            missing = error
    if (name := str(references.parse(text)).removesuffix(":latest")) in shortnames.HERE:
        return shortnames.make(library, name)
    if shortnames.offline():
        return substitute(library, text, missing if pull != "always" else StoreError(f"cannot pull {text}: SUITCASE_OFFLINE is set"), tell)
    from lib.registry import transfer

    if pull != "always":
        tell(f"Unable to find image '{references.parse(text).familiar}' locally")
    try:
        return transfer.pull(library, text, **how)
    except transfer.Unreachable as error:
        return substitute(library, text, error, tell)


def substitute(library: Library, text: str, error: ImageError, tell: Callable[[str], object]) -> Image:
    """The stand-in, and a word about it. Raises ``error`` where there is none."""
    name = shortnames.stand_in(text)
    if name is None:
        raise type(error)(f"{error}{nearly(library, text)}") from None
    found = shortnames.make(library, name)
    tell(f"{references.parse(text).familiar}: no registry can be reached, so {name}, made on this machine, stands in")
    return found


def nearly(library: Library, text: str) -> str:
    """A typing mistake? The name that is here, or that can be made here, and is nearly the same."""
    from difflib import get_close_matches

    here = {references.parse(name).familiar for one in library.images() for name in one.names} | set(shortnames.HERE)
    near = get_close_matches(references.parse(text).familiar, sorted(here), 1, 0.8)
    return f" (here is {near[0]}: is that meant?)" if near else ""
