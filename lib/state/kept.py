"""Containers that outlive their makers, as they lie on disk: a folder each, and in it one file, ``container.json``, with what is known.

The file is written whole or not at all (a draft, renamed over it). It carries a version: a suitcase that meets a newer one than it
understands says so, and touches nothing. Not synced to disk: after a power cut the last seconds may be missing, as of everything.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lib.state.places import folder, store
from lib.state.removal import rmtree

VERSION = 1
SHORT = 12  # digits of an id that name its folder, its cgroup, its record
NAME = "container.json"
UP = ("running", "paused")  # what its state says as long as it has a process


_named: dict[Path, tuple[tuple, str]] = {}  # what ``names`` saw last


class Unreadable(ValueError):
    """A container's file that this suitcase does not understand."""


def containers() -> Path:
    """Where they all lie."""
    return store() / "containers"


def place(container: dict | str) -> Path:
    """The folder of a container, by its facts or its id."""
    return containers() / (container if isinstance(container, str) else container["id"])[:SHORT]


def is_short(name: str) -> bool:
    """Is it how a container's folder is called? One that is not complete yet, or holds no container of ours, is called otherwise."""
    return len(name) == SHORT


def load(where: Path) -> dict:
    """The facts in a container's folder. Raises ``FileNotFoundError`` when it has been removed, ``Unreadable``."""
    with open(f"{where}/{NAME}", "rb") as file:  # a hundred are read for one list: a path of its own for each would take longer
        text = file.read()
    try:
        facts = json.loads(text)
        version = facts["version"]
    except (ValueError, KeyError, TypeError):
        raise Unreadable(f"{where / NAME} is damaged: suitcase rm -f {where.name} removes what is left of the container") from None
    if version != VERSION:
        raise Unreadable(f"{where / NAME} was written by another suitcase (version {version!r}; this one reads {VERSION})")
    return facts


def save(facts: dict, where: Path | None = None) -> None:
    """Write a container's facts. Only who holds its lock may. Raises ``OSError``; what was there is there still, then."""
    where = where or place(facts)
    draft = where / "container.new"
    text = json.dumps(facts)
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w") as file:
            file.write(text)
        os.replace(draft, where / NAME)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        raise


def erase(where: Path) -> None:
    """Remove a container's folder, and what it is known by last of all: as long as something is left, somebody can see it, and finish."""
    for path in where.iterdir():
        if path.is_dir() and not path.is_symlink():
            rmtree(str(path))
        elif path.name != NAME:
            path.unlink(missing_ok=True)
    rmtree(str(where))


def every() -> list[dict]:
    """The facts of all containers, the newest first. What is damaged or from another version is left out: ``load`` says why."""
    found, there = [], containers()
    with suppress(FileNotFoundError):
        for name in filter(is_short, os.listdir(there)):
            with suppress(FileNotFoundError, NotADirectoryError, Unreadable):
                found.append(load(there / name))
    return sorted(found, key=lambda facts: facts["created"], reverse=True)


def names() -> dict[str, str]:
    """Of all containers that ``every`` finds: name → folder. A file that has stayed the same is not read again: a hundred may be named."""
    global _named
    found = {}
    with suppress(FileNotFoundError):
        for path in (containers() / name / NAME for name in filter(is_short, os.listdir(containers()))):
            with suppress(FileNotFoundError, NotADirectoryError, Unreadable):
                about = path.stat()
                which = (about.st_dev, about.st_ino, about.st_mtime_ns)
                before, name = _named.get(path, (None, ""))
                found[path] = (which, name if before == which else load(path.parent)["name"])
    _named = found
    return {name: path.parent.name for path, (_, name) in found.items()}


def stood_on() -> list[dict]:
    """What every container says of its image and layers, those of another version included: nobody may take them away under it."""
    found = []
    for path in containers().glob(f"*/{NAME}"):
        with suppress(OSError, ValueError):
            facts = json.loads(path.read_bytes())
            found += [
                {"image": str(one["image"]), "chains": list(one["chains"])}
                for one in [facts, *(facts.get("mounts") or ())]
                if {"image", "chains"} <= one.keys()
            ]
    return found


def images() -> frozenset[str]:
    """The ids of images that containers stand on."""
    from lib.state.record import records  # whoever lists containers need not load it

    return frozenset(facts["image"] for facts in [*records(), *stood_on()] if "image" in facts)


@contextmanager
def holding(path: Path, kind: int, create: bool = False) -> Iterator[None]:
    """A lock on a file. Raises ``BlockingIOError`` if another has it and ``kind`` does not wait, ``FileNotFoundError``. See flock(2)."""
    lock = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0), 0o600)
    try:
        fcntl.flock(lock, kind)
        yield
    finally:
        os.close(lock)


@contextmanager
def locked(where: Path) -> Iterator[dict]:
    """Nobody else changes this container meanwhile; gives its facts as they are then. Raises ``FileNotFoundError`` if it has gone."""
    with holding(where / "lock", fcntl.LOCK_EX):
        yield load(where)


def busy(where: Path) -> bool:
    """Does somebody hold its lock just now, or has it gone?"""
    with suppress(BlockingIOError, FileNotFoundError), holding(where / "lock", fcntl.LOCK_EX | fcntl.LOCK_NB):
        return False
    return True


@contextmanager
def naming() -> Iterator[None]:
    """Nobody else gives a container a name meanwhile, here or in another process."""
    with holding(folder("containers") / ".names", fcntl.LOCK_EX, create=True):
        yield


@contextmanager
def new(ident: str) -> Iterator[Path]:
    """A folder for a new container, which nobody sees before it is complete, at the end of the block. If that raises, it has gone."""
    draft = folder("containers") / f"{ident[:SHORT]}.new"
    draft.mkdir(0o700)
    try:
        os.close(os.open(draft / "lock", os.O_CREAT | os.O_CLOEXEC, 0o600))
        yield draft
        os.rename(draft, place(ident))  # fails if it is there: two ids that begin with the same digits
    except BaseException:
        rmtree(str(draft))
        raise


@contextmanager
def reading(where: Path) -> Iterator[None]:
    """Its log stays as long as this lasts, even if the container ends meanwhile and is to go with its end (``--rm``)."""
    with holding(where / "readers", fcntl.LOCK_SH, create=True):
        yield


def unread(where: Path, patience: float) -> None:
    """Wait until nobody reads its log any more, at most ``patience`` seconds: a reader may stand still for ever."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        with suppress(BlockingIOError), holding(where / "readers", fcntl.LOCK_EX | fcntl.LOCK_NB, create=True):
            return
        time.sleep(0.005)
