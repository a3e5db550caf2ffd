"""The caller's side of the starter: one for each Python, started when it is first needed, replaced when it has been killed."""

from __future__ import annotations

import marshal
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from lib.process.interrupts import Shield

PATIENCE = 60  # seconds that a process may take from one message to the next while it is created


class Starter:
    """This process's connection to its starter, which is made when it is first needed."""

    _current: Starter | None = None
    _making = threading.Lock()

    def __init__(self):
        ours, theirs = socket.socketpair()
        ours.settimeout(PATIENCE)  # for a starter that stands still while its buffer is full
        self.pid, self.sock, self.lock = os.getpid(), ours, threading.Lock()
        python = getattr(sys, "_base_executable", None) or sys.executable
        with theirs:
            self.process = subprocess.Popen(
                [python, "-I", "-S", str(Path(__file__).with_name("starter.py")), str(theirs.fileno())],
                pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, start_new_session=True, cwd="/",
                env=os.environ | {"LD_BIND_NOW": "1"},  # C functions looked up once, here, and not again in each child
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
    def ask(cls, request: dict, fds: Sequence[int]) -> Starter:
        """Send a request to the starter; if that one has been killed or stands still, to a new one. Returns the one that has it."""
        own = cls.current()
        try:
            own.send(request, fds)
        except (ConnectionError, TimeoutError):
            own = cls.current()
            own.send(request, fds)
        return own

    def send(self, request: dict, fds: Sequence[int]) -> None:
        """Hand over one request; several threads may do so at once, each waits for its answer on its own line."""
        body = marshal.dumps(request)  # both ends are the same Python, and marshal costs no import there
        try:
            with self.lock:
                socket.send_fds(self.sock, [struct.pack("!I", len(body))], list(fds))
                self.sock.sendall(body)
        except (ConnectionError, TimeoutError):  # it may have half of the request, and would take the next one for the rest
            self.process.kill()
            self.process.wait()
            raise

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
