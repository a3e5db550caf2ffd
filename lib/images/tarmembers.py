"""A layer is a tar file. Its members are read one by one, and none of them is trusted.

Python's ``tarfile`` reads the headers (ustar, GNU and pax, long names, sparse files); what it would take on trust is bounded
here. See tar(5) and the OCI image specification, layer.md.
"""

from __future__ import annotations

import math
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager

from lib.images.digests import ImageError

HEADER_AT_MOST = 1 << 20  # bytes of one extra header (pax records, a long name): it is held in memory
HEADERS_AT_MOST = 4 << 20  # bytes of all that stands before one member's content
LINES_AT_MOST = 200_000  # of those headers: each is a record, or a number in the map of a sparse file
FOR_ALL_AT_MOST = 4096  # bytes of the headers that are for all members: every one of them gets a copy
LEAST = 4096  # bytes that anything counts, be it empty, and each line that is said of it, too: a folder is a block on disk
ENTRIES_AT_MOST = 10_000_000
NO_ID = (1 << 32) - 1  # chown(2) takes it as "leave it as it is"
NAME_AT_MOST = 4096  # bytes of a path; PATH_MAX in limits.h
XATTR = "SCHILY.xattr."  # how pax names an extended attribute
ELSEWHERE = ("user.overlay.redirect", "user.overlay.metacopy")
EXTRA = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
KINDS = {
    tarfile.REGTYPE: "file", tarfile.AREGTYPE: "file", tarfile.CONTTYPE: "file", tarfile.GNUTYPE_SPARSE: "file",
    tarfile.LNKTYPE: "hard link", tarfile.SYMTYPE: "symbolic link", tarfile.DIRTYPE: "folder",
    tarfile.CHRTYPE: "character device", tarfile.BLKTYPE: "block device", tarfile.FIFOTYPE: "fifo",
}  # fmt: skip


class LayerError(ImageError):
    """A layer holds something that it must not, or is no layer at all."""


class Member(tarfile.TarInfo):
    """A tar member whose headers may not be of any size that a stranger likes.

    ``weight`` are the bytes that it counts, beside its content.
    """

    weight = LEAST

    def _proc_member(self, archive):
        if self.type in EXTRA and self.size > HEADER_AT_MOST:
            raise LayerError(f"a header of {self.size} bytes before {self.name[:60]!r}: at most {HEADER_AT_MOST} are read")
        if self.type == tarfile.XGLTYPE:
            archive.fileobj.remember(self.size)
        return super()._proc_member(archive)

    def _proc_gnusparse_10(self, next, pax_headers, archive):
        """The map of a sparse file stands before its content: how many pieces there are, then two numbers for each, a line for each number.

        ``tarfile`` looks for one line after the other in all that is left, and needs ever longer for one that has no end.
        """
        found, lines, wanted = [], 0, 1
        while lines < wanted:
            found.append(archive.fileobj.read(tarfile.BLOCKSIZE))
            if not (more := found[-1].count(b"\n")):
                raise LayerError(f"the map of the sparse file {next.name[:60]!r} has a line without an end")
            lines += more
            wanted = 1 + 2 * int(found[0].partition(b"\n")[0])
        numbers = [int(line) for line in b"".join(found).split(b"\n")[1:wanted]]
        next.offset_data, next.sparse = archive.fileobj.tell(), list(zip(numbers[::2], numbers[1::2], strict=True))

    def check(self) -> None:
        """Numbers that are none, or that the kernel cannot take. Raises ``LayerError``."""
        if self.size < 0 or not 0 <= self.uid < NO_ID or not 0 <= self.gid < NO_ID or not math.isfinite(self.mtime):
            numbers = f"size {self.size}, owner {self.uid}:{self.gid}, time {self.mtime}"
            raise LayerError(f"{self.name[:60]!r} has numbers that no file can have: {numbers}"[:300])
        if not (0 <= self.devmajor < 1 << 12 and 0 <= self.devminor < 1 << 20):  # as the kernel has them (kdev_t.h)
            raise LayerError(f"{self.name[:60]!r} is the device {self.devmajor}:{self.devminor}, which no machine can have"[:300])
        if "\0" in self.linkname or any("\0" in key for key in self.pax_headers):
            raise LayerError(f"{self.name[:60]!r} leads to a name, or has an attribute, with a NUL byte in it")

    @property
    def kind(self) -> str:
        if self.type not in KINDS:
            raise LayerError(f"{self.name!r} is a tar member of unknown type {self.type!r}")
        return KINDS[self.type]

    @property
    def parts(self) -> list[str]:
        """The path, component by component, as seen from the root. Raises ``LayerError`` if it leaves it."""
        return split(self.name)

    @property
    def xattrs(self) -> dict[str, bytes]:
        """Extended attributes, by name. Raises ``LayerError`` for overlay's own: they would reach into other layers.

        Those of an overlay without root (``user.overlay.origin``) were left behind by whoever made the layer, and are left out,
        unless they say that the content is elsewhere: without it the image is not whole.
        """
        found = {}
        for key, value in self.pax_headers.items():
            if key.startswith(XATTR):
                name = key.removeprefix(XATTR)
                if name.startswith("trusted.overlay.") or (name in ELSEWHERE and value):
                    raise LayerError(f"{self.name!r} comes with the attribute {name}, which only overlay itself may set")
                if name.startswith("user.overlay."):
                    continue
                found[name] = value.encode("utf-8", "surrogateescape")
        return found


