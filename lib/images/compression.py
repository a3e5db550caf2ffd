"""Layers travel packed: gzip since ever, zstd since some years, or not at all. What it is, its first bytes tell.

Unpacking is isal's work (Intel's library; it is twice as fast as zlib, on arm64 too). Packing is zlib's: slower, but
it gives the same bytes on every processor, and the digest of an image is made of those bytes.
"""

from __future__ import annotations

import io
import os
import queue
import threading
import zlib
from functools import partial

from lib.images.digests import ImageError, Stopped

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
CHUNK = 1 << 19  # bytes that are unpacked at once: a bomb of a gigabyte comes in small pieces, and is counted
PIECE = 1 << 16  # bytes that are read of an archive at once: one made of many tiny streams has the rest copied for each
MEMORY = 1 << 27  # bytes that a stranger's data may make us remember: 128 MiB, what zstd takes unasked, and twice what xz -9 needs
UNPACKED_AT_MOST = 64 << 30  # bytes of one image, all its layers together; SUITCASE_LAYER_LIMIT changes it
LEVEL = 3  # of gzip, for our own layers: level 6 takes twice as long and makes them 8 % smaller
MEDIA_TYPES = {
    "gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
    "zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
    "none": "application/vnd.oci.image.layer.v1.tar",
}


def limit() -> int:
    """Bytes that one layer, or all of an image, may have, unpacked."""
    return int(os.environ.get("SUITCASE_LAYER_LIMIT", UNPACKED_AT_MOST))


class Gunzip:
    """The unpacked bytes of a gzip file, also of one that was put together from several (RFC 1952, "members")."""

    def __init__(self, file, head: bytes):
        from isal import igzip, isal_zlib  # only where it is met: a command that unpacks nothing starts without

        self.bad = igzip.BadGzipFile, isal_zlib.error, OverflowError  # the last of a header longer than its buffer
        self.reader = igzip.IGzipFile(fileobj=Raw(Rest(file, head)), mode="rb")  # unlike isal's other ways, it lets our threads run

    def read(self, size: int = CHUNK) -> bytes:
        """Up to ``size`` bytes; none at the end. Raises ``ImageError``."""
        try:
            return self.reader.read(size)
        except EOFError:
            raise ImageError("the layer's gzip data ends in the middle") from None
        except self.bad as error:
            raise ImageError(f"the layer's gzip data is damaged: {error}") from None


class Unzstd:
    """The unpacked bytes of a zstd file (RFC 8878)."""

    def __init__(self, file, head: bytes):
        import zstandard  # only where it is met

        self.error = zstandard.ZstdError
        self.reader = zstandard.ZstdDecompressor(max_window_size=MEMORY).stream_reader(Rest(file, head), read_across_frames=True)

    def read(self, size: int = CHUNK) -> bytes:
        try:
            return self.reader.read(size)
        except self.error as error:
            raise ImageError(f"the layer's zstd data is damaged: {error}") from None


def xz():
    import lzma  # only where it is met

    return partial(lzma.LZMADecompressor, lzma.FORMAT_XZ, MEMORY), lzma.LZMAError


def bzip2():
    import bz2  # it never takes more than 4 MB

    return bz2.BZ2Decompressor, OSError


STREAMS = {"xz": xz, "bzip2": bzip2}


class Streams:
    """The unpacked bytes of an xz or bzip2 file: of all its streams, whatever zeros are between. For ``ADD``: no layer is so."""

    def __init__(self, file, kind: str):
        self.file, self.kind = file, kind
        self.begin, self.bad = STREAMS[kind]()
        self.stream = self.begin()

    def read(self, size: int = CHUNK) -> bytes:
        """Up to ``size`` bytes; none at the end. Raises ``ImageError``."""
        while (packed := self.packed()) is not None:
            try:
                if data := self.stream.decompress(packed, size):
                    return data
            except self.bad as error:
                raise ImageError(self.trouble(error)) from None
        return b""

    def packed(self) -> bytes | None:
        """What the stream needs to go on, which may be nothing; None after the last stream."""
        if not self.stream.eof:
            packed = self.file.read(PIECE) if self.stream.needs_input else b""
            if self.stream.needs_input and not packed:
                raise ImageError(f"the archive's {self.kind} data ends in the middle: was it copied or downloaded whole?")
            return packed
        packed = self.stream.unused_data
        while not (packed := packed.lstrip(b"\0")):
            if not (packed := self.file.read(PIECE)):
                return None
        self.stream = self.begin()
        return packed

    def trouble(self, error: Exception) -> str:
        if "Memory usage limit" in str(error):
            return f"the archive's {self.kind} data asks for more than {MEMORY} bytes of memory: pack it with xz -9 at most"
        return f"the archive's {self.kind} data is damaged: {error}"


