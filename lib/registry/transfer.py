"""``pull`` and ``push``: images between a registry and this machine.

>>> pull(library, "alpine:3.20")                     # doctest: +SKIP
>>> push(library, "localhost:5000/app:1")            # doctest: +SKIP
"""

from __future__ import annotations

import threading
from functools import partial

from lib.images import Image, ImageError, Library, Reference, StoreError, references
from lib.images.image import parse_platform
from lib.registry.client import Registry, loopback
from lib.registry.downloads import Tell
from lib.registry.pace import Stopping
from lib.registry.pulling import Pull
from lib.registry.pushing import Push
from lib.registry.repository import Repository
from lib.registry.transport import RegistryError, Unreachable

__all__ = ["RegistryError", "Unreachable", "pull", "pull_all", "push", "push_all"]


def silent(word: str, what: str = "", done: int = 0, total: int = 0) -> None:
    """Nobody listens."""


def pull(
    library: Library, text: str, platform: str | None = None, tell: Tell = silent, insecure: bool = False, stopping: Stopping | None = None
) -> Image:
    """``docker pull``: have the image, unpacked, under its name. ``platform`` as ``linux/arm64``.

    ``insecure``: plain http will do, and any certificate. ``stopping`` ends it from another thread. Raises ``ImageError``:
    ``Unreachable`` if the registry is not there at all, ``RegistryError`` if it refuses, others if what comes is no image. Then there is
    no new name; whole layers stay for the next try.
    """
    reference = references.parse(text)
    tell = in_turn(tell)
    tell("Pulling from", reference.repository)
    return one(library, shelf(reference, tell, insecure), reference, platform, tell, stopping)


def pull_all(library: Library, text: str, platform: str | None = None, tell: Tell = silent, insecure: bool = False) -> list[Image]:
    """``docker pull --all-tags``. Raises as ``pull``, and ``ImageError`` if ``text`` names a tag."""
    reference, tell = whole(text), in_turn(tell)
    repository = shelf(reference, tell, insecure)
    found = []
    for tag in repository.tags():
        tell("Pulling from", f"{reference.repository}:{tag}")
        found.append(one(library, repository, reference._replace(tag=tag), platform, tell))
    return found


def push(library: Library, text: str, tell: Tell = silent, insecure: bool = False) -> str:
    """``docker push``: returns the digest that the registry knows the image by. Raises ``ImageError``, as ``pull``."""
    reference, tell = references.parse(text), in_turn(tell)
    if reference.digest:
        raise ImageError(f"{text}: a digest cannot be pushed to, only a tag")
    found = here(library, reference)
    return Push(library, shelf(reference, tell, insecure, "pull,push"), reference, tell).run(found)


def push_all(library: Library, text: str, tell: Tell = silent, insecure: bool = False) -> dict[str, str]:
    """``docker push --all-tags``: name → digest. Raises as ``push``."""
    reference, tell = whole(text), in_turn(tell)
    names = [references.parse(name) for name in library.store.names()]
    mine = [name for name in names if name[:2] == reference[:2] and name.tag and not name.digest]
    if not mine:
        here(library, reference)
    repository = shelf(reference, tell, insecure, "pull,push")
    return {str(name): Push(library, repository, name, tell).run(here(library, name)) for name in mine}


# -- what they have in common -------------------------------------------------------------------


def one(library: Library, repository: Repository, reference: Reference, platform: str | None, tell: Tell, stopping=None) -> Image:
    return Pull(library, repository, reference, parse_platform(platform) if platform else None, tell, stopping).run()


def shelf(reference: Reference, tell: Tell, insecure: bool, actions: str = "pull") -> Repository:
    warn = silent if loopback(reference.registry) else partial(tell, "Warning")  # nothing on the way to ourselves need be encrypted
    registry = Registry(reference.registry, insecure, warn)
    return Repository(registry, reference.repository, actions)


def whole(text: str) -> Reference:
    """All tags of a repository are meant: then none may be named."""
    reference = references.parse(text)
    if reference.digest or ":" in text.rpartition("/")[2]:
        raise ImageError(f"{text}: tag can't be used with --all-tags/-a")
    return reference


def here(library: Library, reference: Reference) -> Image:
    try:
        return library.find(str(reference))
    except StoreError as error:
        name = reference.familiar
        words = f"An image does not exist locally with the tag: {name}"
        raise StoreError(f"{words}. suitcase tag SOURCE {name} gives an image that name ({error})") from None


def in_turn(tell: Tell) -> Tell:
    """Layers speak from threads of their own; who listens hears one after the other."""
    lock = threading.Lock()

    def locked(word: str, what: str, done: int = 0, total: int = 0) -> None:
        with lock:
            tell(word, what, done, total)

    return locked
