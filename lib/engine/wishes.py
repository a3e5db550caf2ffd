"""``suitcase run``: an image says how its container starts, the command line may say otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from lib import state
from lib.container import Container
from lib.images import Image, Library, Merged
from lib.ingredients import users
from lib.shield import Shield


@dataclass
class Wishes:
    """What the command line says, in Docker's words; None is "as the image says"."""

    command: Sequence[str] = ()
    entrypoint: str | None = None
    env: dict[str, str] = field(default_factory=dict)
    workdir: str | None = None
    user: str | None = None
    options: dict = field(default_factory=dict)  # of ``Container``


def argv(image: Image, wishes: Wishes) -> list[str]:
    """ENTRYPOINT and CMD become one list; a new entrypoint makes the image's CMD void. Raises ``ValueError``."""
    entrypoint, command = image.runtime.get("Entrypoint") or [], image.runtime.get("Cmd") or []
    if wishes.entrypoint is not None:
        entrypoint, command = ([wishes.entrypoint] if wishes.entrypoint else []), []
    words = [*entrypoint, *(wishes.command or command)]
    if not words:
        raise ValueError("no command specified: the image has neither CMD nor ENTRYPOINT, so say what to run")
    return words


def environment(image: Image, wishes: Wishes) -> dict[str, str]:
    words = [word.partition("=") for word in image.runtime.get("Env") or []]
    return {name: value for name, _, value in words if name} | wishes.env


@contextmanager
def kept(image: Image) -> Iterator[None]:
    """Nobody takes the image's layers away, although its container is not on record yet."""
    with Shield() as shield:  # an interrupt must not come between the record and its removal
        record = state.new_record(f"run-{state.new_id()}", (), image=image.id, chains=image.chain_ids)
        try:
            with shield.opened():
                yield
        finally:
            record.remove()


def container(library: Library, image: Image, wishes: Wishes) -> Container:
    """A container of the image, not started. Raises ``LookupError`` for a user that the image does not know, ``ValueError``."""
    folders = library.folders(image)
    who = wishes.user if wishes.user is not None else image.runtime.get("User") or ""
    user = users.find(who, Merged(folders).read)
    with library.store.using():  # a prune beside us would sweep what is only being made
        lowest = library.chains.mountpoints()
    made = Container(
        [lowest, *folders],
        argv(image, wishes),
        env={"HOME": user.home, **environment(image, wishes)},
        workdir=wishes.workdir or image.runtime.get("WorkingDir") or "/",
        user=user,
        **wishes.options,
    )
    made.plan.about = {"image": image.id, "chains": image.chain_ids, "called": made.name, "folder": made.folder}
    return made
