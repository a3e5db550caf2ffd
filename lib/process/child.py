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
from lib.process.calls import CALLS, REF, execute
from lib.process.messages import report, say

TIOCSPTLCK, TIOCGPTPEER = 0x40045431, 0x5441  # ioctl_tty(2); Python's termios has no names for them


class Child:
    """The new process, from its first instruction to its exec."""

    def __init__(self, line: int, refs: dict[str, int], steps: list):
        self.line, self.refs, self.steps = socket.socket(fileno=line), refs, steps
        self.init, self.under = -1, []  # the program that is to be PID 1, and its own words
        self.calls = CALLS | {
            "stdio": self.stdio,
            "terminal": self.terminal,
            "wait_for_start": self.wait_for_start,
            "under_init": self.under_init,
            "execve": self.execve,
        }
        self.last_use = {name: index for index, _, call, args in steps for name in refs_of(call, args)}

    def live(self) -> None:
        """Wait until the caller has written the uid map, then carry out the steps; the last one, an exec, does not return."""
        try:
            self.close_others()
            self.hear(b"mapped")
            linux.not_dumpable()
        except OSError as error:
            index, _, call, args = self.steps[0]
            report(self.line, index, call, args, error)
            os._exit(125)
        inside.HELD = {}
        stage = None
        for index, now, call, args in self.steps:
            if now != stage:
                linux.set_title(f"suitcase:{now}")  # `ps -o comm` tells where a start hangs
                stage = now
            try:
                execute(call, args, self.refs, self.calls)
                self.close_used(index)
            except OSError as error:
                report(self.line, index, call, args, error)
                os._exit(125)

    def close_others(self) -> None:
        """Keep what the steps name, and nothing else: the cgroup's folder, say, would lead out of the container (CVE-2024-21626)."""
        linux.close_others(2, self.line.fileno(), *(self.refs[name] for name in self.last_use))

    def close_used(self, index: int) -> None:
        """What no later step names is closed before the next one looks at a path of the image's choosing."""
        for name in [name for name, last in self.last_use.items() if last == index and self.refs[name] != self.init]:
            os.close(self.refs[name])
            del self.last_use[name]

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
        linux.resize(master, rows, columns)
        slave = fcntl.ioctl(master, TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY)
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for number in (0, 1, 2):
            os.dup2(slave, number)
        say(self.line, {"terminal": True}, master)

    def under_init(self, program: int, *words: str) -> None:
        """Have the program behind a descriptor become PID 1; it starts the command itself. See tini(1)."""
        self.init, self.under = program, list(words)

    def execve(self, argv: list[str], env: dict[str, str]) -> None:
        """Become the program: everything prepared so far stays, the Python in this process goes."""
        for number in (signal.SIGPIPE, signal.SIGINT, signal.SIGTTOU, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)  # Python had changed these; an ignored signal would survive exec
        linux.close_on_exec(3)
        linux.set_title(os.path.basename(argv[0]))
        for path in candidates(argv[0], env) if self.init < 0 else [self.init]:
            try:
                os.execve(path, [*self.under, *argv], env)
            except OSError as error:
                if self.init >= 0 or "/" in argv[0] or os.path.lexists(path):
                    argv = [str(path), *argv[1:]]
                    report(self.line, None, "execve", (argv, env), error)
                    os._exit(126)
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), argv[0])


def refs_of(call: str, args) -> list[str]:
    """The descriptors that a step uses, by their names."""
    if call == "stdio":
        return ["stdin", "stdout", "stderr"]
    if call == "wait_for_start":
        return list(args)
    return [value[REF] for value in args if isinstance(value, dict) and REF in value]


def candidates(name: str, env: dict[str, str]) -> list[str]:
    """Where a command is looked for: in each folder of PATH, unless its name has a slash."""
    if "/" in name or not name:
        return [name] if name else []
    return [os.path.join(folder or ".", name) for folder in env.get("PATH", os.defpath).split(":")]