class Rest:
    """A file of which some bytes were read already."""

    def __init__(self, file, head: bytes):
        self.file, self.head = file, head

    def read(self, size: int = CHUNK) -> bytes:
        head, self.head = self.head, b""
        return head or self.file.read(size)


class Budget:
    """Bytes that may still come. Several threads use it up together: one small blob may be each layer of an image."""

    def __init__(self, left: int):
        self.left, self.lock = left, threading.Lock()

    def take(self, size: int) -> bool:
        """False if there were fewer."""
        with self.lock:
            self.left -= size
            return self.left >= 0


class Counted:
    """A file that is read as long as the ``budget`` lasts: what is small when packed may have no end. ``what`` is its name in the error.

    Without one it may have twice the limit: that is of files, and headers and holes of sparse files count here, too.
    """

    def __init__(self, file, what: str, budget: Budget | None = None):
        self.file, self.what, self.budget = file, what, budget or Budget(2 * limit())

    def read(self, size: int = CHUNK) -> bytes:
        data = self.file.read(size)
        if not self.budget.take(len(data)):
            raise ImageError(f"{self.what} unpacks to far more than {limit()} bytes: a bomb? SUITCASE_LAYER_LIMIT allows more")
        return data


class Until:
    """A file that is read, or written, until ``stopping`` is set: a few bytes may take hours, and perhaps nobody wants them any more."""

    def __init__(self, file, stopping: threading.Event):
        self.file, self.stopping = file, stopping

    def read(self, size: int = CHUNK) -> bytes:
        self.check()
        return self.file.read(size)

    def write(self, data: bytes) -> int:
        self.check()
        return self.file.write(data)

    def check(self) -> None:
        if self.stopping.is_set():
            raise Stopped("stopped")


class Raw(io.RawIOBase):
    """A file that only has ``read``, for those who ask for ``readinto``."""

    def __init__(self, file):
        self.file, self.rest = file, b""

    def readable(self) -> bool:
        return True

    def readinto(self, room) -> int:
        data = self.rest or self.file.read(len(room))
        size = min(len(data), len(room))
        room[:size], self.rest = data[:size], data[size:]
        return size


def unpacked(file):
    """A reader of the unpacked bytes of ``file``, whatever it is packed with."""
    head = file.read(CHUNK)
    if head.startswith(GZIP):
        return Gunzip(file, head)
    return Unzstd(file, head) if head.startswith(ZSTD) else Rest(file, head)


class Ahead:
    """A file that is read to its end by a thread of its own, some pieces ahead: it unpacks and hashes while we write files."""

    def __init__(self, file, pieces: int = 16):
        self.file, self.pieces, self.stopped = file, queue.Queue(pieces), False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        try:
            while (data := self.file.read(CHUNK)) and not self.stopped:
                self.pieces.put(data)
            self.pieces.put(b"")
        except BaseException as error:  # it is raised where the piece is asked for
            self.pieces.put(error)

    def read(self, size: int = CHUNK) -> bytes:
        """The next piece, of whatever size; none at the end. Raises what the reading raised."""
        piece = self.pieces.get()
        if not piece or isinstance(piece, BaseException):
            self.pieces.put(piece)  # for whoever asks again
        if isinstance(piece, BaseException):
            raise piece
        return piece

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, *error) -> None:
        self.stopped = True
        while self.thread.is_alive():
            while not self.pieces.empty():
                self.pieces.get()
            self.thread.join(0.01)


def packer(kind: str = "gzip"):
    """An object with ``compress`` and ``flush``: always the same bytes for the same input (no name and no time in the head)."""
    if kind == "gzip":
        return zlib.compressobj(LEVEL, zlib.DEFLATED, 31)
    if kind == "zstd":
        import zstandard

        return zstandard.ZstdCompressor().compressobj()
    return Unchanged()


class Unchanged:
    """No packing at all."""

    def compress(self, data: bytes) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""
