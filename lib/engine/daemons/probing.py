"""One probe of a container's health: a process in there, made by the keeper, and waited for by a loop that waits for much else.

Nothing here ever waits. All that is said to a new process (see ``process.line``) is said before it is there, and its answers lie on the
lines until they are asked for. So a probe costs one message to the keeper, and one look when it has ended.
"""

from __future__ import annotations

import errno
import marshal
import os
import signal
import socket
from contextlib import ExitStack, suppress

from lib import linux
from lib.engine.daemons import endings
from lib.engine.health.request import FORMAT, Request
from lib.process.messages import DESCRIPTORS, understood, with_descriptors

MOST = 4096  # bytes of its output that are kept
AT_ONCE = 1 << 16
READS = 16  # of what still stands in its pipe when it has ended: others may hold that open, and write, for ever
FAILED = -1  # Docker's code for one that could not run, or took too long
OURS = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EPIPE}  # errors that say nothing of the container: no room with us, no keeper


class Probe:
    """``sources`` are the descriptors to wait at; what can be read there is for ``take``. ``code`` is None if nobody knows how it ended."""

    def __init__(self, request: Request, keeper: socket.socket):
        """Have the keeper make it. Raises ``OSError`` (``BlockingIOError`` if the keeper stands still), and then there is none."""
        self.output, self.cut, self.ended, self.doomed = b"", False, False, False
        self.code: int | None = None
        self.pid, self.pidfd = 0, -1
        with ExitStack() as theirs, ExitStack() as undo:
            fds = request.open()
            theirs.callback(lambda: [os.close(fd) for fd in fds.values()])
            for name in ("birth", "line"):
                ours, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
                setattr(self, name, undo.enter_context(ours))
                fds[name] = other.detach()
                os.set_blocking(fds[name], True)
            self.out, fds["stdout"] = os.pipe2(os.O_CLOEXEC)
            undo.callback(lambda: os.close(self.out))
            self.told, fds["exit"] = os.pipe2(os.O_CLOEXEC)
            undo.callback(lambda: os.close(self.told))
            fds["stderr"] = os.dup(fds["stdout"])
            fds["stdin"] = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            fds["body"] = in_memory(request.body)
            socket.send_fds(keeper, [marshal.dumps({**request.head, "fds": list(fds)}, FORMAT)], list(fds.values()))
            for word in (b"mapped", b"start"):
                self.line.send(word)
            os.set_blocking(self.out, False)
            self.undo = undo.pop_all()
        self.open = {self.out, self.told}

    @property
    def sources(self) -> set[int]:
        return self.open | ({self.birth.fileno()} if self.doomed and self.pidfd < 0 and not self.ended else set())

    def take(self, fd: int) -> None:
        """Take what has come."""
        if fd == self.out:
            if not self.read():
                self.open.discard(fd)
        elif fd == self.told:
            self.end(os.read(fd, 64))
        else:
            self.kill()

    def read(self) -> bool:
        """Some of its output; False if there is nothing more, or nothing now."""
        with suppress(BlockingIOError):
            if data := os.read(self.out, AT_ONCE):
                self.cut |= len(self.output) + len(data) > MOST
                self.output = (self.output + data)[:MOST]
                return True
        return False

    def end(self, text: bytes) -> None:
        """Its keeper has told how it ended; or, with no words, was killed itself, or could not make it."""
        self.ended, self.open = True, set()
        for _ in range(READS):
            if not self.read():
                break
        words, is_ours = self.error()
        if words and not is_ours:
            self.code, self.output = FAILED, words.encode(errors="replace")[:MOST]
        elif text.strip() and not words:
            self.code = endings.code_of(int(text))
        else:
            self.kill()  # it may still run

    def error(self) -> tuple[str, bool]:
        """What it, or the keeper, says that went wrong before its program ran, nothing if nothing did; and whether that is our affair.

        No process left is ours when the keeper says so; within the container it would be the container's.
        """
        for line, ours in ((self.birth, OURS | {errno.EAGAIN}), (self.line, OURS)):
            while words := self.hear(line):
                if "error" in words:
                    return ": ".join(filter(None, (words["path"], words["words"], words["advice"]))), words["error"] in ours
        return "", False

    def hear(self, line: socket.socket) -> dict | None:
        """The next message, if there is one; a pid is remembered, other descriptors are closed."""
        fds: list[int] = []
        try:
            message, fds, _ = with_descriptors(line, DESCRIPTORS)
            words = understood(message, fds) if message else None
            if words and line is self.birth and "pid" in words and self.pidfd < 0:
                self.pid, self.pidfd = words["pid"], fds.pop()
                self.undo.callback(os.close, self.pidfd)
            return words
        except OSError:  # nothing just now, or no message of ours
            return None
        finally:
            for fd in fds:
                os.close(fd)

    def kill(self) -> None:
        """SIGKILL for it and its group; for one that is just being made, as soon as it is known."""
        self.doomed = True
        while self.pidfd < 0 and self.hear(self.birth):
            pass
        if self.pidfd >= 0:
            with suppress(ProcessLookupError, PermissionError):
                linux.kill_group(self.pidfd, self.pid)
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def text(self) -> str:
        """Its output; what is too long ends in dots, as in Docker."""
        return self.output.decode(errors="replace") + ("..." if self.cut else "")

    def close(self) -> None:
        self.open = set()
        self.undo.close()


def in_memory(data: bytes) -> int:
    """A file of its own for each: whoever could write to one that is used again would choose what is run next."""
    fd = os.memfd_create("request")
    try:
        os.write(fd, data)
    except OSError:
        os.close(fd)
        raise
    return fd
