"""What keeper and manager have in common: each goes into the background, is the only one of its kind, and listens at a door.

A door is a socket in the run folder, which only its owner may enter. See unix(7), daemon(7).
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import select
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from lib import linux

LINGER = 5  # seconds that one stays when there is nothing to do: the next command may come at any moment
OWN = ("user", "net")  # the namespaces that are a user's own network, in the order in which they are entered
DESCRIPTORS = 1 << 20  # that a daemon of ours may hold open, at most
ENGINE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NO_ROOM = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}  # errors of accept(2) that are not the caller's
PAUSE = 0.01  # seconds
RESERVE = 100  # of them that are kept free, for callers and for the work itself


def listen(folder: str, name: str) -> socket.socket | None:
    """Open the door ``name``; None if another is behind it already. Its lock is held as long as this process lives.

    By the folder's descriptor: a socket's path may have 107 bytes and no more.
    """
    here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    lock = os.open(f"{name}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600, dir_fd=here)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=here)
    door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    door.bind(f"/proc/self/fd/{here}/{name}")
    door.listen(1024)
    os.close(here)
    return door


def close(folder: str, name: str) -> None:
    """Take the door away (not its lock: who waits for it might get another's). Who stands before it hears the end, and asks the next."""
    with suppress(FileNotFoundError):
        os.unlink(f"{folder}/{name}")


class Callers(dict[int, socket.socket]):
    """Those who have come in at a door, by their descriptors, at which its daemon waits (``poll`` or ``epoll``)."""

    def __init__(self, door: socket.socket, waiting: select.poll | select.epoll):
        super().__init__()
        self.door, self.waiting = door, waiting
        waiting.register(door.fileno(), select.POLLIN)

    def let_in(self) -> None:
        """Whoever stands before the door; he may have gone. If there is no room for him, he waits, and so do we, for a moment."""
        try:
            caller, _ = self.door.accept()
            self[caller.fileno()] = caller
            self.waiting.register(caller.fileno(), select.POLLIN)
        except OSError as error:
            if error.errno in NO_ROOM:
                time.sleep(PAUSE)

    def part_with(self, caller: socket.socket) -> None:
        self.waiting.unregister(caller.fileno())
        del self[caller.fileno()]
        caller.close()


def into_the_background(title: str) -> None:
    """Become a child of nobody's: whoever started us need not wait, nor we end with him."""
    if os.fork():
        os._exit(0)
    linux.set_title(f"suitcase:{title}")
    os.umask(0o077)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, DESCRIPTORS) if hard != resource.RLIM_INFINITY else DESCRIPTORS, hard))


def settled_down(title: str, folder: str, name: str) -> socket.socket | None:
    """In the background, behind the door ``name``; None if another is there already."""
    with telling():
        into_the_background(title)
        return listen(folder, name)


def started(program: str, *words: str) -> int:
    """Start another program of the engine's, by the same Python, with the same surroundings as ours; its pid. Nothing is waited for.

    Raises ``OSError``.
    """
    python, path = sys.orig_argv[0], f"{ENGINE}/{program}.py"
    return os.posix_spawn("/proc/self/exe", [python, "-I", "-S", "-X", "utf8", path, *words], os.environ, setsid=True)


def no_room(fd: int) -> bool:
    """Is this descriptor among the last ones that we may have? The kernel gives the lowest number that is free."""
    return fd >= resource.getrlimit(resource.RLIMIT_NOFILE)[0] - RESERVE


@contextmanager
def telling() -> Iterator[None]:
    """What keeps us from starting is told to whoever started us."""
    try:
        yield
    except OSError as error:
        os.write(sys.stdout.fileno(), f"{error.errno} {error.strerror}".encode())
        os._exit(1)


def ready() -> None:
    """Tell whoever started us, who waits at the other end of our output, by saying nothing any more."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (sys.stdout.fileno(), sys.stderr.fileno()):
        os.dup2(null, fd)
    os.close(null)