def split(name: str) -> list[str]:
    """The components of a path in an image; a leading slash is the root's. Raises ``LayerError``."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise LayerError(f"{name!r} leads out of the image by '..'")
    if "\0" in name or len(name.encode("utf-8", "surrogateescape")) > NAME_AT_MOST:
        raise LayerError(f"{name[:60]!r}… is not a path: it holds a NUL byte, or more than {NAME_AT_MOST} bytes")
    return parts


class Names:
    """Paths of folders, so that all below one are found without looking at the others: a layer may have a million, and replace each."""

    def __init__(self):
        self.below: dict[str, set[str]] = {}

    def add(self, path: str) -> int:
        """How many bytes this keeps: of the path, and of each above it that was not known."""
        kept = 0
        while path:
            above = path.rpartition("/")[0]
            known = self.below.setdefault(above, set())
            if path in known:
                break
            known.add(path)
            kept += len(path)
            path = above
        return kept

    def take(self, path: str) -> Iterator[str]:
        """``path`` and all below it; they are forgotten."""
        self.below.get(path.rpartition("/")[0], set()).discard(path)
        todo = [path]
        while todo:
            one = todo.pop()
            yield one
            todo += self.below.pop(one, ())


class Forward:
    """A tar file that is only read forward: what ``tarfile`` asks for is cut out of the pieces as they come, without copying the rest.

    ``file.read(size)`` may give more or less than it is asked for; none is the end.
    """

    def __init__(self, file):
        self.file, self.piece, self.at, self.position = file, memoryview(b""), 0, 0
        self.in_headers = True  # ``tarfile`` reads the first member's as soon as it is made
        self.bytes = self.lines = 0  # of a member's headers, so far
        self.remembered = 0  # bytes of the headers that are for all members

    def some(self, size: int) -> memoryview:
        """At most ``size`` bytes, as many as are at hand; none at the end."""
        if self.at == len(self.piece):
            self.piece, self.at = memoryview(self.file.read(PIECE)), 0
        found = self.piece[self.at : self.at + size]
        self.at += len(found)
        self.position += len(found)
        return found

    @contextmanager
    def headers(self) -> Iterator[None]:
        """Meanwhile ``read`` raises ``LayerError`` for headers without end: all that ``tarfile`` reads of them it keeps."""
        self.in_headers = True
        yield
        self.in_headers, self.bytes, self.lines = False, 0, 0

    @property
    def weight(self) -> int:
        """What the headers of a member count: each block and each line of them is work."""
        return LEAST * (self.bytes // tarfile.BLOCKSIZE + self.lines)

    def remember(self, size: int) -> None:
        self.remembered += size
        if self.remembered > FOR_ALL_AT_MOST:
            raise LayerError(f"more than {FOR_ALL_AT_MOST} bytes of headers that are for all members: refused")

    def read(self, size: int) -> bytes:
        if not self.in_headers:
            return self.whole(size)
        self.bytes += size
        found = self.whole(size) if self.bytes <= HEADERS_AT_MOST else b""
        self.lines += found.count(b"\n")
        if self.bytes > HEADERS_AT_MOST or self.lines > LINES_AT_MOST:
            raise LayerError(f"more than {HEADERS_AT_MOST} bytes of headers before one member, or {LINES_AT_MOST} lines of them: refused")
        return found

    def whole(self, size: int) -> bytes:
        found = self.some(size)
        if len(found) == size:
            return bytes(found)
        parts, left = [found], size - len(found)
        while left and (found := self.some(left)):
            parts.append(found)
            left -= len(found)
        return b"".join(parts)

    def tell(self) -> int:
        return self.position

    def seek(self, position: int) -> int:
        """Forward only; past the end is the end. Raises ``LayerError``."""
        if position < self.position:
            raise LayerError("not a valid tar file: a member begins before the end of the one before it")
        while self.position < position and self.some(position - self.position):
            pass
        return self.position


PIECE = 1 << 17


def members(file) -> Iterator[tuple[tarfile.TarFile, Member]]:
    """Each member of the tar file, in order, with the open archive to read its content from. Raises ``LayerError``."""
    try:
        with tarfile.TarFile(fileobj=Forward(file), mode="r", tarinfo=Member) as archive:
            for _ in range(ENTRIES_AT_MOST):
                with archive.fileobj.headers():
                    if (member := archive.next()) is None:
                        return
                    member.weight = archive.fileobj.weight
                member.check()
                yield archive, member
                archive.members.clear()  # it would remember them all
            raise LayerError(f"more than {ENTRIES_AT_MOST} members")
    except (tarfile.TarError, ValueError, OverflowError, EOFError, IndexError, RecursionError) as error:
        raise LayerError(f"not a valid tar file: {error}") from None
