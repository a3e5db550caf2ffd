"""``cp`` itself: from a container, to a container, as a stream of tar either way."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple

from lib import linux
from lib.engine import making
from lib.engine.copying.entries import CannotCopy, Entry
from lib.engine.copying.planting import Owner, Planting, as_it_is, whoever_copies
from lib.engine.copying.reading import FOLDER, Tree
from lib.engine.finding import mounts
from lib.engine.transfer import places
from lib.engine.transfer.places import IN_ROOT, Place, own_name, reach, target
from lib.engine.transfer.views import root_of
from lib.images import Library

BLOCK = 512  # bytes: a tar file's headers have so many, and files in it are filled up to that
KERNELS = ("dev", "proc", "sys")
LONG = 100  # bytes of a name that a header holds


class Copied(NamedTuple):
    """Bytes of the files, and of the tar file that Docker would have sent; devices that were left out."""

    content: int
    sent: int
    left_out: tuple[str, ...] = ()


class Counting:
    """Entries, counted as they go by."""

    def __init__(self, entries: Iterable[Entry]):
        self.entries, self.content, self.sent = entries, 0, 2 * BLOCK

    def __iter__(self) -> Iterator[Entry]:
        for one in self.entries:
            size = one.size if stat.S_ISREG(one.mode) and not one.first else 0
            self.content += size
            self.sent += BLOCK + size + -size % BLOCK + (2 * BLOCK if len(one.path) > LONG or len(one.target) > LONG else 0)
            yield one


class Container(NamedTuple):
    """A container's side of a copy: who it is, as it was called, and its root."""

    facts: dict
    called: str
    root: int

    def reach(self, path: str, follow: bool) -> Place:
        """Raises ``LookupError``, in Docker's words, if its folder is not there."""
        try:
            return reach(self.root, path, follow)
        except FileNotFoundError:
            raise self.missing(os.path.dirname(places.cleaned(path))) from None

    def missing(self, path: str) -> LookupError:
        return LookupError(f"Could not find the file {path} in container {self.called}")

    def read_only(self, path: str) -> ValueError:
        there = [one for one in mounts(self.facts) if f"{places.cleaned(path)}/".startswith(f"{one['target']}/")]
        deepest = max(there, key=lambda one: len(one["target"]), default=None)
        return ValueError("mounted volume is marked read-only" if deepest else "container rootfs is marked read-only")


# -- out ----------------------------------------------------------------------------------------------------------------


def out(library: Library, facts: dict, called: str, path: str, local: str, follow: bool = False) -> Copied:
    """Copy what is at ``path`` in a container to the local path ``local``. Raises ``CannotCopy``, ``LookupError``, ``OSError``."""
    with root_of(library, facts) as root, Source(Container(facts, called, root), path, follow) as source:
        top, name = target(source.place.is_folder, source.name, local, lambda: at_home(local, True))
        try:
            entries = Counting(source.entries(name))
            planting = Planting(top, whoever_copies, devices=False)
            planting.all(entries)
        finally:
            os.close(top)
    return Copied(entries.sent if source.place.is_folder else entries.content, entries.sent, tuple(planting.left_out))


def stream_out(library: Library, facts: dict, called: str, path: str, file: BinaryIO, follow: bool = False) -> None:
    """Write what is at ``path`` to ``file``, as a tar file."""
    from lib.engine.transfer import tarring

    with root_of(library, facts) as root, Source(Container(facts, called, root), path, follow) as source:
        tarring.write(source.entries(source.name), file, not source.name)


class Source:
    """Something in a container, reached, for the length of a ``with``."""

    def __init__(self, container: Container, path: str, follow: bool):
        self.name = own_name(path)
        self.place, self.root = container.reach(path, follow), container.root
        if self.place.about is None:
            os.close(self.place.above)
            raise container.missing(path)

    def entries(self, name: str) -> Tree:
        """As a copy of that name. Of the root the kernel's own folders stay empty, as in Docker: they are no files of the container's."""
        is_root = os.path.samestat(self.place.about, os.fstat(self.root))
        return Tree(self.place.above, self.place.name, name, empty={os.path.join(name, one) for one in KERNELS} if is_root else ())

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *error) -> None:
        os.close(self.place.above)


def at_home(path: str, follow: bool) -> Place:
    """A path of this machine, from where we are. Here every link is followed as usual."""
    top = os.open("/", places.UP)
    try:
        return reach(top, os.path.join(os.getcwd(), path), follow, 0)
    finally:
        os.close(top)


# -- in -----------------------------------------------------------------------------------------------------------------


def into(library: Library, facts: dict, called: str, local: str, path: str, follow: bool = False, archive: bool = False) -> Copied:
    """Copy the local path ``local`` to ``path`` in a container; ``archive`` gives all of it to the container's user.

    Raises ``CannotCopy``, ``LookupError``, ``ValueError``, ``OSError``.
    """
    source = at_home(local, follow)
    try:
        if source.about is None:
            raise FileNotFoundError(errno.ENOENT, f"lstat {os.path.abspath(local)}: {os.strerror(errno.ENOENT).lower()}")
        with root_of(library, facts) as root:
            container = Container(facts, called, root)
            top, name = target(source.is_folder, own_name(local), path, lambda: container.reach(path, True))
            try:
                entries = Counting(Tree(source.above, source.name, name))
                plant(container, path, Planting(top, owner_of(library, facts, archive)), entries)
            finally:
                os.close(top)
    finally:
        os.close(source.above)
    return Copied(entries.content, entries.sent)


def stream_into(library: Library, facts: dict, called: str, file, path: str, archive: bool = False) -> None:
    """Unpack a tar file into the folder ``path`` of a container. Raises ``CannotCopy``, ``LayerError``, ``OSError``."""
    from lib.engine.transfer import tarring

    with root_of(library, facts) as root:
        container = Container(facts, called, root)
        place = container.reach(path, True)
        try:
            if not place.is_folder:
                raise CannotCopy(f'destination "{called}:{path}" must be a directory')
            top = place.folder()
        finally:
            os.close(place.above)
        try:
            find = lambda inner: linux.openat2(root, f"{places.cleaned(path)}/{inner}", FOLDER & ~os.O_NOFOLLOW, IN_ROOT)
            planting = Planting(top, owner_of(library, facts, archive), find)
            plant(container, path, planting, tarring.read(file))
        finally:
            os.close(top)


def plant(container: Container, path: str, planting: Planting, entries: Iterable[Entry]) -> None:
    try:
        planting.all(entries)
    except OSError as error:
        if error.errno == errno.EROFS:
            raise container.read_only(path) from None
        raise


def owner_of(library: Library, facts: dict, archive: bool) -> Owner:
    """Whose a file is in there: as it is here, or the container's user's."""
    if os.geteuid():
        return whoever_copies
    if not (archive and facts["config"]["user"]):
        return as_it_is
    user = making.who(library, facts, facts["config"]["user"])
    return lambda entry: (user.uid, user.gid)
