"""The handle on a process that a plan made: it is created, started, watched, ended, and taken apart again.

The states are OCI's: creating → created → running → stopped, and at last removed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import contextmanager, suppress

from lib import linux, state
from lib.process import callers, calls
from lib.process.client import PATIENCE, Starter
from lib.process.errors import TimeLimit, failed, refuse_what_is_there
from lib.process.exit import Exit, collect, hint, why_killed
from lib.process.line import Line
from lib.process.output import Log, Pipes
from lib.process.plan import StepPlan
from lib.process.steps import CALLER, plain
from lib.process.waiting import has_ended, let_it_end, see_it_end, until_the_next_look
from lib.shield import Shield
from lib.visible import visible

LIVE: dict[int, Process] = {}


class Process:
    """A process that a plan made: created, running or stopped.

    Made by ``Plan.create``. Use it as a context manager to have it removed at the block's end.
    """

    def __init__(self, plan: StepPlan, stdin, stdout, stderr, shield: Shield, patience: float = PATIENCE, maker=Starter):
        self.plan, self.steps = plan, plan.steps
        self.state = "creating"
        self.exit: Exit | None = None
        self.killed_by_us = False
        self.joined: int | None = next((other for one in plan.ingredients if (other := getattr(one, "joined", None))), None)
        self.lock = threading.RLock()
        self.line = Line(self.steps, patience, maker)
        self.log = Log() if stdout is None and not plan.tty else None
        self.undos: list[tuple] = []  # grows with each deed; the record names all of them before the first one
        self.created_at = time.monotonic()
        refuse_what_is_there(self.steps)
        self.record: state.Record | None = None
        LIVE[id(self)] = self
        try:
            with self.lock:  # whoever wants to remove it meanwhile, in another thread, waits until it is whole
                self.create((stdin, self.log if stdout is None else stdout, stderr), shield)
        except BaseException:
            self.remove()
            raise

    @property
    def pid(self) -> int:
        """Its number, as this process sees it."""
        return self.line.pid

    @property
    def pidfd(self) -> int:
        """A descriptor of it, -1 when we do not hold it. See pidfd_open(2)."""
        return self.line.pidfd

    @property
    def master(self) -> int:
        """Our end of its terminal, -1 without one. See pts(4)."""
        return self.line.master

    # creating

    def create(self, streams: Sequence, shield: Shield) -> None:
        self.do("prepare")
        self.undos += [undo for step in self.steps if step.shoes != CALLER for undo in step.undo]
        self.line.ask(streams)
        try:
            self.write_record()
            self.do("provide")
        finally:
            self.line.be_born(streams)
        self.do("connect", "map")
        self.line.tell(b"mapped")
        self.record.born(self.pid)  # while the process prepares itself: should we die now, it ends by itself
        self.do("beside")
        self.line.close_refs()
        self.line.serve(self.plan.ingredients)
        self.hear("created", shield)
        self.state, self.created_at = "created", time.monotonic()

    def write_record(self) -> None:
        """Name all undos on paper, before the first deed that has one. (A child that nobody answers any more ends by itself.)"""
        if self.record is None:
            undos = [undo for step in self.steps for undo in step.undo]
            self.record = state.new_record(self.plan.name, undos, argv=list(self.plan.argv), **self.plan.about)

    def do(self, *stages: str) -> None:
        """Carry out the caller's own steps of these stages."""
        for step in self.steps:
            if step.stage in stages:
                args = [plain(value) for value in step.args]
                if step.undo:
                    self.write_record()
                try:
                    result = calls.execute(step.call, args, self.line.refs, callers.CALLS)
                except OSError as error:
                    raise failed(step, error, args) from None
                self.undos += step.undo
                if step.gives:
                    (self.line.given if step.stage == "beside" else self.line.refs)[step.gives] = result

    def hear(self, word: str, shield: Shield | None) -> None:
        """As ``Line.hear``; if the process was killed while it prepared itself, the error says by what."""
        try:
            self.line.hear(word, shield)
        except ConnectionError as error:
            with suppress(TimeoutError):  # it lives, and talks nonsense
                self.wait(5)
            raise ConnectionError(": ".join(filter(None, (str(error), self.exit and self.exit.reason)))) from None

    # running

    def start(self, shield: Shield | None = None) -> None:
        """Let the waiting process exec its program; raises ``StepError`` if it cannot."""
        with self.lock:
            if self.state != "created":
                raise RuntimeError(f"cannot start: the process is {self.state}")
            self.line.tell(b"start")
            self.state = "running"
            self.hear("exec", shield)
            self.line.close()

    def poll(self) -> Exit | None:
        """How it ended, or None if it has not."""
        with self.lock:
            if self.exit is not None:
                return self.exit
            try:
                found = collect(self.pidfd)
            except ChildProcessError:
                code, reason = 255, "exit code unknown: this program ignores SIGCHLD, or another part of this program waited for it"
            else:
                if found is None:
                    return None
                killed = found.si_code != os.CLD_EXITED  # a program may also *say* 137 (a shell does, of its child)
                code = 128 + found.si_status if killed else found.si_status
                reason = why_killed(self.plan.ingredients, code, self.killed_by_us) if killed else hint(self.plan.ingredients)
            self.state = "stopped"
            self.exit = Exit(code, reason, seconds=time.monotonic() - self.created_at)
            return self.exit

    def wait(self, timeout: float | None = None) -> Exit:
        """Wait until it has ended; ``TimeoutError`` (and nothing killed) if that takes longer than ``timeout`` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with Shield() as shield, self.watched() as pidfd, shield.opened():
            while pidfd is not None and not has_ended(pidfd, until_the_next_look(deadline)):
                self.look_round(pidfd)
                if deadline is not None and not time.monotonic() < deadline:  # a limit may be no number (NaN)
                    raise TimeoutError(f"still running after {timeout:g} s")
        return self.poll()

    def guests(self) -> list[Process]:
        """Processes of ours that have joined this one's PID namespace. It cannot end before we have waited for each of them."""
        return [one for one in list(LIVE.values()) if self.pid and one.joined == self.pid]

    def look_round(self, pidfd: int) -> None:
        """Who has joined it is waited for; and once it is to end, nobody may hold it back."""
        for guest in self.guests():
            if guest.lock.acquire(blocking=False):  # who makes it just now, or ends it, sees to that himself
                try:
                    guest.poll()
                finally:
                    guest.lock.release()
        pid = linux.pid_of(pidfd)  # another thread may have waited for it
        if self.killed_by_us or state.is_ending(pid):
            let_it_end(pid, {one.pid for one in list(LIVE.values())})

    @contextmanager
    def watched(self):
        """A pidfd to wait at, or None if it has ended: one's own, as another thread may remove the process meanwhile."""
        with self.lock:
            pidfd = os.dup(self.pidfd) if self.exit is None else None
        try:
            yield pidfd
        finally:
            if pidfd is not None:
                os.close(pidfd)

    def follow(self, pipes: Pipes, timeout: float | None, show, shield: Shield) -> Exit:
        """Copy the output live until the process ends, then take what is still in the pipes."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with self.watched() as pidfd:
            while pidfd is not None:
                left = until_the_next_look(deadline)
                with shield.opened():  # not around the whole: what ``watched`` has just opened would be left open
                    ready = pipes.wait(pidfd, left)
                    more = pipes.copy(show)
                if pidfd in ready and has_ended(pidfd, left):
                    break
                if not more:
                    self.look_round(pidfd)
                if deadline is not None and not time.monotonic() < deadline:
                    raise TimeLimit(timeout, pipes.content(0))
        self.kill_group()
        pipes.finish(show)
        return self.wait()._replace(output=pipes.content(0), errors=pipes.content(1), cut=pipes.cut)

    def signal(self, number: int) -> None:
        """Send a signal; one that comes too late is no error. SIGKILL lets a paused container go on, to its end, as in Docker."""
        with self.lock, suppress(ProcessLookupError):
            if self.exit is None and self.pidfd >= 0:
                self.killed_by_us |= number == signal.SIGKILL and self.poll() is None
                signal.pidfd_send_signal(self.pidfd, number)
                if number == signal.SIGKILL:
                    state.thaw_groups(self.undos)
                    state.kill_tracers(self.pid)

    def kill(self) -> Exit:
        """SIGKILL, and wait; then for all that is left in its cgroup. A frozen process dies only after a thaw."""
        with self.lock:
            self.signal(signal.SIGKILL)
            if (guests := self.guests()) or (self.exit is None and not has_ended(self.pidfd, 0.05)):
                state.release_groups(self.undos)
                state.kill_groups(self.undos)
            for guest in guests:
                with suppress(TimeoutError):
                    guest.kill()
            see_it_end(self)
            ended = self.poll()
        state.kill_groups(self.undos)
        return ended

    def kill_group(self) -> None:
        """What it started in the background goes with it, also where no PID namespace sees to that.

        Only while nobody has waited for it, or by its pidfd: no other group can have got its number then.
        """
        with self.lock, suppress(ProcessLookupError, PermissionError):
            if self.exit is None and self.pid:
                linux.kill_group(self.pidfd, self.pid)

    def stop(self, timeout: float = 10) -> Exit:
        """As ``docker stop``: SIGTERM, then after ``timeout`` seconds SIGKILL."""
        self.signal(signal.SIGTERM)
        try:
            return self.wait(timeout)
        except TimeoutError:
            ended = self.kill()
            if ended.code == 128 + signal.SIGKILL:
                self.exit = ended._replace(reason=f"did not end within {timeout:g} s of SIGTERM, so SIGKILL followed")
            return self.exit

    def logs(self) -> bytes:
        """What it has written so far (processes made by ``start``); the last 16 MiB, as it may stretch this file to terabytes."""
        if self.log is None:
            raise RuntimeError("the output of this process went elsewhere")
        return self.log.read()

    # the end

    def let_go(self) -> None:
        """Forget it without ending it: somebody else (an OCI caller) looks after it from now on, and has its undos."""
        with self.lock:
            LIVE.pop(id(self), None)
            self.record.save(owner=None)
            self.line.let_go()
            self.state = "let go"

    def remove(self) -> None:
        """Kill it if it still runs, wait for it, undo every step that has an undo; errors are raised together at the end.

        An interrupt waits until that is done: half a removal would never be finished, as nobody holds the process any more.
        """
        with Shield(), self.lock:
            if id(self) in LIVE:
                self.take_apart()

    def take_apart(self) -> None:
        self.line.close()
        if self.pidfd >= 0:
            self.kill_group()
            self.kill()
        LIVE.pop(id(self), None)  # not before: who could not be killed is still ours to wait for
        self.line.let_go()
        if self.log:
            self.log.close()
        self.state = "removed"
        state.undo_all(self.undos)
        if self.record:  # what could not be undone stays on record: gc tries again when we have ended
            self.record.remove()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *error) -> None:
        self.remove()

    def __repr__(self) -> str:
        return f"<{self.plan.name} {self.state}: {visible(' '.join(self.plan.argv))}>"
