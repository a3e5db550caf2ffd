"""The build context: the folder beside the Dockerfile, as ``COPY`` may see it.

What is in it counts by content, not by time: each file has a digest of type, mode and bytes. Reading 50,000 files for that takes
seconds, so a digest is kept with what stat(2) said of the file, and read anew only when size, mtime, ctime or inode have changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice, takewhile
from time import time_ns
from typing import NamedTuple

from lib import linux
from lib.beneath import Folder, Place
from lib.build.globs import BadGlob, compile_glob, compile_ignore
from lib.build.ignore import Ignore, open_ignore
from lib.images import ImageError, Merged, Store
from lib.images.overlays import owner, xattrs

LOOKED_INTO = 100_000  # folders, for one pattern


class ContextError(ImageError):
    """A source that is not there, or that no build may have."""


class File(NamedTuple):
    """Something that ``COPY`` may take: its path from the top, where it really lies, its status."""

    path: str
    real: Place
    about: os.stat_result


class Tree:
    """Something to copy from. A context is one, an image or an earlier stage another."""

    name = "the build context"
    owned = False  # owners and extended attributes count: an image's are copied, a context's are not
    strange = False  # somebody may change it while it is read; what lies in images never changes

    def __init__(self, merged: Merged, memory: Memory | None = None, ignore: Ignore | None = None):
        self.merged, self.memory, self.ignore = merged, memory or Memory(), ignore or Ignore([])
        self.known: dict[tuple[str, str], str] = {}  # place → digest: a file that two COPYs take is hashed once

    def ignored(self, path: str) -> bool:
        return bool(self.ignore.rules) and self.ignore.ignored(path)

    def find(self, pattern: str, deep: bool = False) -> list[File]:
        """What a ``COPY`` source names: one path, or all that a pattern with ``*``, ``?`` or ``[`` matches, in order; that may be nothing.

        A link at the end is followed. ``deep``: ``**`` is any number of folders. Raises ``ContextError``, which says why there is nothing.
        """
        if not any(sign in pattern for sign in "*?["):
            return [self.one(pattern)]
        names = (clean := self.clean(pattern)).split("/")
        try:
            found = [self.one(path) for path in (self.matching_deep(names) if deep and "**" in pattern else self.matching(names))]
        except BadGlob as error:
            raise ContextError(f"{pattern[:200]!r} in {self.name}: {error}{self.bracket(clean)}") from None
        if not found and self.bracket(clean):
            raise self.no_match(pattern)
        return found

    def no_match(self, pattern: str) -> ContextError:
        clean = self.clean(pattern)
        return ContextError(f"no file in {self.name} matches {pattern!r}{self.bracket(clean) or self.why_not(clean)}")

    def bracket(self, pattern: str) -> str:
        """``app/[id]/page.tsx`` is a file, and as a pattern it means another."""
        meant = pattern.replace("[", "[[]")
        if meant == pattern or next(self.matching(meant.split("/")), None) is None:
            return ""
        return f". There is something of this very name, but in COPY and ADD a [ begins a set of characters: write {meant}"

    def clean(self, path: str) -> str:
        """The path from the top. Raises ``ContextError`` for one that leads outside."""
        parts: list[str] = []
        for part in path.split("/"):
            if part == ".." and not parts:
                raise ContextError(
                    f"forbidden path outside {self.name}: {path!r}. The builder sees only what lies below the folder that it was given: "
                    "give it a folder further up, and name the Dockerfile with -f"
                )
            parts = parts[:-1] if part == ".." else parts + [part] * (part not in ("", "."))
        return "/".join(parts)

    def one(self, path: str) -> File:
        clean = self.clean(path)
        try:
            resolved = self.merged.resolve(clean)
        except OSError as error:
            raise ContextError(f"{path!r} in {self.name}: {error.strerror}") from None
        found = self.merged.find(resolved)
        if not found or (clean and self.ignored(resolved) and not self.any_below(resolved, found[1])):
            raise ContextError(f"{path!r} is not in {self.name}{self.why_not(resolved)}")
        return File(clean, *found)

    def any_below(self, path: str, about: os.stat_result) -> bool:
        """Is something in an ignored folder taken back by a later rule?"""
        return stat.S_ISDIR(about.st_mode) and next(self.below(path), None) is not None

    def why_not(self, path: str) -> str:
        """The cause, as far as it can be seen: a rule of ``.dockerignore``, or a name that is nearly the same."""
        if self.merged.find(path) and (rule := self.ignore.match(path)):
            return f": it is there, but a rule takes it out ({rule})"
        import difflib

        above, _, name = path.rpartition("/")
        near = difflib.get_close_matches(name, self.merged.names(above), 3, 0.7) if len(name) < 100 else []
        return f"; there is {', '.join(f'{above}/{one}'.lstrip('/') for one in near)}" if near else ""

    def matching(self, names: list[str]) -> Iterator[str]:
        """The paths that fit a pattern's names, one for each level. A link to a folder is as good as it. Raises ``ContextError``."""
        folders, left = {"": ""}, LOOKED_INTO
        for name in names[:-1]:
            paths = [path for _, path in islice(self.fitting(name, folders), left + 1)]
            if (left := left - len(paths)) < 0:
                words = f"{'/'.join(names)[:200]!r} in {self.name} leads to more than {LOOKED_INTO} folders"
                raise ContextError(f"{words} (do its links go round in circles?): write out the names of the folders that you mean")
            if not (folders := self.real_folders(paths)):
                return
        yield from (path for real, path in self.fitting(names[-1], folders) if not self.ignored(real))

    def fitting(self, pattern: str, folders: dict[str, str]) -> Iterator[tuple[str, str]]:
        """What has a fitting name in these folders: where it really lies, and the path that leads there."""
        expression = compile_glob(pattern)
        for real, above in folders.items():
            for name in filter(expression.fullmatch, self.merged.names(real)):
                yield f"{real}/{name}".lstrip("/"), f"{above}/{name}".lstrip("/")

    def real_folders(self, paths: list[str]) -> dict[str, str]:
        """Each folder once, however many links lead there: where it really lies, and its path, a link's only for want of its own."""
        found: dict[str, str] = {}
        for path in paths:
            if (real := self.leads_to(path)) == path:
                found.pop(path, None)
            if real is not None:
                found.setdefault(real, path)
        return found

    def matching_deep(self, names: list[str]) -> Iterator[str]:
        """The same with ``**``: all below the names without a sign is compared. A folder that fits stands for all that is in it."""
        plain = list(takewhile(lambda name: not set(name) & set("*?[\\"), names))
        above, matches, taken = "/".join(plain), compile_ignore("/".join(names[len(plain) :])), None
        real = self.leads_to(above) or above
        for file in self.below(real):
            inner = file.path.removeprefix(real).lstrip("/")
            if matches(inner) and not (taken and inner.startswith(f"{taken}/")):
                taken = inner
                yield f"{above}/{inner}".lstrip("/")

    def leads_to(self, path: str) -> str | None:
        """Where a folder really lies; None where its links lead round in a circle, or through a file."""
        try:
            return self.merged.resolve(path)
        except OSError:
            return None

    def below(self, path: str) -> Iterator[File]:
        """Everything in a folder, as far as it is not ignored; each folder before what is in it, in the order of names."""
        todo = self.merged.inner(path)
        while todo:
            inner = todo.pop()
            if not (found := self.merged.find(inner)):
                continue  # somebody has removed it meanwhile
            ignored = self.ignored(inner)
            if not ignored:
                yield File(inner, *found)
            if stat.S_ISDIR(found[1].st_mode) and not (ignored and self.ignore.skips(inner)):
                todo += self.merged.inner(inner)

    def digests(self, file: File) -> dict[str, str]:
        """The digest of a file, or of all that is in a folder: path → digest. How the folder itself looks, is not copied."""
        if not stat.S_ISDIR(file.about.st_mode):
            return {"": self.digest(file)}
        resolved = self.merged.resolve(file.path)
        start = len(resolved) + 1 if resolved else 0
        return {one.path[start:]: self.digest(one) for one in self.below(resolved)}

    def digest(self, file: File) -> str:
        where = file.real.top, file.real.inner
        if where not in self.known:
            found = self.memory.digest(file)
            self.known[where] = f"{found} {owner_and_attributes(file)}" if self.owned else found
        return self.known[where]


class Context(Tree):
    """A folder of this machine, with its ``.dockerignore`` and the memory of what was read before."""

    strange = True

    def __init__(self, top: Folder, store: Store | None = None, beside: tuple[Folder, str] | None = None):
        self.top = top
        merged = Merged([f"/proc/self/fd/{top.fd}"])
        super().__init__(merged, Memory(store, top), open_ignore(top, beside))

    def verify(self, file: File, content: bytes, wanted: str | None) -> None:
        """Is the ``content`` that was copied the one that was hashed for the key (``wanted``)? Raises ``ContextError``.

        Else the cache would hold a layer under the key of another content, and hand it to every other build. What stat(2) says does
        not settle it: who writes to a page of mmap(2) that is dirty already changes no time stamp.
        """
        known = not stat.S_ISREG(file.about.st_mode) or ((now := file.real.look()) and self.memory.knows(file._replace(about=now)))
        if not known or digest(file.about, content) != wanted:
            self.memory.forget(file)
            raise self.changed(file.path)

    def changed(self, path: str) -> ContextError:
        return ContextError(f"{path!r} changed while it was being copied: build again (is an editor, or a log, at work there?)")


class Memory:
    """What was read of a context, the last time: path → what stat(2) said, and the digest. Without a store nothing is remembered."""

    def __init__(self, store: Store | None = None, top: Folder | None = None):
        self.store, self.before, self.now = None, {}, {}
        self.device = top and os.fstat(top.fd).st_dev
        self.read = 0  # files that were opened
        if store and (mount := believed(top.fd, store)) is not None:
            self.store, self.mount = store, [mount]
            self.path = f"contexts/{hashlib.sha256(os.fsencode(top.path)).hexdigest()[:32]}"
            (store.place / "contexts").mkdir(exist_ok=True)
            with suppress(FileNotFoundError, ValueError):
                found = json.loads((store.place / self.path).read_bytes())
                self.before = found if found.pop("", None) == self.mount else {}

    def digest(self, file: File) -> str:
        if not stat.S_ISREG(file.about.st_mode):
            return digest(file.about, os.fsencode(file.real.readlink()) if stat.S_ISLNK(file.about.st_mode) else b"")
        key, facts = self.entry(file)
        known = self.before.get(key)
        if known and known[:-1] == facts:
            found = known[-1]
        else:
            self.read += 1
            with file.real.open(file.about) as opened:
                found = digest(file.about, hashlib.file_digest(opened, "sha256").digest())
        self.now[key] = [*facts, found]
        return found

    def knows(self, file: File) -> bool:
        """Was a digest taken of the file, as it is now?"""
        key, facts = self.entry(file)
        return self.now.get(key, [])[:-1] == facts

    def forget(self, file: File) -> None:
        """Read it anew the next time, whatever stat(2) says."""
        self.now.pop(self.entry(file)[0], None)

    def entry(self, file: File) -> tuple[str, list]:
        """Under which name it is remembered (where it lies: links may lead there under others), and what stat(2) says."""
        about = file.about
        facts = [about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino, about.st_mode, about.st_dev == self.device]
        return os.fsencode(file.real.inner).decode("latin-1"), facts

    def changed(self) -> list[str]:
        """The files that were read this time and are not as they were the last time, as far as that is known."""
        return [key for key, facts in sorted(self.now.items()) if self.before and self.before.get(key, [None])[-1] != facts[-1]]

    def save(self) -> None:
        """Keep what was seen, if something of it is new. A file that changed within the last moment may change again unseen."""
        if self.store and self.now != self.before:
            newest = max((facts[2] for facts in self.now.values()), default=0)
            kept = {path: facts for path, facts in self.now.items() if facts[5] and (facts[2] < newest or facts[2] < time_ns() - MOMENT)}
            with self.store.locked("index"):
                self.store.replace(self.path, kept | {"": self.mount})


def believed(fd: int, store: Store) -> str | None:
    """The mount on which stat(2) is believed; "": the store's disk. None: another one in its place, a stranger's, could say the same."""
    if os.fstat(fd).st_dev == store.place.stat().st_dev:
        return ""
    number = linux.mount_id(fd)
    return number and f"{linux.read('/proc/sys/kernel/random/boot_id').strip()} {number}"


MOMENT = 20_000_000  # ns; a clock tick of the file system's time stamps is 4 to 10 ms


def owner_and_attributes(file: File) -> str:
    return f"{owner(file.about)} {sorted(file.real.call(xattrs).items())}"


def digest(about: os.stat_result, content: bytes) -> str:
    """Type, mode and content (see ``changes.content``); owner and times are left out: they are not part of what a context is."""
    if stat.S_ISCHR(about.st_mode) or stat.S_ISBLK(about.st_mode):
        content = str(about.st_rdev).encode()
    mode = 0 if stat.S_ISLNK(about.st_mode) else about.st_mode
    return hashlib.sha256(b"%o %o " % (stat.S_IFMT(about.st_mode), mode) + content).hexdigest()
