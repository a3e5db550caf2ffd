"""The line between the caller and one new process, while it is made: what is asked of the starter, what is heard, what is said.

ask ──▶ "pid" ──▶ tell "mapped" ──▶ "created" ──▶ tell "start" ──▶ the line is cut: exec
"""

from __future__ import annotations

import errno
import marshal
import os
import socket
import subprocess
from collections.abc import Sequence
from contextlib import nullcontext, suppress

from lib import linux
from lib.process.client import Starter
from lib.process.errors import StepError, TimeLimit
from lib.process.interrupts import Shield
from lib.process.messages import MESSAGE
from lib.process.steps import CHILD, STAGES, Step


def pid_of(pidfd: int) -> int:
    """The pid behind a pidfd, as this process sees it. See pidfd_open(2), /proc/PID/fdinfo."""
    rows = dict(line.split(":", 1) for line in linux.read(f"/proc/self/fdinfo/{pidfd}").splitlines())
    return int(rows["Pid"])


class Line:
    """The caller's end; what has come over it: ``pid``, ``pidfd``, ``master`` (of its terminal), -1 or 0 until then.

    ``refs`` are the results of the caller's own steps, by name; what is a descriptor among them goes over to the child.
    """

    def __init__(self, steps: list[Step], patience: float):
        self.steps, self.patience = steps, patience
        self.refs: dict[str, int] = {}
        self.pid, self.pidfd, self.master = 0, -1, -1
        self.socket: socket.socket | None = None

    # asking

    def ask(self, streams: Sequence) -> Starter:
        """Ask a starter for the process; the answer comes on a new line. ``streams`` are its 0, 1 and 2, as subprocess takes them."""
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, open(os.devnull, "r+b") as null:
            given = dict(zip(("stdin", "stdout", "stderr"), self.three(streams, null), strict=True)) | {"line": theirs} | self.refs
            fds = [stream if isinstance(stream, int) else stream.fileno() for stream in given.values()]
            return Starter.ask(self.request(list(given)), fds)

    def three(self, streams: Sequence, null) -> list:
        """Standard error goes where the output goes, if nothing is said of it."""
        stdin, out = (null if stream in (subprocess.DEVNULL, None) else stream for stream in streams[:2])
        return [stdin, out, out if streams[2] is None else streams[2]]

    def request(self, names: list[str]) -> dict:
        """The steps of go-between, starter and child, as plain data; ``names`` are those of the descriptors that come with it."""
        rows = [step.data(index) for index, step in enumerate(self.steps)]
        clone = next(row for row in rows if row[1] == "clone")
        return {
            "fds": names,
            "join": [row for row in rows if row[1] == "join"],
            "clone": [clone[0], clone[2], clone[3]],
            "steps": [row for row in rows if STAGES[row[1]].shoes == CHILD],
        }

    def be_born(self, asked: Starter, streams: Sequence) -> None:
        """Wait until the process's pid is known; if the starter was killed meanwhile, ask once more."""
        try:
            self.meet(asked)
        except ConnectionError:
            self.socket.close()
            self.meet(self.ask(streams))

    def meet(self, asked: Starter) -> None:
        """Hear the pid from the starter, or (it was killed after the clone) from the child itself."""
        dead = asked.sock.fileno()
        if linux.readable([self.socket.fileno(), dead], self.patience) == [dead]:
            with suppress(OSError):
                self.socket.send(b"who")  # a child that it had cloned already answers, else the line ends
        self.hear("pid")

    # talking

    def tell(self, word: bytes) -> None:
        """Say a word to the process; if it has died meanwhile, the next ``hear`` says so, and of what."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.socket.send(word)

    def hear(self, word: str, shield: Shield | None = None) -> None:
        """Take messages from the line until ``word`` comes. Raises ``StepError``; ``ConnectionError`` if the line ends before it."""
        while True:
            with shield.opened() if shield else nullcontext():  # an interrupt may end the waiting, never the taking
                if not linux.readable([self.socket.fileno()], self.patience):
                    raise TimeLimit(self.patience, words=self.where_it_hangs())
            try:
                message, fds, flags, _ = socket.recv_fds(self.socket, MESSAGE, 4)
            except ConnectionResetError:  # it ended without reading what we had told it
                message, fds, flags = b"", [], 0
            if flags & socket.MSG_CTRUNC:
                raise self.too_many_open_files(marshal.loads(message))
            if not message and word == "exec":
                return  # exec cuts the line: that is the good end
            if not message:
                starter = ": was the starter killed? (dmesg tells if the machine ran out of memory)" if self.pidfd < 0 else ""
                raise ConnectionError(f"the process ended before it said '{word}'{starter}")
            if self.understand(marshal.loads(message), fds) == word:
                return

    def understand(self, message: dict, fds: list[int]) -> str:
        if "error" in message:
            step = next((one for one in self.steps if one.call == message["call"]), None)
            if message["step"] is not None:
                step = self.steps[message["step"]]
            raise StepError(step, message["error"], message["path"], message["advice"], message["words"])
        if "go_between" in message:
            os.waitid(os.P_PIDFD, fds[0], os.WEXITED)
            os.close(fds[0])
        if "pid" in message and self.pidfd >= 0:
            os.close(fds[0])  # both the starter and the child told it
        elif "pid" in message:
            self.pid, self.pidfd = message["pid"] or pid_of(fds[0]), fds[0]
            self.refs["pid"] = self.pid
        if "terminal" in message:
            self.master = fds[0]
        return next(iter(message))

    def too_many_open_files(self, message: dict) -> OSError:
        """A descriptor came and there was no place for it. A process that we cannot hold must not be left as a zombie either."""
        self.close()  # it ends by itself then
        if message.get("pid"):
            os.waitpid(message["pid"], 0)
        return OSError(errno.EMFILE, "no descriptor is left for the new process: close some, or raise the limit (ulimit -n)")

    def where_it_hangs(self) -> str:
        """The stage, from the title that the process gives itself."""
        with suppress(OSError):
            title = linux.read(f"/proc/{self.pid}/comm").strip()
            return f"the process stood still for {self.patience:g} s in stage '{title.removeprefix('suitcase:')}': killed"
        return f"no process was made within {self.patience:g} s"

    # letting go

    def close(self) -> None:
        if self.socket:
            self.socket.close()

    def close_refs(self) -> None:
        """Close the descriptors that ``prepare`` opened; the child has its own by now."""
        for name, fd in self.refs.items():
            if name != "pid":
                os.close(fd)
        self.refs = {"pid": self.pid}

    def let_go(self) -> None:
        """Close what we hold of the process."""
        self.close()
        self.close_refs()
        for fd in (self.pidfd, self.master):
            if fd >= 0:
                os.close(fd)
        self.pidfd = self.master = -1
