"""The one loop between the command's own 0, 1 and 2 and a container: what is typed goes in, what it writes comes out, signals go along."""

from __future__ import annotations

import select
import signal
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext, suppress

import click

from lib.cli.attached import terminal
from lib.cli.attached.inputs import Input
from lib.cli.attached.outputs import outputs as our_outputs
from lib.cli.attached.relay import Relay

LOOK = 50  # milliseconds between two looks at a source that poll knows nothing of
ENDING = {signal.SIGINT, signal.SIGTERM}
ENOUGH = 3  # of these: the user wants to get away, whatever the container makes of them. As in Docker
PIPE_AT_MOST = 16  # reads that empty a pipe of the usual size; who goes on writing to it is somebody left behind


class Session:
    """``run`` it once: it returns "ended" or "detached".

    ``signals`` is called with each number that ``relay`` has heard, ``master`` is the container's terminal, whose size follows ours,
    and ``until`` a descriptor that can be read when the process has ended, although others may hold its pipes open.
    """

    def __init__(
        self, sources: list, relay: Relay, signals: Callable[[int], None], input: Input | None = None, master: int = -1, until: int = -1,
        outputs: dict | None = None,
    ):  # fmt: skip
        self.sources, self.relay, self.signals, self.input, self.master, self.until = sources, relay, signals, input, master, until
        self.outputs = our_outputs() if outputs is None else outputs
        self.pending: deque = deque()  # (stream, bytes) on the way out: nothing is read before they are gone
        self.insisted = 0

    def run(self) -> str:
        typed_at = self.input.source if self.input and self.master >= 0 else -1
        with terminal.raw(typed_at) if typed_at >= 0 else nullcontext():
            while self.going_on():
                self.step()
        if self.insisted >= ENOUGH:
            click.echo(f"\ngot {ENOUGH} SIGTERM/SIGINTs, forcefully exiting", err=True)
            raise SystemExit(1)
        if self.input:
            self.input.close()
        return "detached" if self.input and self.input.detached else "ended"

    def going_on(self) -> bool:
        if self.insisted >= ENOUGH or (self.input and self.input.detached):
            return False
        return bool(self.sources or self.pending or self.until >= 0)

    def step(self) -> None:
        ready = self.wait()
        self.heed()  # whatever poll said: one that came just now was before what is typed, as a new size before the next line
        if self.input:
            self.input.step(ready)
        if self.pending:
            self.write(ready)
        else:
            self.read(ready)

    def wait(self) -> dict[int, int]:
        """Which descriptors are ready for what. Only in here does a session wait, so nothing holds up anything else."""
        wanted = {self.relay.fileno(): select.POLLIN, **self.output_wanted()}
        for fd, events in self.input.wanted().items() if self.input else ():
            wanted[fd] = wanted.get(fd, 0) | events  # a terminal is read and written
        poll = select.poll()
        for fd, events in wanted.items():
            if fd >= 0:
                poll.register(fd, events)
        return dict(poll.poll(self.patience()))

    def output_wanted(self) -> dict[int, int]:
        if self.pending:
            return {self.place().fileno(): select.POLLOUT}
        return {self.until: select.POLLIN} | {source.fileno(): select.POLLIN for source in self.sources}

    def patience(self) -> int | None:
        """Milliseconds to wait at most; None is as long as it takes."""
        if self.pending:
            return 0 if self.place().fileno() < 0 else None
        return LOOK if any(source.fileno() < 0 for source in self.sources) else None

    def place(self):
        """Where the first of what is on its way out is to go."""
        return self.outputs[self.pending[0][0]]

    def heed(self) -> None:
        for number in self.relay.take():
            if number == signal.SIGWINCH:
                self.resize()
            else:
                self.insisted += number in ENDING
                self.signals(number)

    def resize(self) -> None:
        with suppress(OSError):  # its last user has gone
            if self.master >= 0:
                terminal.resize(self.master)

    def write(self, ready: dict[int, int]) -> None:
        if (place := self.place()).fileno() < 0 or place.fileno() in ready:
            stream, data = self.pending.popleft()
            if rest := place.write(data):
                self.pending.appendleft((stream, rest))

    def read(self, ready: dict[int, int]) -> None:
        for source in list(self.sources):
            if source.fileno() < 0 or source.fileno() in ready:
                self.take(source)
        if self.until in ready:
            self.finish()

    def take(self, source) -> bool:
        """What it has just now is on its way out; False if that is nothing."""
        found = source.read()
        if found is None:
            self.sources.remove(source)
        self.pending.extend(found or ())
        return bool(found)

    def finish(self) -> None:
        """The process has ended. Empty its pipes, but do not wait for their end: others may hold them open, and write, for ever."""
        for source in list(self.sources):
            for _ in range(PIPE_AT_MOST):
                if not self.take(source):
                    break
        self.sources, self.until = [], -1
