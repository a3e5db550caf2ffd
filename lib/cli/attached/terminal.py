"""The terminal that the command itself runs at: made transparent while a container has one of its own, and its size."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import termios
from collections.abc import Iterator
from contextlib import contextmanager

from lib import linux
from lib.cli.errors import Failed

INPUT, OUTPUT, CONTROL, LOCAL, CHARACTERS = 0, 1, 2, 3, 6  # places in what tcgetattr gives


def check(interactive: bool, tty: bool) -> None:
    """Somebody is to type at the container's terminal, so they must sit at one themselves."""
    if interactive and tty and not os.isatty(0):
        raise Failed("cannot attach stdin to a TTY-enabled container because stdin is not a terminal")


def transparent(modes: list) -> list:
    """A terminal's modes, without all that it does by itself: every key is a byte for the container, every byte is shown as it is.

    These are the words of cfmakeraw in termios(3): no echo, no lines, no Ctrl-C, no newline made two.
    """
    raw = [*modes[:CHARACTERS], list(modes[CHARACTERS])]
    raw[INPUT] &= ~(termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP)
    raw[INPUT] &= ~(termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON)
    raw[OUTPUT] &= ~termios.OPOST
    raw[LOCAL] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
    raw[CONTROL] = raw[CONTROL] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
    raw[CHARACTERS][termios.VMIN], raw[CHARACTERS][termios.VTIME] = 1, 0
    return raw


@contextmanager
def raw(fd: int) -> Iterator[None]:
    """Within this block the terminal is transparent; it becomes what it was, however the block ends."""
    before = termios.tcgetattr(fd)
    try:
        termios.tcsetattr(fd, termios.TCSANOW, transparent(before))
        yield
    finally:
        restore(fd, before)


def restore(fd: int, modes: list) -> None:
    """Even from the background, where a change would stop us (SIGTTOU); one that has hung up has no modes any more."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTTOU])
    try:
        termios.tcsetattr(fd, termios.TCSANOW, modes)
    except termios.error:
        pass
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def size(fd: int = 1) -> tuple[int, int] | None:
    """Rows and columns of a terminal; None of anything else, and of one that does not know."""
    try:
        rows, columns, _, _ = struct.unpack("4H", fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(8)))
    except OSError:
        return None
    return (rows, columns) if rows or columns else None


def resize(master: int, fd: int = 1) -> None:
    """Give a container's terminal the size of ours. Its programs hear of a change by SIGWINCH."""
    if now := size(fd):
        linux.resize(master, *now)


def redraw(master: int, fd: int = 1) -> None:
    """Who comes to a terminal that runs already sees nothing until its program draws again: another size for a moment makes it."""
    if now := size(fd):
        linux.resize(master, *(min(side + 1, 0xFFFF) for side in now))
        resize(master, fd)
