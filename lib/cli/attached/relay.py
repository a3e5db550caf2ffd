"""Signals to the command are meant for the container: here they wait, as numbers, until a session passes them on."""

from __future__ import annotations

import os
import signal
import threading

from lib.cli.standard import ours

TOLD = {signal.SIGWINCH}  # of the terminal here, so it is for the session itself
OWN = {
    *(signal.SIGKILL, signal.SIGSTOP),  # nobody can catch these
    *(signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL),  # a fault of ours, and then there is nothing to go on with
    *(signal.SIGCHLD, signal.SIGPIPE, signal.SIGURG),  # about our own children, pipes and sockets
    *(signal.SIGTTIN, signal.SIGTTOU),  # a shell's, to a job in the background that reads its terminal: it stops, as others do
}
BY_SHELLS = {signal.SIGINT, signal.SIGQUIT}  # a shell's ``&`` ignores them for us, which is no wish of the user's


class Relay:
    """Within this block signals end nothing; ``take`` tells which have come. In a notebook they stay the kernel's, so none come.

    A signal that was ignored when we started (nohup) stays so.
    """

    def __init__(self, proxy: bool = True):
        wanted = signal.valid_signals() - OWN if proxy else TOLD
        self.wanted = wanted if ours() and threading.current_thread() is threading.main_thread() else set()
        self.before: dict[int, object] = {}
        self.reader = self.writer = -1

    def fileno(self) -> int:
        """What can be read when one has come; -1 if none will."""
        return self.reader

    def __enter__(self) -> Relay:
        if self.wanted:
            self.reader, self.writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
            self.former = signal.set_wakeup_fd(self.writer, warn_on_full_buffer=False)
            for number in self.wanted:
                if number in BY_SHELLS or signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self.before[number] = signal.signal(number, noted)
        return self

    def take(self) -> list[int]:
        """The signals that have come since; Python itself wrote their numbers."""
        if self.reader < 0:
            return []
        try:
            return [number for number in os.read(self.reader, 4096) if number in self.before]
        except BlockingIOError:
            return []

    def __exit__(self, *error) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
        if self.wanted:
            signal.set_wakeup_fd(self.former)
            os.close(self.reader)
            os.close(self.writer)


def noted(number: int, frame) -> None:
    """Python's wakeup pipe has its number already."""
