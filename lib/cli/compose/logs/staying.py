"""``up`` in the foreground: the logs of all containers, until they have ended or somebody has had enough."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Collection

import click

from lib.cli.attached.relay import Relay
from lib.cli.attached.session import Session
from lib.cli.compose import carrying, members
from lib.cli.compose.asked import Asked
from lib.cli.compose.logs.prefixes import Lines, Prefix, prefixes
from lib.cli.compose.logs.together import Comings, ServiceLog
from lib.cli.errors import Failed, errors
from lib.compose.acting import Stop
from lib.state import kept

INTERRUPTED = 128 + signal.SIGINT
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Staying:
    """``shown`` are the services whose logs are shown, ``stopped`` those that end with us; ``begun`` is when. ``run`` it once."""

    def __init__(self, asked: Asked, shown: Collection[str], stopped: Collection[str], grace: int | None, look: dict, abort: str = "",
                 code_from: str = "", begun: str = ""):  # fmt: skip
        self.asked, self.shown, self.stopped, self.grace = asked, shown, stopped, grace
        self.look, self.abort, self.code_from, self.begun = look, abort, code_from, begun
        self.sources: list = []  # what the session reads: it takes out what has ended
        self.logs: list[ServiceLog] = []
        self.known: dict[str, str] = {}  # of each container that is followed, when it was started
        self.code, self.interrupts = 0, 0
        self.worker: threading.Thread | None = None

    def run(self) -> int:
        """The exit code."""
        there = self.there()
        self.begin = prefixes(there, **self.look)
        click.echo(f"Attaching to {', '.join(members.label(one) for one in there)}")
        self.comings = Comings(self.asked.called, self.shown, self.follow, lambda: not self.going_on())
        self.sources = [self.comings]
        for facts in there:
            self.follow(facts)
        try:
            with Relay() as relay:
                self.session = Session(self.sources, relay, self.heed)
                self.followed()
        finally:
            if self.worker:
                self.worker.join()
            for one in [self.comings, *self.logs]:
                one.close()
        return self.code

    def followed(self) -> None:
        try:
            self.session.run()
        except KeyboardInterrupt:  # a notebook's Stop: there no signals come
            self.heed(signal.SIGINT)
            self.session.run()

    def there(self) -> list[dict]:
        return [one for one in members.of(self.asked.called) if members.service(one) in self.shown and not members.is_oneoff(one)]

    def follow(self, facts: dict) -> None:
        """From its last start on, but not what was before we had begun. One start is followed once, whoever tells us of it."""
        started = facts["state"]["started"]
        if self.known.get(facts["id"]) == started:
            return
        self.known[facts["id"]] = started
        prefix = self.begin.get(facts["id"]) or self.newcomer(facts)
        log = Lines(kept.place(facts), prefix, max(started, self.begun))
        self.logs.append(ServiceLog(facts, log, prefix, self.ended))
        self.sources.append(self.logs[-1])

    def newcomer(self, facts: dict) -> Prefix:
        self.begin |= prefixes([facts], **self.look)
        return self.begin[facts["id"]]

    def going_on(self) -> bool:
        """Is there anything more to come?"""
        return any(not one.closed for one in self.logs) or any(one["state"]["status"] == "restarting" for one in self.there())

    # -- the end

    def ended(self, facts: dict, code: int) -> str:
        wanted = self.code_from or members.service(facts)
        if members.service(facts) == wanted and self.abort and not self.interrupts:
            self.code = code
        if self.abort == "exit" or (self.abort == "failure" and code):
            self.stop("Aborting on container exit...")
        if self.comings in self.sources and not self.going_on():
            self.sources.remove(self.comings)
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
        with self.asked.teller("stop") as teller:
            teller.tell("Compose", "Stopping", words)
        self.worker = threading.Thread(target=told(self.stop_all))
        self.worker.start()

    def stop_all(self) -> None:
        carrying.out(self.asked, "stop", Stop(services=tuple(self.stopped), timeout=self.grace))

    def kill(self) -> None:
        from lib.engine import ending

        for facts in members.going_on(members.of(self.asked.called)):
            if members.service(facts) in self.stopped:
                told(lambda facts=facts: ending.kill(facts))()


def told(do: Callable[[], object]) -> Callable[[], None]:
    """An error is told, and the rest goes on."""

    def done() -> None:
        try:
            with errors():
                do()
        except Failed as error:
            error.show()

    return done
