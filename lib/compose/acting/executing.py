"""A plan is carried out: as much at a time as its order allows, and what fails keeps only that from being done which needs it."""

from __future__ import annotations

import graphlib
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing, nullcontext, suppress

from lib import linux
from lib.compose.acting.deeds import Deeds, StillInUse
from lib.compose.acting.reporters import Reporter
from lib.compose.acting.stopping import Interrupted, Stop
from lib.compose.acting.waiting import NotReady
from lib.compose.planning.operations import Operation, Plan, Wait
from lib.images import Library
from lib.shield import Shield

GLANCE = 0.5  # seconds
AT_ONCE = 256  # threads at most; most of them only wait for something to end


class Failed(Exception):
    """What could not be done, each with its reason; the rest of the plan was done, as far as it did not need that."""

    def __init__(self, failures: list[tuple[Operation, BaseException]], left_out: list[Operation]):
        self.failures, self.left_out = failures, left_out
        super().__init__("\n".join(told(one, error) for one, error in failures))


def told(one: Operation, error: BaseException) -> str:
    """What it is that failed says the error itself, if it was waited for."""
    if isinstance(one, Wait) and isinstance(error, NotReady):
        return f"dependency failed to start: {error}" if one.condition == "service_healthy" else str(error)
    return f"{one}: {error}"


def execute(library: Library, plan: Plan, reporter: Reporter | None = None, stop: Stop | None = None, at_once: int = AT_ONCE) -> None:
    """Do it. Raises ``Failed``; ``KeyboardInterrupt`` comes when what was under way is finished or undone: nothing is left half made.

    Somebody else may say ``stop`` meanwhile, in another thread; then it ends in the same way, without an error. ``at_once`` is how many
    operations may be under way at a time.
    """
    with closing(Stop()) as own:
        Execution(library, plan, reporter or Reporter(), stop or own, at_once).run()


class Execution:
    """One go."""

    def __init__(self, library: Library, plan: Plan, reporter: Reporter, stop: Stop, at_once: int):
        self.plan, self.reporter, self.stop, self.at_once = plan, reporter, stop, at_once
        self.deeds = Deeds(library, plan.project, self.stop, lambda text: self.tell(-1, "warned", text))
        self.events: deque = deque()  # what threads tell: only this one talks to the reporter
        self.told = -1  # a descriptor that can be read when something was told
        self.failures: list[tuple[Operation, BaseException]] = []
        self.lost: set[int] = set()  # what failed, and what needs that
        self.began: dict[int, float] = {}
        self.ready: list[int] = []  # what could begin, as soon as there is room
        self.threads: list[threading.Thread] = []

    def run(self) -> None:
        interrupt: BaseException | None = None
        self.reporter.planned(self.plan)
        sorter = graphlib.TopologicalSorter(dict(enumerate(self.plan.after)))
        sorter.prepare()
        with Shield() as shield:
            self.told = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            try:
                while sorter.is_active():
                    self.begin(sorter)
                    if not self.began:
                        continue
                    try:
                        with shield.opened() if interrupt is None else nullcontext():
                            linux.readable([self.told], GLANCE)  # nothing is taken here: an interrupt would lose it
                    except BaseException as error:  # an interrupt; a notebook's Stop
                        interrupt = error
                        self.stop.say()
                        continue
                    for event in self.heard():
                        self.hear(sorter, *event)
                for one, error in self.deeds.settle():
                    self.failures.append((one, error))
                    self.reporter.failed(one, error)
            finally:
                for thread in self.threads:
                    thread.join()
                os.close(self.told)
        if interrupt:
            raise interrupt
        if self.failures:
            raise Failed(self.failures, [self.plan.operations[place] for place in sorted(self.lost)])

    def tell(self, place: int, word: str, what=None) -> None:
        """From any thread."""
        self.events.append((place, word, what))
        os.eventfd_write(self.told, 1)

    def heard(self) -> Iterator[tuple]:
        """What was told since. A signal that comes just as Python begins to wait does not wake it, so it looks up now and then."""
        with suppress(BlockingIOError):
            os.eventfd_read(self.told)
        while self.events:
            yield self.events.popleft()

    def begin(self, sorter: graphlib.TopologicalSorter) -> None:
        self.ready = sorted([*self.ready, *sorter.get_ready()])
        while self.ready and len(self.began) < self.at_once:
            place = self.ready.pop(0)
            one = self.plan.operations[place]
            if self.stop.said.is_set() or self.lost.intersection(self.plan.after[place]):
                self.lost.add(place)
                self.reporter.left_out(one)
                sorter.done(place)
            else:
                self.began[place] = time.monotonic()
                self.reporter.began(one)
                thread = threading.Thread(target=self.work, args=(place, one), name="compose")
                thread.start()
                self.threads.append(thread)

    def work(self, place: int, one: Operation) -> None:
        """In a thread of its own."""
        try:
            with nullcontext() if one.waits else self.deeds.working:
                self.stop.check()
                self.deeds.do(one, lambda text: self.tell(place, "waited", text))
            self.tell(place, "done")
        except BaseException as error:
            self.tell(place, "failed", error)

    def hear(self, sorter: graphlib.TopologicalSorter, place: int, word: str, what) -> None:
        if word == "warned":
            self.reporter.warned(what)
            return
        one = self.plan.operations[place]
        if word == "waited":
            self.reporter.waited(one, what)
            return
        seconds = time.monotonic() - self.began.pop(place)
        if word == "done":
            self.reporter.done(one, seconds)
        elif isinstance(one, Wait) and not one.required and not isinstance(what, Interrupted):
            self.reporter.skipped(one, what)
        elif isinstance(what, StillInUse) and not any(place in those for those in self.plan.after):
            self.reporter.stayed(one, what)
        else:
            self.lost.add(place)
            if not isinstance(what, Interrupted):
                self.failures.append((one, what))
            self.reporter.failed(one, what)
        sorter.done(place)
