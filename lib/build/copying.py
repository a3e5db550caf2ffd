"""``COPY`` and ``ADD``: what of which source goes where, with whose name on it."""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import stat
import threading
from dataclasses import dataclass, field
from functools import cached_property

from lib import state
from lib.build import changes
from lib.build.changes import Changes, Looks
from lib.build.context import ContextError, File, Tree
from lib.build.ignore import Ignore
from lib.images import ImageError, Merged, Stopped, compression, digests
from lib.registry.pace import Flow, Stopping

DOWNLOAD_AT_MOST = 8 << 30  # bytes of an ADD from the net
ARCHIVES = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd"}


@dataclass
class Source:
    """One thing to copy: a file, or a folder's contents, of a tree."""

    tree: Tree
    file: File
    text: str  # as the Dockerfile has it

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.file.about.st_mode)

    def name(self, parents: bool) -> str:
        """What it is called in the folder that it goes to; with ``--parents`` its path from the top, or from ``/./`` on."""
        path = self.file.path
        if not parents:
            return posixpath.basename(path)
        above, pivot, _ = self.text.partition("/./")
        depth = len([part for part in above.split("/") if part not in ("", ".")]) if pivot else 0
        return "/".join(path.split("/")[depth:])

    def is_excluded(self, inner: str, rules: Ignore, parents: bool) -> bool:
        """Does ``--exclude`` speak of it, or (``inner``) of something in it? With ``--parents`` its patterns are for the whole path."""
        if parents or not inner:
            inner = f"{self.name(parents)}/{inner}".strip("/")
        return bool(rules.rules) and rules.ignored(inner)

    @cached_property
    def digests(self) -> dict[str, str]:
        """Path → digest of all that there is to copy, as it was when the step's key was made of it."""
        return self.tree.digests(self.file)

    def verify(self, inner: str, file: File, content: bytes) -> None:
        """Is the ``content`` that was copied the one that is in the key? Raises ``ContextError``."""
        if self.tree.strange:
            self.tree.verify(file, content, self.digests.get(inner))

    def verify_whole(self, seen: set[str], rules: Ignore, parents: bool) -> None:
        """Was all of the folder there that is in the key? Raises ``ContextError``."""
        for path in sorted(self.digests.keys() - seen) if self.tree.strange else ():
            if not self.is_excluded(path, rules, parents):
                raise self.tree.changed(f"{self.file.path}/{path}".lstrip("/"))


def find(tree: Tree, patterns: tuple[str, ...]) -> list[Source]:
    """Every source of the instruction, in order. Raises ``ContextError``."""
    return [Source(tree, file, pattern) for pattern in patterns for file in tree.find(pattern)]


def find_deep(tree: Tree, patterns: tuple[str, ...]) -> list[Source]:
    """The same as ``--parents`` has it, with ``**`` for any number of folders."""
    return [Source(tree, file, pattern) for pattern in patterns for file in tree.find(pattern, deep=True)]


def named(tree: Tree, paths: tuple[str, ...]) -> list[Source]:
    """These very paths: names of our own making, in which a ``*`` or a ``[`` is a character like any other."""
    return [Source(tree, tree.one(path), path) for path in paths]


def content(sources: list[Source], exclude: tuple[str, ...] = (), parents: bool = False) -> str:
    """One digest of all that would be copied: names (with ``parents`` whole paths), types, modes and bytes."""
    hashed, rules = hashlib.sha256(), Ignore(exclude, "--exclude")
    for source in sources:
        name = source.text + "\0" + source.file.path if parents else "" if source.is_folder else posixpath.basename(source.file.path)
        hashed.update(b"\0source " + os.fsencode(name))
        for path, digest in sorted(source.digests.items()):
            if not source.is_excluded(path, rules, parents):
                hashed.update(b"\0" + os.fsencode(path) + b"\0" + digest.encode())
    return hashed.hexdigest()


