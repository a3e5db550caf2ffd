"""The keeper: parent of the containers that outlive their caller. A starter that stays, and waits for what it has made.

It clones on request, as a starter does, but the children are its own. When one ends, its wait status is written into the descriptor that
came with the request (a file in the container's run folder, a pipe of ``exec``'s), and forgotten. It also holds descriptors for others, by
a name: a terminal lives as long as somebody has its other end, and the caller will go.

It knows nothing of images, names or logs, so there is little that could go wrong; and should it be killed, the containers run on. A manager
that is killed while it looks after containers is started again from here, and starts us again (``tie``). Started as a file, by ``daemons``;
ends some seconds after there is nothing to do.
"""

from __future__ import annotations

import errno
import gc
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress

if __name__ == "__main__":  # started as a file, with no search path: the folder four above this one holds `lib`
    sys.path.insert(0, os.path.abspath(f"{__file__}/../../../.."))

from lib.engine.daemons import standby
from lib.engine.plays.reviving import Reviving
from lib.process.messages import receive
from lib.process.starter import OURS, answer, forget_the_caller, rehearse, spawn


class Keeper:
    """One loop, which nothing may hold up: requests, and the ends of children."""

    def __init__(self, door: socket.socket, woken: int, manager: tuple[str, str] = ("", "")):
        self.door, self.woken, self.manager = door, woken, manager  # the last are the words that a manager is started with
        self.exits: dict[int, int] = {}  # pid → where its wait status is written
        self.between: dict[int, tuple[int, int]] = {}  # a go-between → the pipe that it tells the pid of the child in, and that one's exit
        self.early: dict[int, int] = {}  # wait statuses of children whose go-between has not been waited for yet
        self.held: dict[str, int] = {}
        self.reviving = Reviving()
        self.guarded: set[int] = set()  # callers whose end is that of a manager which was killed
        self.poll = select.poll()
        self.poll.register(woken, select.POLLIN)
        self.callers = standby.Callers(door, self.poll)

    @property
    def idle(self) -> bool:
        return not (self.callers or self.exits or self.between or self.held or self.reviving.due)

    def run(self) -> None:
        """Until nobody has asked for ``LINGER`` seconds, and no child is left."""
        while (events := self.poll.poll(self.patience())) or not self.idle:
            self.revive()
            for fd, _ in events:
                if fd == self.door.fileno():
                    self.callers.let_in()
                elif fd == self.woken:
                    os.read(self.woken, 4096)
                    self.reap()
                elif fd in self.callers:
                    self.serve(self.callers[fd])

    def patience(self) -> float:
        """Milliseconds to wait at most."""
        left = self.reviving.left(time.monotonic())
        return 1000 * (standby.LINGER if left is None else min(left, standby.LINGER))

    def revive(self) -> None:
        """Start the next manager, if it is time."""
        if self.reviving.left(time.monotonic()) == 0:
            self.reviving.started(time.monotonic())
            with suppress(OSError):  # no process is left: later
                standby.started("daemons/manager", *self.manager)

    def serve(self, caller: socket.socket) -> None:
        """One message. What makes no sense ends the talk, and nothing else."""
        try:
            head, fds = receive(caller) or (None, [])
            if head is not None:
                getattr(self, f"do_{head.get('do', 'spawn')}")(caller, head, dict(zip(head["fds"], fds, strict=True)))
                return
        except (OSError, ValueError, KeyError, AttributeError, EOFError, TypeError):
            pass
        if caller.fileno() in self.guarded:
            self.guarded.remove(caller.fileno())
            self.reviving.lost(time.monotonic())
        self.callers.part_with(caller)

    def do_spawn(self, caller: socket.socket, head: dict, refs: dict[str, int]) -> None:
        """A child of ours. Who joins namespaces is made by a go-between, which tells its pid in a pipe."""
        if standby.no_room(refs["birth"]):
            self.refuse(head, refs)
            return
        end = refs.pop("exit")
        if not head["join"]:
            self.note(spawn(head, refs, OURS), end)
            return
        told, refs["told"] = os.pipe2(os.O_CLOEXEC)
        if pid := spawn(head, refs, OURS):
            self.between[pid] = told, end
        else:
            os.close(told)
            os.close(end)

    @staticmethod
    def refuse(head: dict, refs: dict[str, int]) -> None:
        """Say why it cannot be made; without a descriptor left for it we could not do our part."""
        birth = socket.socket(fileno=refs.pop("birth"))
        answer(birth, *head["clone"], OSError(errno.EMFILE, os.strerror(errno.EMFILE)))
        birth.close()
        for fd in refs.values():
            os.close(fd)

    def do_hold(self, caller: socket.socket, head: dict, refs: dict[str, int]) -> None:
        """Keep a descriptor open under a name, in place of what it named before."""
        self.do_drop(caller, {"of": head["name"]}, {})
        self.held[head["name"]] = refs["held"]

    def do_drop(self, caller: socket.socket, head: dict, refs: dict[str, int]) -> None:
        """Forget it, or (``id`` of ``id/terminal``) all that is held of a container."""
        for name in [name for name in self.held if name == head["of"] or name.startswith(head["of"] + "/")]:
            os.close(self.held.pop(name))

    def do_give(self, caller: socket.socket, head: dict, refs: dict[str, int]) -> None:
        """Hand out what is held under a name; an empty answer if nothing is."""
        fd = self.held.get(head["name"])
        socket.send_fds(caller, [b"none" if fd is None else b"here"], [] if fd is None else [fd], socket.MSG_DONTWAIT)

    def do_guard(self, caller: socket.socket, head: dict, refs: dict[str, int]) -> None:
        """A manager that has containers to look after: if its line ends before it has taken leave, it was killed."""
        caller.setblocking(False)  # it stays: a request whose descriptors find no room here must not have us wait for the next one
        self.guarded.add(caller.fileno())
        self.reviving.here(time.monotonic())

    def do_part(self, caller: socket.socket, head: dict, refs: dict[str, int]) -> None:
        """It takes leave: there is no container any more, and nobody to be started again."""
        self.guarded.discard(caller.fileno())
        self.reviving.forget()

    def do_rest(self, caller: socket.socket, head: dict, refs: dict[str, int]) -> None:
        """End now instead of in some seconds, if there is nothing to do; the answer is the end of the line."""
        if not (self.exits or self.between or self.held or self.reviving.due or len(self.callers) > 1):
            raise SystemExit
        self.callers.part_with(caller)

    def note(self, pid: int, end: int) -> None:
        if not pid:
            os.close(end)
        elif pid in self.early:
            self.tell(end, self.early.pop(pid))
        else:
            self.exits[pid] = end

    def reap(self) -> None:
        """Everybody who has ended."""
        with suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                self.ended(*found)

    def ended(self, pid: int, status: int) -> None:
        if pid in self.between:
            told, end = self.between.pop(pid)
            self.note(int(os.read(told, 16) or 0), end)
            os.close(told)
        elif pid in self.exits:
            self.tell(self.exits.pop(pid), status)
        else:
            self.early[pid] = status
        if not self.between:
            self.early.clear()  # a child of a container's own making (CLONE_PARENT), for which nobody waits

    @staticmethod
    def tell(end: int, status: int) -> None:
        """In the place of spaces that are there already, so that a full disk cannot keep it back; into a pipe, if it is one."""
        with suppress(OSError):
            os.write(end, b"%15d\n" % status)
        os.close(end)


def main(folder: str, name: str) -> None:
    """Serve whoever comes to the door ``name`` of the run folder."""
    door = standby.settled_down("keeper", folder, name)
    if door is None:
        return
    forget_the_caller()
    awake, woken = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # not ignored: the kernel keeps the statuses of nobody's children
    signal.set_wakeup_fd(woken)
    rehearse()
    gc.disable()
    gc.freeze()  # the collector would touch, and so copy, pages that children share with us
    standby.ready()
    try:
        Keeper(door, awake, (folder, name.replace("keeper", "manager", 1))).run()
    finally:
        standby.close(folder, name)


if __name__ == "__main__":
    main(*sys.argv[1:])
