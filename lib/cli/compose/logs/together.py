"""The command stays with all containers of a project at once: one loop reads their logs, hears of new ones, and passes on signals."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from lib.cli.attached.following import LogSource
from lib.cli.compose import members
from lib.cli.compose.logs.prefixes import Lines, Prefix
from lib.engine import finding
from lib.state import events, kept


class ServiceLog(LogSource):
    """One container's lines; when it has ended, that is said, and ``ended`` is called with its exit code."""

    def __init__(self, facts: dict, log: Lines, prefix: Prefix, ended: Callable[[dict, int], str]):
        super().__init__(kept.place(facts), log=log)
        self.facts, self.prefix, self.ended, self.closed = facts, prefix, ended, False
        self.started(facts)

    def read(self) -> list[tuple[str, bytes]] | None:
        if self.closed:
            return None
        if (found := super().read()) is not None:
            return found
        last, code = self.prefix.rests(), self.exit_code()
        self.close()
        word = self.ended(self.facts, code)
        return [*last, ("stdout", word.encode())] if word else last

    def fileno(self) -> int:
        return -1 if self.closed else super().fileno()

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            super().close()


class Comings:
    """Hears of containers of the project that are started meanwhile: by a restart, by another command. ``come`` is called with each.

    It is over when ``over`` says so.
    """

    def __init__(self, project: str, services: Iterable[str], come: Callable[[dict], object], over: Callable[[], bool]):
        self.project, self.services, self.come, self.over = project, set(services), come, over
        self.events = events.Reader()
        for _ in self.events.read():
            pass

    def fileno(self) -> int:
        return self.events.watch

    def read(self) -> list[tuple[str, bytes]] | None:
        self.drain()
        for event in self.events.read():
            if event["Type"] == "container" and event["Action"] == "start":
                self.look(event["Actor"]["ID"])
        return None if self.over() else []

    def look(self, ident: str) -> None:
        try:
            facts = finding.now(kept.load(kept.place(ident)))
        except (FileNotFoundError, kept.Unreadable):
            return
        ours = members.about(facts).get("project") == self.project and not members.is_oneoff(facts)
        if ours and members.service(facts) in self.services:
            self.come(facts)

    def drain(self) -> None:
        try:
            while self.events.watch >= 0 and os.read(self.events.watch, 1 << 16):
                pass
        except BlockingIOError:
            return

    def close(self) -> None:
        self.events.close()
