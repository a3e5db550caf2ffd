"""The new process, from its first instruction to its exec."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import socket
import struct
import termios

from lib import inside, linux
from lib.process.calls import CALLS, execute
from lib.process.messages import report, say
from lib.process.pid1 import FORWARDED, init

TIOCSPTLCK, TIOCGPTPEER = 0x40045431, 0x5441  # ioctl_tty(2); Python's termios has no names for them


class Child:
    """The new process, from its first instruction to its exec."""

    def __init__(self, line: socket.socket, refs: dict[str, int]):
        self.line, self.refs = line, refs
        self.calls = CALLS | {
            "stdio": self.stdio,
            "terminal": self.terminal,
            "wait_for_start": self.wait_for_start,
            "become_init": self.become_init,
            "execve": self.execve,
        }

    def live(self, steps) -> None:
        """Wait until the caller has written the uid map, then carry out the steps; the last one, an exec, does not return."""
        self.hear(b"mapped")
        inside.HELD = {}
        stage = None
        for index, now, call, args in steps:
            if now != stage:
                linux.set_title(f"suitcase:{now}")  # `ps -o comm` tells where a start hangs
                stage = now
            try:
                execute(call, args, self.refs, self.calls)
            except OSError as error:
                report(self.line, index, call, args, error)
                os._exit(125)
            except Exception as error:  # a step with wrong arguments: nothing may be lost with this process
                report(self.line, index, call, args, OSError(errno.EIO, f"{type(error).__name__}: {error}"))
                os._exit(125)

    def hear(self, word: bytes) -> None:
        """Wait for a word of the caller; if it has died, so do we."""
        while (heard := self.line.recv(16)) == b"who":  # the starter was killed before it could tell the caller of us
            say(self.line, {"pid": 0}, os.pidfd_open(os.getpid()))
        if heard != word:
            os._exit(125)

    def wait_for_start(self, gate: str | None = None) -> None:
        """Say "created" and wait: at the line to the caller, or (it may end meanwhile) at a named pipe of its choice.

        The pipe is opened before the pivot by an earlier step, so that it is found in the new root too.
        """
        say(self.line, {"created": True})
        if gate is None:
            self.hear(b"start")
        else:
            os.read(self.refs[gate], 1)

    def stdio(self) -> None:
        """Put the three descriptors that the caller gave in the places 0, 1 and 2."""
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            os.dup2(self.refs[name], number)

    def terminal(self, rows: int, columns: int) -> None:
        """Open a terminal of the container's own ``/dev/pts``, and send its other end to the caller. See pts(4)."""
        master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        fcntl.ioctl(master, TIOCSPTLCK, struct.pack("i", 0))
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))
        slave = fcntl.ioctl(master, TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY)
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for number in (0, 1, 2):
            os.dup2(slave, number)
        say(self.line, {"terminal": True}, master)

    def become_init(self) -> None:
        """Fork: this process stays behind as PID 1 and only looks after the other, which goes on with the steps."""
        signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
        pid = os.fork()
        if pid:
            self.line.close()
            os._exit(init(pid))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
        os.setpgid(0, 0)
        if os.isatty(0):
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            os.tcsetpgrp(0, os.getpid())

    def execve(self, argv: list[str], env: dict[str, str]) -> None:
        """Become the program: everything prepared so far stays, the Python in this process goes."""
        for number in (signal.SIGPIPE, signal.SIGINT, signal.SIGTTOU, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)  # Python had changed these; an ignored signal would survive exec
        linux.close_on_exec(3)
        linux.set_title(os.path.basename(argv[0]))
        for path in candidates(argv[0], env):
            try:
                os.execve(path, argv, env)
            except OSError as error:
                if "/" in argv[0] or os.path.lexists(path):
                    argv = [path, *argv[1:]]
                    report(self.line, None, "execve", (argv, env), error)
                    os._exit(126)
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), argv[0])


def candidates(name: str, env: dict[str, str]) -> list[str]:
    """Where a command is looked for: in each folder of PATH, unless its name has a slash."""
    if "/" in name:
        return [name]
    return [os.path.join(folder or ".", name) for folder in env.get("PATH", os.defpath).split(":")]