@dataclass
class Copying:
    """Where to, and how it shall look there. ``dest`` is absolute; a slash at its end says that it is a folder."""

    changes: Changes
    dest: str
    looks: Looks
    exclude: tuple[str, ...] = ()
    parents: bool = False
    attributes: bool = False
    stopping: threading.Event = field(default_factory=threading.Event)
    implied: frozenset[str] = frozenset()  # folders of an archive that it uses and does not describe: they say nothing of how they look

    def __post_init__(self):
        self.rules = Ignore(self.exclude, "--exclude")
        self.target = self.changes.resolve(self.dest)

    def copy(self, sources: list[Source]) -> None:
        """Several sources, or a slash at the end, need a folder. Raises ``ContextError``."""
        folder = self.dest.endswith(("/", "/.")) or self.parents
        if len(sources) > 1 and not folder:
            words = f"When using COPY with more than one source file, the destination must be a directory and end with a /: {self.dest}"
            raise ContextError(words)
        for source in sources:
            if source.is_folder:
                self.folder(source)
            elif folder or self.changes.is_folder(self.target):
                self.file(source, f"{self.target}/{source.name(self.parents)}")
            else:
                self.file(source, self.target)
        self.changes.finish()

    def file(self, source: Source, path: str) -> None:
        if not source.is_excluded("", self.rules, self.parents):
            self.put(source, "", source.file, path.lstrip("/"))

    def put(self, source: Source, inner: str, file: File, path: str) -> None:
        if self.stopping.is_set():
            raise Stopped("stopped")
        self.changes.folder(posixpath.dirname(path), self.looks.of_new_folders, file.about.st_mtime_ns)
        content = self.changes.copy(file.real, file.about, path, self.looks, self.attributes, hashed=source.tree.strange)
        source.verify(inner, file, content)

    def folder(self, source: Source) -> None:
        """What is in the folder, not the folder; ``--parents`` takes its path along."""
        top = f"{self.target}/{source.name(self.parents)}".strip("/") if self.parents else self.target
        self.changes.folder(top, self.looks.of_new_folders, source.file.about.st_mtime_ns)
        resolved, seen = source.tree.merged.resolve(source.file.path), set()
        for file in source.tree.below(resolved):
            inner = file.path.removeprefix(resolved).lstrip("/")
            seen.add(inner)
            if source.is_excluded(inner, self.rules, self.parents):
                continue
            path = f"{top}/{inner}".lstrip("/")
            if inner in self.implied:
                self.changes.folder(path, self.looks.of_new_folders, source.file.about.st_mtime_ns)
            elif stat.S_ISDIR(file.about.st_mode):
                self.changes.folder(posixpath.dirname(path), self.looks.of_new_folders, file.about.st_mtime_ns)
                self.changes.copy_folder(file.real, file.about, path, self.looks, self.attributes, keep=self.parents)
                source.verify(inner, file, b"")
            else:
                self.put(source, inner, file, path)
        source.verify_whole(seen, self.rules, self.parents)


# -- ADD ------------------------------------------------------------------------------------


def is_url(source: str) -> bool:
    return source.startswith(("http://", "https://"))


def is_git(source: str) -> bool:
    return bool(re.match(r"git@|git://|ssh://|https?://[^?#]*\.git([?#]|$)", source))


def archive_kind(file) -> str | None:
    """By its first bytes, as Docker does it: a packed or plain tar file. The name does not matter."""
    head = file.read(512)
    file.seek(0)
    kind = next((kind for magic, kind in ARCHIVES.items() if head.startswith(magic)), None)
    if kind or head[257:262] == b"ustar":
        return kind or "tar"
    return None


def reader(file, kind: str):
    """A reader of the tar file in it. What is passed over counts, too: a sparse file's data may be half a terabyte, and its size 0."""
    plain = compression.Streams(file, kind) if kind in compression.STREAMS else compression.unpacked(file)
    return compression.Counted(plain, "the archive")


def extract(source: Source, beside: str, stopping: threading.Event) -> tuple[str, list[str]] | None:
    """The archive unpacked into a new folder beside ``beside``, and the folders that it only implies; None if the file is no archive.

    A pipe or a device is none: it is not even opened, as it might make us wait, or do something. Raises ``LayerError``.
    """
    if not stat.S_ISREG(source.file.about.st_mode):
        return None
    with opened_still(source, beside) as opened:
        kind = archive_kind(opened)
        return extracted(opened, kind, beside, stopping) if kind else None


