"""From a name to an image: here, or pulled, or (for a name of the Hub, when the Hub cannot be reached) a stand-in."""

from __future__ import annotations

import sys
from collections.abc import Callable

from lib.engine.naming import shortnames
from lib.images import Image, ImageError, Library, StoreError, references
from lib.images import image as images
from lib.images.store import NAME


def say(text: str) -> None:
    print(text, file=sys.stderr)


def image(
    library: Library, text: str, pull: str = "missing", tell: Callable[[str], object] = say, platform: dict[str, str] | None = None, **how
) -> Image:
    """The image for ``run`` and ``FROM``. ``pull`` is ``always``, ``missing`` or ``never``, as in Docker. Raises ``ImageError``.

    With a ``platform`` it must be for that one: what is here under the name, for another, is no answer.
    """
    if pull != "always":
        try:
            return suitable(library.find(text), text, platform)
        except StoreError as error:
            if pull == "never":
                raise
            missing = error
    ours = platform is None or images.fits(images.here(), platform) is not None
    if ours and (name := str(references.parse(text)).removesuffix(":latest")) in shortnames.HERE:
        return shortnames.make(library, name)
    if shortnames.offline():
        error = missing if pull != "always" else StoreError(f"cannot pull {text}: SUITCASE_OFFLINE is set")
        return substitute(library, text, error, tell, ours)
    from lib.registry import transfer

    if pull != "always":
        tell(f"Unable to find image '{references.parse(text).familiar}' locally")
    try:
        return transfer.pull(library, text, **how) if ours else foreign(library, text, images.platform_name(platform), **how)
    except transfer.Unreachable as error:
        return substitute(library, text, error, tell, ours)


def suitable(found: Image, text: str, platform: dict[str, str] | None) -> Image:
    if platform and not images.suits(found.platform, platform):
        there, wanted = images.platform_name(found.platform), images.platform_name(platform)
        raise StoreError(f"{text} is here for {there} only, and {wanted} is wanted (FROM --platform=$BUILDPLATFORM takes this machine's)")
    return found


def foreign(library: Library, text: str, platform: str, **how) -> Image:
    """An image for another platform. If its name was taken here, it stays with what this machine can run."""
    from lib.registry import transfer

    name = str(references.parse(text))
    before = library.store.names().get(name)
    found = transfer.pull(library, text, platform, **how)
    if before:
        notes = {key: value for key, value in before["annotations"].items() if key != NAME}
        library.store.tag(name, before, **notes)
    return found


def substitute(library: Library, text: str, error: ImageError, tell: Callable[[str], object], ours: bool) -> Image:
    """The stand-in, and a word about it. Raises ``error`` where there is none, or where another platform's is wanted (not ``ours``)."""
    name = shortnames.stand_in(text)
    if not ours:
        words = f" ({name}, which stands in for it here, is for this machine's platform only)" if name else ""
        raise type(error)(f"{error}{words}") from None
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
