"""The caller's side of the starter: one for each Python, started when it is first needed, replaced when it has been killed."""

from __future__ import annotations

import marshal
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lib import linux
from lib.sealed import sealed_copy
from lib.shield import Shield

PATIENCE = 60  # seconds that a process may take from one message to the next while it is created


@contextmanager
def out_of_reach(program: str) -> Iterator[int]:
    """A descriptor to execute ``program`` by, through which no container can write to it.

    What we could not write ourselves is safe as it is. Else it is a sealed copy (7 MB of memory and some 10 ms, once for each caller), or,
    where files in memory may not be executed, a read-only view of the file that hangs in no mount table.
    """
    if not os.access(program, os.W_OK):
        fd = os.open(program, os.O_PATH | os.O_CLOEXEC)
    else:
        try:
            fd = sealed_copy(program)
        except PermissionError:
            fd = linux.open_tree(os.path.realpath(program), recursive=False)
            linux.mount_setattr(fd, "ro", recursive=False)
    try:
        yield fd
    finally:
        os.close(fd)


class Starter:
    """This process's connection to its starter, which is made when it is first needed."""

    _current: Starter | None = None
    _making = threading.Lock()

    def __init__(self):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(PATIENCE)  # for a starter that stands still while its buffer is full
        self.pid, self.sock = os.getpid(), ours
        python = getattr(sys, "_base_executable", None) or sys.executable
        with theirs, out_of_reach(python) as program:
            self.process = subprocess.Popen(
                [python, "-I", "-S", str(Path(__file__).with_name("starter.py")), str(theirs.fileno()), str(program)],
                executable=f"/proc/self/fd/{program}", pass_fds=[theirs.fileno(), program],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, cwd="/", env={},
            )  # fmt: skip

    @classmethod
    def current(cls) -> Starter:
        with cls._making:
            own = cls._current
            if own is None or own.pid != os.getpid() or own.process.poll() is not None:
                cls._current = own = cls()
            return own

    @classmethod
    def prepare(cls) -> None:
        """Start it now, so that it is ready when it is needed: that takes it some hundredths of a second, on another processor."""
        with Shield():
            cls.current()

    @classmethod
    def ask(cls, head: dict, body: dict, fds: dict[str, int]) -> None:
        """Send a request to the starter; to a new one if that one is dead or stands still. See ``send``."""
        try:
            cls.current().send(head, body, fds)
        except (ConnectionError, TimeoutError):
            cls.current().send(head, body, fds)

    def send(self, head: dict, body: dict, fds: dict[str, int]) -> None:
        """Hand over one request: its head, which the starter reads, and its body, which only the new process does."""
        with open(os.memfd_create("request"), "wb") as file:
            file.write(marshal.dumps(body))
            file.flush()
            given = {**fds, "body": file.fileno()}
            try:
                socket.send_fds(self.sock, [marshal.dumps({**head, "fds": list(given)})], list(given.values()))
            except (ConnectionError, TimeoutError):
                self.process.kill()
                self.process.wait()
                raise

    @classmethod
    def give_up(cls) -> None:
        """End a starter that does not answer; the next request gets a new one."""
        if (own := cls._current) and own.pid == os.getpid():
            own.process.kill()
            own.process.wait()

    @classmethod
    def after_fork(cls) -> None:
        """In a forked child: a lock that another thread of the parent held just then would stay locked here for ever."""
        cls._making = threading.Lock()

    @classmethod
    def close(cls) -> None:
        own, cls._current = cls._current, None
        if own and own.pid == os.getpid():
            own.sock.close()
            try:
                own.process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                own.process.kill()
                own.process.wait()


os.register_at_fork(after_in_child=Starter.after_fork)