def opened_still(source: Source, beside: str):
    """The file, for reading. A stranger's is copied first: every byte that decides what it is, and what is in it, must be in the key."""
    from tempfile import TemporaryDirectory

    file = source.file
    if not source.tree.strange:
        return file.real.open(file.about)
    with TemporaryDirectory(prefix=f"{os.path.basename(beside)}.", dir=os.path.dirname(beside)) as folder:
        copy = f"{folder}/archive"
        changes.copy_file(file.real, file.about, copy)
        source.verify("", file, changes.content(copy))
        return open(copy, "rb", buffering=0)  # its name goes with the folder, and it with the descriptor


def extracted(opened, kind: str, beside: str, stopping: threading.Event) -> tuple[str, list[str]] | None:
    from tempfile import mkdtemp

    from lib.images.unpack import unpack

    folder = mkdtemp(prefix=f"{os.path.basename(beside)}.", dir=os.path.dirname(beside))
    try:
        return folder, unpack(compression.Until(reader(opened, kind), stopping), folder).implied
    except BaseException as error:
        state.rmtree(folder)
        if kind != "tar" and "not a valid tar file" in str(error):
            return None  # packed, but no tar file inside: ADD copies it as it is
        raise


def download(url: str, folder: str, checksum: str | None = None, stopping: Stopping | None = None) -> str:
    """Fetch ``url`` into ``folder``; returns the path of the file, named as the URL ends. Raises ``ImageError``.

    Where it is redirected to is decided as for a registry: http(s) only, and never from https to http.
    """
    import urllib3

    from lib.registry.transport import Transport

    transport = Transport()
    if stopping:
        stopping.calls(transport.abort)
    path = f"{folder}/{file_name(urllib3.util.parse_url(url).path or '')}"
    try:
        with transport.watched(urllib3.PoolManager()) as pool, open(path, "xb") as file:
            answer = requested(pool, url)
            if answer.status != 200:
                raise ImageError(f"ADD {url}: the server answers {answer.status} {answer.reason}")
            reader = digests.Hashed(Flow(answer), checksum, min(DOWNLOAD_AT_MOST, compression.limit()), f"ADD {url}: the download")
            while data := reader.read(1 << 20):
                file.write(data)
            reader.verify()
    except urllib3.exceptions.HTTPError as error:
        raise ImageError(f"ADD {url}: {error}") from None
    os.chmod(path, 0o600)
    moment = last_modified(answer.headers.get("Last-Modified"))
    os.utime(path, (moment, moment))
    return path


def file_name(path: str) -> str:
    """How a URL's path ends, with the characters that its ``%20`` stand for; ``index`` where that is no name."""
    from urllib.parse import unquote

    name = posixpath.basename(unquote(path, errors="surrogateescape"))
    return "index" if name in ("", ".", "..") or "\0" in name else name


def requested(pool, url: str):
    """The answer at the end of all redirects; its body is still to be read. Nothing is tried again: a server could say when, in years."""
    from lib.registry import transport

    for _ in range(transport.REDIRECTS + 1):
        answer = pool.request("GET", url, preload_content=False, timeout=60, redirect=False, retries=False)
        if answer.status not in transport.REDIRECT:
            return answer
        answer.close()
        url = transport.follow(url, answer.headers.get("Location"))
        transport.origin(url)  # http or https
    raise ImageError(f"ADD {transport.bare(url)}: more than {transport.REDIRECTS} redirects: a loop?")


def last_modified(text: str | None) -> int:
    """Seconds; 0 where the server does not say: the same file must always give the same layer."""
    from email.utils import parsedate_to_datetime

    try:
        return int(parsedate_to_datetime(text).timestamp()) if text else 0
    except (ValueError, TypeError, OverflowError):
        return 0


def as_tree(folder: str) -> Tree:
    return Tree(Merged([folder]))
