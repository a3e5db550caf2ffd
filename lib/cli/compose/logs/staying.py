"""``up`` in the foreground: the logs of all containers, until they have ended or somebody has had enough."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

import click

from lib.cli.attached.relay import Relay
from lib.cli.attached.session import Session
from lib.cli.compose import carrying, members
from lib.cli.compose.asked import Asked
from lib.cli.compose.logs.prefixes import Lines, Prefix, prefixes
from lib.cli.compose.logs.rising import Rising
from lib.cli.compose.logs.together import Comings, ServiceLog
from lib.cli.errors import Failed, errors
from lib.compose.acting import Plan, Stop
from lib.compose.planning.operations import CreateContainer, RemoveContainer, StopContainer
from lib.state import kept

if TYPE_CHECKING:
    from lib.cli.compose.watch.verb import Watcher

INTERRUPTED = 128 + signal.SIGINT
Which = tuple[str, int]  # the service and the number of a container
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Staying:
    """``shown`` are the services whose logs are shown, ``stopped`` those that end with us; ``begun`` is when. ``run`` it once.

    As long as ``watcher`` looks at files, it is not over when all have ended: they may be made anew.
    """

    def __init__(self, asked: Asked, shown: Collection[str], stopped: Collection[str], grace: int | None, look: dict, abort: str = "",
                 code_from: str = "", begun: str = "", watcher: Watcher | None = None):  # fmt: skip
        self.asked, self.shown, self.stopped, self.grace = asked, shown, stopped, grace
        self.look, self.abort, self.code_from, self.begun = look, abort, code_from, begun
        self.sources: list = []  # what the session reads: it takes out what has ended
        self.logs: list[ServiceLog] = []
        self.known: dict[str, str] = {}  # of each container that is followed, when it was started
        self.code, self.interrupts = 0, 0
        self.worker: threading.Thread | None = None
        self.is_up, self.failed = False, None
        self.watcher = watcher
        self.watching = threading.Thread(target=told(watcher.run)) if watcher else None

    def run(self, plan: Plan, patience: int = 0) -> int:
        """Carry it out, and stay: the exit code. Raises ``Failed`` if that cannot be done, also in ``patience`` seconds (0: any time)."""
        labels = self.labels(plan)
        self.begin = prefixes(labels, **self.look)
        click.echo(f"Attaching to {', '.join(labels.values())}")
        self.comings = Comings(self.asked.called, self.shown, self.follow, lambda: not self.going_on())
        self.rising = Rising(lambda stop: carrying.done(self.asked, "up", plan, stop, self.asked.beside("up")), self.risen, patience)
        self.sources += [self.comings, self.rising]
        stopped = {one.resource for one in plan.operations if isinstance(one, StopContainer)}
        for facts in self.there():
            if facts["name"] in plan.kept and facts["name"] not in stopped and facts["state"]["status"] in members.GOING_ON:
                self.follow(facts)
        try:
            with Relay() as relay:
                self.session = Session(self.sources, relay, self.heed)
                self.rising.start()
                self.followed()
        finally:
            self.look_no_longer()
            for thread in (self.worker, self.watching):
                if thread and thread.ident:
                    thread.join()
            for one in [self.rising, self.comings, *self.logs]:
                one.close()
        if self.failed:
            raise self.failed
        return self.code

    def followed(self) -> None:
        try:
            self.session.run()
        except KeyboardInterrupt:  # a notebook's Stop: there no signals come
            self.heed(signal.SIGINT)
            self.session.run()

    def labels(self, plan: Plan) -> dict[Which, str]:
        """Of those that are there in the end."""
        gone = {one.ident for one in plan.operations if isinstance(one, RemoveContainer)}
        found = {which(facts): facts["name"] for facts in self.there() if facts["id"] not in gone}
        made = [one for one in plan.operations if isinstance(one, CreateContainer) and one.service in self.shown]
        found |= {(one.service, one.number): one.resource for one in made}
        return {key: members.shorter(found[key], self.asked.called) for key in sorted(found)}

    def there(self) -> list[dict]:
        return [one for one in members.of(self.asked.called) if members.service(one) in self.shown and not members.is_oneoff(one)]

    def risen(self, failed: Failed | None) -> None:
        """All is started, or something could not be: then that is the end of it, and what runs runs on."""
        self.is_up = True
        for facts in self.there():
            if facts["state"]["started"] >= self.begun:  # of whose start nobody has told us
                self.follow(facts)
        if failed and not self.interrupts and not self.worker:
            self.failed = failed
            for one in self.logs:  # which may say why
                self.session.pending.extend(one.read() or ())
            self.sources[:] = [self.rising]  # which is taken out now
            return
        if self.watching and not self.watcher.over.is_set():
            self.watching.start()
        self.enough()

    def look_no_longer(self) -> None:
        if self.watcher:
            self.watcher.over.set()

    def enough(self) -> None:
        if self.comings in self.sources and not self.going_on():
            self.sources.remove(self.comings)

    def follow(self, facts: dict) -> None:
        """From its last start on, but not what was before we had begun. One start is followed once, whoever tells us of it."""
        started = facts["state"]["started"]
        if self.known.get(facts["id"]) == started:
            return
        self.known[facts["id"]] = started
        prefix = self.begin.get(which(facts)) or self.newcomer(facts)
        log = Lines(kept.place(facts), prefix, max(started, self.begun))
        self.logs.append(ServiceLog(facts, log, prefix, self.ended))
        self.sources.append(self.logs[-1])

    def newcomer(self, facts: dict) -> Prefix:
        self.begin |= prefixes({which(facts): members.label(facts)}, **self.look)
        return self.begin[which(facts)]

    def going_on(self) -> bool:
        """Is there anything more to come?"""
        return (
            not self.is_up
            or bool(self.watcher and not self.watcher.over.is_set())
            or any(not one.closed for one in self.logs)
            or any(one["state"]["status"] == "restarting" for one in self.there())
        )

    # -- the end

    def ended(self, facts: dict, code: int) -> str:
        counts = members.service(facts) == self.code_from if self.code_from else not self.worker  # else it is only we who end it
        if self.abort and counts and not self.interrupts:
            self.code = code
        if self.abort == "exit" or (self.abort == "failure" and code):
            self.stop("Aborting on container exit...")
        self.enough()
        return f"{members.label(facts)} exited with code {code}\n"

    def heed(self, number: int) -> None:
        """The first one stops all, the second one kills them."""
        if number not in ENDING:
            return
        self.interrupts += 1
        self.code = INTERRUPTED
        if self.interrupts == 1:
            self.stop("Gracefully Stopping... press Ctrl+C again to force")
        elif self.interrupts == 2:
            self.kill()

    def stop(self, words: str) -> None:
        """Beside the logs, which go on until the last one has ended."""
        if self.worker:
            return
        self.look_no_longer()
        self.enough()
        with self.asked.beside("stop") as teller:
            teller.tell("Compose", "Stopping", words)
        self.worker = threading.Thread(target=told(self.stop_all))
        self.worker.start()

    def stop_all(self) -> None:
        self.rising.end()
        if self.watching and self.watching.ident:
            self.watching.join()  # it may be making one anew
        wishes = Stop(services=tuple(self.stopped), timeout=self.grace)
        carrying.out(self.asked, "stop", wishes, teller=self.asked.beside("stop"))

    def kill(self) -> None:
        from lib.engine import ending

        for facts in members.going_on(members.of(self.asked.called)):
            if members.service(facts) in self.stopped:
                told(lambda facts=facts: ending.kill(facts))()


def which(facts: dict) -> Which:
    return members.service(facts), members.number(facts)


def told(do: Callable[[], object]) -> Callable[[], None]:
    """An error is told, and the rest goes on."""

    def done() -> None:
        try:
            with errors():
                do()
        except Failed as error:
            error.show()

    return done
