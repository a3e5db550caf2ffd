"""The writer of a container's log: what stands in the container's pipes is appended to a file.

The bytes go from the pipe into the file within the kernel (splice(2)), and it takes from the pipe what it has written, no more, whenever it
is killed. A head is written first. So whoever comes after a writer that was killed finds a frame that is not whole yet, and what it lacks
still stands in the pipe.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from lib import linux
from lib.engine import moments
from lib.engine.log import rotation
from lib.engine.log.frames import BLOCK, HEAD, LENGTH_AT, Head, heads, next_head, path


class Writer:
    """Appends to the log in the folder ``place``. Raises ``BlockingIOError`` where another one does.

    When the disk is full, or a slow reader needs a file that would have to go, ``take`` raises ``OSError``: nothing is lost, the output
    waits in its pipe, and the program waits when that is full. Call it again later.
    """

    def __init__(self, place: Path, max_size: int | None = None, max_file: int = 1):
        self.place, self.max_size, self.max_file = place, max_size, max_file
        self.pipes: dict[str, int] = {}
        self.fd, self.newest = -1, ""  # the time of the newest frame
        self.end = self.left = 0  # where the next byte belongs, and how many the newest frame still lacks
        with ExitStack() as undo:
            lock = os.open(place / "log.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            undo.callback(os.close, lock)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.open()
            self.undo = undo.pop_all()

    def close(self) -> None:
        self.undo.close()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def open(self) -> None:
        """Open the newest file, or begin it, and find the end of what is whole in it."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        self.fd = os.open(path(self.place, 0), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self.end = self.left = 0
        if found := last_frame(self.fd):
            self.begun, head = found
            self.stream, self.newest = head.stream, max(self.newest, head.time)
            whole, size = self.begun + HEAD + head.length, os.fstat(self.fd).st_size
            self.end, self.left = min(whole, size), max(0, whole - size)
        os.ftruncate(self.fd, self.end)  # behind a whole frame only half a head can stand

    def resume(self, pipes: dict[str, int]) -> None:
        """Go on with the frame that an earlier writer could not finish; a stream whose pipe has gone is not in ``pipes``."""
        self.pipes = dict(pipes)
        with suppress(OSError):  # the disk is full: the first ``take`` tries it again, and says so
            self.finish()

    def take(self, pipe: int, stream: str) -> int:
        """Append what stands in the pipe now, at most a block of it: how many bytes. Raises ``OSError`` if it has to be later."""
        self.pipes[stream] = pipe
        try:
            if not self.in_place():
                self.open()
            moved = self.finish()
            if waiting := linux.waiting_in(pipe):
                if rotation.full(next_head(self.end), self.max_size):
                    self.rotate()
                self.begin(stream, waiting)
                moved += self.fill(pipe)
        except OSError as error:
            error.filename = error.filename or str(path(self.place, 0))
            raise
        return moved

    def in_place(self) -> bool:
        """Whether our file still is the log: somebody may have removed it, or cut it short to make room."""
        if self.fd < 0:
            return False
        try:
            there, ours = os.stat(path(self.place, 0)), os.fstat(self.fd)
        except FileNotFoundError:
            return False
        return os.path.samestat(there, ours) and ours.st_size >= self.end

    def begin(self, stream: str, waiting: int) -> None:
        """Write the head of a frame. Times never run backwards in a log, whatever the clock does."""
        begun = next_head(self.end)
        length = min(rotation.room(begun, self.max_size, waiting), BLOCK - begun % BLOCK - HEAD)
        self.newest = max(self.newest, moments.of(time.time_ns()))
        if os.pwrite(self.fd, bytes(Head(self.newest, stream, length)), begun) < HEAD:
            os.ftruncate(self.fd, self.end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.begun, self.stream, self.end, self.left = begun, stream, begun + HEAD, length

    def fill(self, pipe: int) -> int:
        """Move what the newest frame lacks from the pipe into the file: how many bytes."""
        before = self.end
        with suppress(BlockingIOError):
            while self.left and (moved := os.splice(pipe, self.fd, self.left, offset_dst=self.end, flags=os.SPLICE_F_NONBLOCK)):
                self.end, self.left = self.end + moved, self.left - moved
        if self.left:
            self.shorten()
        return self.end - before

    def finish(self) -> int:
        """Make the newest frame whole: how many bytes it took."""
        if self.left and self.stream in self.pipes:
            return self.fill(self.pipes[self.stream])
        if self.left:
            self.shorten()
        return 0

    def shorten(self) -> None:
        """What was promised is not in the pipe any more: the program itself has read it. The frame is as long as it is."""
        os.pwrite(self.fd, b"%010d" % (self.end - self.begun - HEAD), self.begun + LENGTH_AT)
        self.left = 0

    def rotate(self) -> None:
        """Begin a new file. Raises ``BlockingIOError`` while somebody reads the one that would have to go."""
        numbers = {int(name[4:]) for name in os.listdir(self.place) if name.startswith("log.") and name[4:].isdecimal()}
        play, answer = rotation.rotation(numbers, self.max_file), None
        with suppress(StopIteration):
            while True:
                answer = self.carry_out(play.send(answer))
        self.open()

    def carry_out(self, command) -> bool:
        match command:
            case rotation.Remove(number):
                return removed(path(self.place, number))
            case rotation.Rename(number, to):
                os.rename(path(self.place, number), path(self.place, to))
            case rotation.Wait():
                raise BlockingIOError(errno.EAGAIN, "somebody still reads the oldest file of this log")
        return True


def last_frame(fd: int) -> tuple[int, Head] | None:
    """The last frame of a log file, and where it begins. A last block without one is cut off."""
    while size := os.fstat(fd).st_size:
        block = (size - 1) // BLOCK * BLOCK
        if found := list(heads(os.pread(fd, BLOCK, block))):
            return block + found[-1][0], found[-1][1]
        os.ftruncate(fd, block)  # half a head, or what a power cut has made of it
    return None


def removed(file: Path) -> bool:
    """Remove a file that nobody reads: who does holds a lock on it. Else leave it, and say so."""
    fd = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(file)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True
