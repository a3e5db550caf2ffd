"""What a verb wishes is planned and carried out, and told as it happens; or (``--dry-run``) only the plan is told."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import click

from lib.cli.compose.asked import Asked
from lib.cli.compose.progress import Teller
from lib.cli.errors import Failed
from lib.cli.library import library
from lib.compose import acting
from lib.visible import visible


class Telling(acting.Reporter):
    """What happens to each thing, in Docker's words. Threads of ours hear of it one after the other."""

    def __init__(self, teller: Teller):
        self.teller = teller

    def planned(self, plan) -> None:
        for text in plan.warnings:
            self.warned(text)
        for name in plan.kept:
            self.teller.tell("Container", name, "Running")

    def began(self, one) -> None:
        self.teller.tell(one.kind, one.resource, one.doing)

    def waited(self, one, text: str) -> None:
        for line in filter(str.strip, text.splitlines()):
            self.teller.note(one.kind, one.resource, line)

    def done(self, one, seconds: float) -> None:
        self.teller.tell(one.kind, one.resource, one.did)

    def failed(self, one, error: BaseException) -> None:
        self.teller.tell(one.kind, one.resource, f"Error {error}")

    def warned(self, text: str) -> None:
        click.echo(visible(f"WARN {text}"), err=True)


def out(asked: Asked, verb: str, wishes: acting.Wishes, patience: int = 0, quiet: bool = False):
    """The plan, carried out. Raises ``Failed``, ``ValueError``; also if it takes more than ``patience`` seconds, where that is not 0."""
    project = asked.known or named(asked)
    if asked.dry_run:
        found = acting.plan(project, acting.observe(library(), project), wishes)
        click.echo(visible(str(found)))
        return found
    with asked.teller(verb) as teller, limited(patience):
        try:
            return acting.carry_out(library(), project, wishes, Telling(Teller() if quiet else teller))
        except acting.Failed as error:
            raise Failed(str(error)) from None


def named(asked: Asked):
    """A project of which nothing is known but its name, and what there is of it."""
    from lib.compose.model import Project

    return Project(name=asked.called)


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Within this block no more time than that passes, unless it is 0. Raises ``Failed`` after it; what was under way is finished or undone."""
    if not seconds:
        yield
        return
    over = threading.Event()

    def end() -> None:
        over.set()
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    timer = threading.Timer(seconds, end)
    timer.start()
    try:
        yield
    except KeyboardInterrupt:
        if not over.is_set():
            raise
        raise Failed(f"application not healthy after {seconds}s") from None
    finally:
        timer.cancel()
        timer.join()
