"""The health checks of all containers, as the manager carries them out: when, ``plays.health`` says, and how, ``probing``."""

from __future__ import annotations

import heapq
import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress

from lib import durations, linux, state
from lib.engine import moments
from lib.engine.daemons.probing import FAILED, Probe
from lib.engine.health import asked, known, request
from lib.engine.plays import health
from lib.state import events

JUST_MADE = 0.05  # seconds that it takes the keeper, at most, to tell of a process that it is making
LATER = 1.0  # seconds until one is asked again that could not be asked now: the keeper is gone, say


class Checked:
    """One container that is asked."""

    def __init__(self, facts: dict, wanted: request.Request):
        now, age = time.monotonic(), max(0.0, time.time() - moments.seconds(facts["state"]["started"]))
        self.facts, self.ident, self.pid, self.request = facts, facts["id"], facts["state"]["pid"], wanted
        self.health = known.of(facts) or {"Status": health.STARTING, "FailingStreak": 0, "Log": []}
        self.play = health.Check(asked.times(facts), now - age, now, self.health["Status"], self.health["FailingStreak"])
        self.probe: Probe | None = None
        self.begun, self.paused = "", False
        self.planned: float | None = None  # the moment that stands in the heap for it last

    def answer(self, probe: Probe) -> None:
        """Note what has come of it. A full memory must not end the asking."""
        code, output, timeout = probe.code, probe.text(), self.play.times.timeout
        if self.play.killed:
            told = f"Health check exceeded timeout ({durations.in_words(round(timeout * 10**9))})"
            code, output = FAILED, f"{told}: {output}" if output else told
        elif code is None or (code and state.is_ending(self.pid)):  # the keeper was killed; or it was, as the container is to end
            return self.play.put_off(time.monotonic(), LATER)
        self.play.answered(code, time.monotonic())
        one = {"Start": self.begun, "End": moments.now(), "ExitCode": code, "Output": output}
        before, self.health = self.health["Status"], known.with_answer(self.health, self.play.status, self.play.streak, one)
        with suppress(OSError):
            known.save(self.ident, self.health)
        if self.play.status != before:  # told when it can be read: whoever waits for it looks at once, and not again
            events.of_container(f"health_status: {self.play.status}", self.facts)


class Checks:
    """``events`` is where the manager waits; ``keeper`` gives its line to the keeper, None if there is none just now."""

    def __init__(self, events: select.epoll, keeper: Callable[[], socket.socket | None]):
        self.events, self.keeper = events, keeper
        self.those: dict[str, Checked] = {}
        self.sources: dict[int, Checked] = {}
        self.next: list[tuple[float, str]] = []  # a heap; what is out of date is passed over
        self.over: list[Probe] = []  # closed at the end of the round: until then something may be told of their descriptors

    def look(self, facts: dict) -> None:
        """A container that runs, or was paused, or goes on."""
        if facts["id"] not in self.those and (wanted := request.read(facts["id"])):
            self.those[facts["id"]] = Checked(facts, wanted)
        if one := self.those.get(facts["id"]):
            one.paused = facts["state"]["status"] == "paused"
            if one.paused:
                self.drop(one)
                one.play.pause()
            else:
                one.play.go_on(time.monotonic())
            self.plan(one)

    def end(self, ident: str) -> None:
        """It has ended; a probe that runs ends with it."""
        if one := self.those.pop(ident, None):
            self.drop(one)

    def patience(self) -> float | None:
        """Seconds until there is something to do."""
        while self.next and not self.is_due_then(*self.next[0]):
            heapq.heappop(self.next)
        return max(0.0, self.next[0][0] - time.monotonic()) if self.next else None

    def is_due_then(self, moment: float, ident: str) -> bool:
        return ident in self.those and self.those[ident].play.deadline == moment

    def plan(self, one: Checked) -> None:
        if one.play.deadline is not None and one.play.deadline != one.planned:  # else whoever looks again and again would fill the memory
            one.planned = one.play.deadline
            heapq.heappush(self.next, (one.planned, one.ident))

    def go_on(self) -> None:
        """Do what is due. To be called when all has been served that was told of."""
        while self.over:
            self.over.pop().close()
        while self.patience() == 0:
            one = self.those[heapq.heappop(self.next)[1]]
            one.planned = None
            match one.play.todo(time.monotonic()):
                case health.PROBE:
                    self.begin(one)
                case health.KILL:
                    one.probe.kill()
                    one.play.kill()
                    self.wait_at(one)
            self.plan(one)

    def begin(self, one: Checked) -> None:
        try:
            if (line := self.keeper()) is None:
                raise BlockingIOError
            one.probe = Probe(one.request, line)
        except OSError:
            return one.play.put_off(time.monotonic(), LATER)
        one.begun = moments.now()
        one.play.begin(time.monotonic())
        self.wait_at(one)

    def wait_at(self, one: Checked) -> None:
        """Wait at what it has to wait at now, and at nothing else of it."""
        wanted = one.probe.sources if one.probe else set()
        for fd in [fd for fd, other in self.sources.items() if other is one and fd not in wanted]:
            del self.sources[fd]
            self.events.unregister(fd)
        for fd in wanted - self.sources.keys():
            self.sources[fd] = one
            self.events.register(fd, select.EPOLLIN)

    def serve(self, fd: int) -> None:
        """Something has come of a probe."""
        one = self.sources[fd]
        one.probe.take(fd)
        if one.probe.ended:
            one.answer(one.probe)
            self.close(one)
            self.plan(one)
        else:
            self.wait_at(one)

    def drop(self, one: Checked) -> None:
        """A probe that runs is of no interest any more."""
        if one.probe:
            one.probe.kill()
            if one.probe.pidfd < 0:  # it is just being made: a moment later it can be killed, and nobody would look for it any more
                linux.readable([one.probe.birth.fileno()], JUST_MADE)
                one.probe.kill()
            self.close(one)

    def close(self, one: Checked) -> None:
        probe, one.probe = one.probe, None
        self.wait_at(one)
        self.over.append(probe)
