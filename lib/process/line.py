"""The lines between the caller and one new process, while it is made: what is asked of the starter, what is heard, what is said.

    ask ──▶ "pid" ──▶ tell "mapped" ──▶ "created" ──▶ tell "start" ──▶ the line is cut: exec

There are two: over ``birth`` come the words of the starter (or of its go-between), over ``socket`` those of the process itself. Only what
the former say of pids is believed.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from contextlib import nullcontext, suppress

from lib import linux
from lib.process.calls import PART, resolve
from lib.process.client import PATIENCE, Starter
from lib.process.errors import StepError, TimeLimit
from lib.process.messages import MESSAGE, understood, with_descriptors
from lib.process.steps import CHILD, STAGES, Step
from lib.process.waiting import end_by_number, has_ended
from lib.shield import Shield


class Line:
    """The caller's ends; what has come over them: ``pid``, ``pidfd``, ``master`` (of its terminal), -1 or 0 until then.

    ``refs`` are the results of the caller's own steps, by name; what is a descriptor among them goes over to the child. A step may also
    give ``stdin``, ``stdout`` or ``stderr``. ``given`` are those of steps beside the child, for who serves it from outside: an ingredient
    that does is told to ``begin`` with them, and to ``end``. ``maker`` is who is asked: a starter, or one that stays
    (``engine.daemons.Keeper``).
    """

    def __init__(self, steps: list[Step], patience: float, maker=Starter):
        self.steps, self.patience, self.maker = steps, patience, maker
        self.refs: dict[str, int] = {}
        self.given: dict[str, int] = {}
        self.serving: list = []
        self.pid, self.pidfd, self.go_between, self.master = 0, -1, -1, -1
        self.birth: socket.socket | None = None
        self.socket: socket.socket | None = None

    # asking

    def ask(self, streams: Sequence) -> None:
        """Ask a starter for the process. ``streams`` are its 0, 1 and 2, as subprocess takes them."""
        self.close()
        self.birth, starters = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with starters:
            self.socket, childs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with childs, open(os.devnull, "r+b") as null:
                given = dict(zip(("stdin", "stdout", "stderr"), self.three(streams, null), strict=True))
                given |= {"birth": starters, "line": childs, **self.descriptors}
                fds = {name: one if isinstance(one, int) else one.fileno() for name, one in given.items()}
                self.maker.ask(*self.request(), fds)

    def three(self, streams: Sequence, null) -> list:
        """Standard error goes where the output goes, if nothing is said of it."""
        stdin, out = (null if stream in (subprocess.DEVNULL, None) else stream for stream in streams[:2])
        return [stdin, out, out if streams[2] is None else streams[2]]

    def request(self) -> tuple[dict, dict]:
        """Head and body: what the starter must know to clone, and the steps of go-between and child, as plain data.

        ``hidden``: nobody may look into it before its exec. An ordinary user's own process must be seen to be mapped, so it hides later.
        """
        rows = [self.told(step.data(index)) for index, step in enumerate(self.steps)]
        clone = next(row for row in rows if row[1] == "clone")
        joins = [row for row in rows if row[1] == "join"]
        mapped = clone[2] == "clone3" and "user" in clone[3][0]
        head = {"clone": [clone[0], clone[2], clone[3]], "join": bool(joins), "hidden": os.geteuid() == 0 or not mapped}
        return head, {"join": joins, "steps": [row for row in rows if STAGES[row[1]].shoes == CHILD]}

    @property
    def descriptors(self) -> dict[str, int]:
        return {name: one for name, one in self.refs.items() if name != "pid" and isinstance(one, int)}

    def told(self, value):
        """The child has no results of earlier steps but descriptors: whatever else it is to know is put into its words."""
        if isinstance(value, list):
            return [self.told(one) for one in value]
        return resolve(value, self.refs) if isinstance(value, dict) and PART in value else value

    def be_born(self, streams: Sequence) -> None:
        """Wait until the process's pid is known; if the starter was killed meanwhile, ask once more."""
        try:
            self.meet()
        except ConnectionError:
            self.ask(streams)
            self.meet()
        except TimeLimit:
            if self.pidfd < 0:
                self.maker.give_up()  # it stands still: the next one shall not wait for it, too
                self.meet_the_late()
            raise

    def meet_the_late(self) -> None:
        """The starter is dead. Whom it had made by then tells of itself, and so can be waited for; else a zombie would stay."""
        self.patience = PATIENCE
        with suppress(OSError):  # there was nobody, or nobody any more
            self.meet()

    def meet(self) -> None:
        """Hear the pid from the starter or its go-between, or (it was killed after the clone) from the child itself."""
        while self.pidfd < 0 and (message := self.next(self.birth)):
            words, fds = message
            if "error" in words:
                raise self.error(words)
            if "go_between" in words:
                self.go_between = fds[0]
            if "pid" in words:
                self.remember(words["pid"], fds[0])
        if self.pidfd < 0:
            self.reap_go_between()
            self.tell(b"who")  # a child that it had cloned already answers, else the line ends
            self.hear("pid")
        self.birth.close()

    def remember(self, pid: int, pidfd: int) -> None:
        self.pid, self.pidfd = pid or linux.pid_of(pidfd), pidfd
        self.refs["pid"] = self.pid

    # talking

    def tell(self, word: bytes) -> None:
        """Say a word to the process; if it has died meanwhile, the next ``hear`` says so, and of what."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.socket.send(word)

    def next(self, line: socket.socket, shield: Shield | None = None) -> tuple[dict, list[int]] | None:
        """The next message with its descriptors, None at the line's end. Raises ``TimeLimit``, ``OSError`` if there is no room for them."""
        with shield.opened() if shield else nullcontext():  # an interrupt may end the waiting, never the taking
            if not linux.readable([line.fileno()], self.patience):
                raise TimeLimit(self.patience, words=self.where_it_hangs())
        try:
            message, fds, flags = with_descriptors(line, 4)
        except ConnectionResetError:  # it ended without reading what we had told it; what it said before that comes now
            message, fds, flags = with_descriptors(line, 4)
        if not message:
            return None
        if flags & socket.MSG_CTRUNC:
            raise self.too_many_open_files(line, message)
        return self.understand_message(message, fds)

    def understand_message(self, message: bytes, fds: list[int]) -> tuple[dict, list[int]]:
        try:
            return understood(message, fds), fds
        except ConnectionError:
            for fd in fds:
                os.close(fd)
            raise

    def hear(self, word: str, shield: Shield | None = None) -> None:
        """Take messages from the process until ``word`` comes. Raises ``StepError``; ``ConnectionError`` if the line ends before it."""
        while message := self.next(self.socket, shield):
            words, fds = message
            self.understand(words, fds)
            if word in words:
                return
        if word != "exec":  # exec cuts the line: that is the good end
            starter = ": was the starter killed? (dmesg tells if the machine ran out of memory)" if self.pidfd < 0 else ""
            raise ConnectionError(f"the process ended before it said '{word}'{starter}")

    def understand(self, words: dict, fds: list[int]) -> None:
        if "error" in words:
            raise self.error(words)
        if "pid" in words and self.pidfd < 0:
            self.remember(0, fds.pop())
        if "terminal" in words and self.master < 0:
            self.master = fds.pop()
        for fd in fds:  # sent unasked
            os.close(fd)

    def error(self, words: dict) -> StepError:
        first = next((one for one in self.steps if one.call == words["call"]), None)
        step = dict(enumerate(self.steps)).get(words["step"], first)
        if step is None:
            raise ConnectionError("the process said something of a step that is not in its plan")
        return StepError(step, words["error"], words["path"], words["advice"], words["words"])

    def too_many_open_files(self, line: socket.socket, message: bytes) -> OSError:
        """A descriptor came and there was no place for it. A process that we cannot hold must not be left as a zombie either."""
        self.socket.close()  # it ends by itself then
        if line is self.birth:  # what a process says of itself is not believed
            self.bury(message)
        return OSError(errno.EMFILE, "no descriptor is left for the new process: close some, or raise the limit (ulimit -n)")

    def bury(self, message: bytes | None) -> None:
        """End those whose numbers come, the go-between's child after itself: without their descriptors."""
        pids = []
        while message:
            words = understood(message, [-1])  # (as if one had come)
            pids += filter(None, (words.get("pid"), words.get("go_between")))
            message = self.birth.recv(MESSAGE) if linux.readable([self.birth.fileno()], self.patience) else None
        for pid in pids:
            end_by_number(pid)

    def where_it_hangs(self) -> str:
        """The stage, from the title that the process gives itself."""
        with suppress(OSError):
            title = linux.read(f"/proc/{self.pid}/comm").strip()
            return f"the process stood still for {self.patience:g} s in stage '{title.removeprefix('suitcase:')}': killed"
        return f"no process was made within {self.patience:g} s"

    # letting go

    def reap_go_between(self) -> None:
        """Who has joined for the child is our child, too; it ends when it has cloned. One that stands still is not waited for twice."""
        if self.go_between >= 0:
            if not has_ended(self.go_between, self.patience):
                signal.pidfd_send_signal(self.go_between, signal.SIGKILL)
            if has_ended(self.go_between, self.patience):
                with suppress(ChildProcessError):  # somebody else has waited for it, or nobody need (SIGCHLD is ignored)
                    os.waitid(os.P_PIDFD, self.go_between, os.WEXITED | os.WNOHANG)
            os.close(self.go_between)
        self.go_between = -1

    def close(self) -> None:
        for line in filter(None, (self.birth, self.socket)):
            line.close()

    def close_refs(self) -> None:
        """Close the descriptors that ``prepare`` opened; the child has its own by now."""
        for fd in self.descriptors.values():
            os.close(fd)
        self.refs = {"pid": self.pid}

    def serve(self, ingredients: Sequence) -> None:
        """What serves the process from here begins. Raises ``OSError``, ``RuntimeError`` if there is no room for it."""
        for one in ingredients:
            if hasattr(one, "begin"):
                self.serving.append(one)
                one.begin(self.given)

    def let_go(self) -> None:
        """Close what we hold of the process; whatever served it ends."""
        while self.serving:
            self.serving.pop().end()
        self.close()
        self.reap_go_between()
        self.close_refs()
        for fd in (self.pidfd, self.master, *self.given.values()):
            if fd >= 0:
                os.close(fd)
        self.given = {}
        self.pidfd = self.master = -1
