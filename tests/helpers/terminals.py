"""A terminal for a program under test: what is typed, what appears, its size, its modes."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from contextlib import suppress

SECONDS = 20  # only there so that a broken feature fails instead of hanging


class Terminal:
    """A program that runs at a terminal of its own, as the leader of its session."""

    def __init__(self, argv: list[str], rows: int = 24, columns: int = 80, ignored=()):
        self.text, self.status = "", None
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            try:
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))
                for number in ignored:
                    signal.signal(number, signal.SIG_IGN)
                os.execv(argv[0], argv)
            finally:
                os._exit(127)

    def see(self, text: str) -> str:
        """Wait until this has appeared after what was seen before; returns what came before it."""
        deadline = time.monotonic() + SECONDS
        while text not in self.text:
            assert time.monotonic() < deadline and self.more(), f"{text!r} never appeared, but {self.text!r}"
        before, _, self.text = self.text.partition(text)
        return before

    def more(self) -> bool:
        if self.master < 0:
            return False
        if select.select([self.master], [], [], 0.2)[0]:
            try:
                self.text += os.read(self.master, 1 << 16).decode(errors="replace")
            except OSError:  # EIO: the program has ended
                return False
        return True

    def type(self, keys: str | bytes) -> None:
        os.write(self.master, keys if isinstance(keys, bytes) else keys.encode())

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))

    def hang_up(self) -> None:
        os.close(self.master)
        self.master = -1

    @property
    def modes(self) -> list:
        return termios.tcgetattr(self.master)

    @property
    def echoes(self) -> bool:
        return bool(self.modes[3] & termios.ECHO)

    def end(self) -> int:
        """Its exit code, or minus its signal. Everything it still writes is taken, or it would wait for ever."""
        deadline = time.monotonic() + SECONDS
        while not (found := os.waitpid(self.pid, os.WNOHANG))[0]:
            assert time.monotonic() < deadline, f"it never ended, and wrote {self.text!r}"
            self.more() or time.sleep(0.01)
        while self.more() and select.select([self.master], [], [], 0)[0]:
            pass
        self.status = os.waitstatus_to_exitcode(found[1])
        return self.status

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *error) -> None:
        if self.status is None:
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
        if self.master >= 0:
            os.close(self.master)
