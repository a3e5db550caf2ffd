"""What a verb wishes is planned and carried out, and told as it happens; or (``--dry-run``) only the plan is told."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import click

from lib.cli.compose import members
from lib.cli.compose.asked import Asked
from lib.cli.compose.progress import Teller
from lib.cli.errors import Failed
from lib.cli.library import library
from lib.compose import acting
from lib.compose.acting.stopping import Stop
from lib.visible import visible

READY = {"service_completed_successfully": "Exited"}  # else what is waited for is told to be healthy


class Telling(acting.Reporter):
    """What happens to each thing, in Docker's words."""

    def __init__(self, teller: Teller):
        self.teller = teller

    def planned(self, plan) -> None:
        self.plan = plan
        for text in plan.warnings:
            self.warned(text)
        started = {one.resource for one in plan.operations}
        for name in plan.kept:
            if name not in started:
                self.teller.tell("Container", name, "Running")

    def tell(self, one, word: str) -> None:
        """Of a service that is waited for, each container."""
        if not hasattr(one, "condition"):
            return self.teller.tell(one.kind, one.resource, word)
        made = [
            other.resource for other in self.plan.operations if getattr(other, "service", "") == one.resource and other.kind == "Container"
        ]
        there = [name for name, service in self.plan.services.items() if service == one.resource]
        those = [other for other in members.of(self.plan.project.name) if members.service(other) == one.resource]
        known = [other["name"] for other in those if not members.is_oneoff(other)]
        for name in dict.fromkeys([*there, *made] or known):
            self.teller.tell("Container", name, READY.get(one.condition, "Healthy") if word == one.did else word)

    def began(self, one) -> None:
        self.tell(one, one.doing)

    def waited(self, one, text: str) -> None:
        for line in filter(str.strip, text.splitlines()):
            self.teller.note(one.kind, one.resource, line)

    def done(self, one, seconds: float) -> None:
        self.tell(one, one.did)

    def failed(self, one, error: BaseException) -> None:
        self.tell(one, f"Error {error}")

    def warned(self, text: str) -> None:
        click.echo(visible(f"WARN {text}"), err=True)


def out(asked: Asked, verb: str, wishes: acting.Wishes, patience: int = 0, quiet: bool = False):
    """The plan, carried out. Raises ``Failed``, ``ValueError``; also if it takes more than ``patience`` seconds, where that is not 0."""
    project = asked.known or named(asked)
    if asked.dry_run:
        with asked.pointing():
            found = acting.planned(library(), project, wishes)
        click.echo(visible(str(found)))
        return found
    how = {"at_once": asked.parallel} if asked.parallel > 0 else {}
    with asked.pointing(), asked.teller(verb) as teller, limited(patience) as stop:
        try:
            return acting.carry_out(library(), project, wishes, Telling(Teller() if quiet else teller), stop=stop, **how)
        except acting.Failed as error:
            raise Failed(str(error)) from None


def furnished(asked: Asked, service, teller: Teller) -> None:
    """The networks and volumes that a container of the service needs are made, as far as they are not there."""
    from lib.compose.planning.operations import Draft
    from lib.compose.planning.shared import Shared

    ours, project = library(), asked.project
    draft = Draft(project)
    Shared(draft, project, acting.observe(ours, project), acting.Up(images=False, no_recreate=True)).plan([service])
    in_network()
    try:
        acting.execute(ours, draft.plan(), Telling(teller))
    except acting.Failed as error:
        raise Failed(str(error)) from None


def in_network() -> None:
    """A user's containers live in a network of his own, and so does whoever makes them; not before their images are here."""
    if os.geteuid():
        from lib.engine.networks import rootless

        rootless.enter(begin=True)


def named(asked: Asked):
    """A project of which nothing is known but its name, and what there is of it."""
    from lib.compose.model import Project

    return Project(name=asked.called)


@contextmanager
def limited(seconds: int) -> Iterator[Stop]:
    """What is done within this block has that many seconds, unless they are 0; what is under way then is finished or undone.

    Gives what says so. Raises ``Failed`` at the end if it was said.
    """
    with closing(Stop()) as stop:
        timer = threading.Timer(seconds, stop.say)
        if seconds:
            timer.start()
        try:
            yield stop
        finally:
            timer.cancel()
            if seconds:
                timer.join()
        if stop.said.is_set():
            raise Failed(f"application not healthy after {seconds}s")
