"""A layer is a tar file. Its members are read one by one, and none of them is trusted.

Python's ``tarfile`` reads the headers (ustar, GNU and pax, long names, sparse files); what it would take on trust is bounded
here. See tar(5) and the OCI image specification, layer.md.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator

from lib.images.digests import ImageError

HEADER_AT_MOST = 1 << 20  # bytes of one member's extra headers (pax records, long names): they are held in memory
ENTRIES_AT_MOST = 10_000_000
NAME_AT_MOST = 4096  # bytes of a path; PATH_MAX in limits.h
XATTR = "SCHILY.xattr."  # how pax names an extended attribute
EXTRA = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
KINDS = {
    tarfile.REGTYPE: "file", tarfile.AREGTYPE: "file", tarfile.CONTTYPE: "file", tarfile.GNUTYPE_SPARSE: "file",
    tarfile.LNKTYPE: "hard link", tarfile.SYMTYPE: "symbolic link", tarfile.DIRTYPE: "folder",
    tarfile.CHRTYPE: "character device", tarfile.BLKTYPE: "block device", tarfile.FIFOTYPE: "fifo",
}  # fmt: skip


class LayerError(ImageError):
    """A layer holds something that it must not, or is no layer at all."""


class Member(tarfile.TarInfo):
    """A tar member whose headers may not be of any size that a stranger likes."""

    def _proc_member(self, archive):
        if self.type in EXTRA and self.size > HEADER_AT_MOST:
            raise LayerError(f"a header of {self.size} bytes before {self.name[:60]!r}: at most {HEADER_AT_MOST} are read")
        return super()._proc_member(archive)

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
        """Extended attributes, by name. Raises ``LayerError`` for overlay's own: they would reach into other layers."""
        found = {}
        for key, value in self.pax_headers.items():
            if key.startswith(XATTR):
                name = key.removeprefix(XATTR)
                if name.startswith(("trusted.overlay.", "user.overlay.")):
                    raise LayerError(f"{self.name!r} comes with the attribute {name}, which only overlay itself may set")
                found[name] = value.encode("utf-8", "surrogateescape")
        return found


def split(name: str) -> list[str]:
    """The components of a path in an image; a leading slash is the root's. Raises ``LayerError``."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise LayerError(f"{name!r} leads out of the image by '..': refused")
    if "\0" in name or len(name.encode("utf-8", "surrogateescape")) > NAME_AT_MOST:
        raise LayerError(f"{name[:60]!r}… is no path: it holds a NUL byte, or more than {NAME_AT_MOST} bytes")
    return parts


class Forward:
    """A tar file that is only read forward: what ``tarfile`` asks for is cut out of the pieces as they come, without copying the rest.

    ``file.read(size)`` may give more or less than it is asked for; none is the end.
    """

    def __init__(self, file):
        self.file, self.piece, self.at, self.position = file, memoryview(b""), 0, 0

    def some(self, size: int) -> memoryview:
        """At most ``size`` bytes, as many as are at hand; none at the end."""
        if self.at == len(self.piece):
            self.piece, self.at = memoryview(self.file.read(PIECE)), 0
        found = self.piece[self.at : self.at + size]
        self.at += len(found)
        self.position += len(found)
        return found

    def read(self, size: int) -> bytes:
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
            raise LayerError("no valid tar file: a member begins before the end of the one before it")
        while self.position < position and self.some(position - self.position):
            pass
        return self.position


PIECE = 1 << 17


def members(file) -> Iterator[tuple[tarfile.TarFile, Member]]:
    """Each member of the tar file, in order, with the open archive to read its content from. Raises ``LayerError``."""
    try:
        with tarfile.TarFile(fileobj=Forward(file), mode="r", tarinfo=Member) as archive:
            for _ in range(ENTRIES_AT_MOST):
                if (member := archive.next()) is None:
                    return
                yield archive, member
                archive.members.clear()  # it would remember them all
            raise LayerError(f"more than {ENTRIES_AT_MOST} members")
    except (tarfile.TarError, ValueError, OverflowError, EOFError, RecursionError) as error:
        raise LayerError(f"no valid tar file: {error}") from None
