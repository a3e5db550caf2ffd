"""What a verb wishes is planned and carried out, and told as it happens; or (``--dry-run``) only the plan is told."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import click

from lib.cli.compose.asked import Asked
from lib.cli.compose.progress import Teller
from lib.cli.compose.telling import Quiet, Telling
from lib.cli.errors import Failed
from lib.cli.library import library
from lib.compose import acting
from lib.compose.acting.stopping import Stop
from lib.compose.outline import Outline
from lib.compose.planning.operations import Operation
from lib.visible import visible


def out(asked: Asked, verb: str, wishes: acting.Wishes, patience: int = 0, quiet: Quiet = (), teller: Teller | None = None):
    """The plan, carried out. Raises ``Failed``, ``ValueError``; also if it takes more than ``patience`` seconds, where that is not 0."""
    project = asked.project if isinstance(wishes, acting.Up) else asked.known or Outline(asked.called)
    if asked.dry_run:
        with asked.pointing():
            found = acting.planned(library(), project, wishes)
        click.echo(visible(str(found)))
        return found
    with asked.pointing(), teller or asked.teller(verb) as teller, limited(patience) as stop, failing(asked):
        return acting.carry_out(library(), project, wishes, Telling(teller, verb, quiet), stop=stop, **at_once(asked))


def prepared(asked: Asked, verb: str, wishes: acting.Wishes, quiet: Quiet) -> acting.Plan:
    """The first half: what is left to be done, with the images here that it needs. Raises ``Failed``, ``ValueError``."""
    with asked.pointing(), asked.teller(verb) as teller, failing(asked):
        return acting.prepared(library(), asked.project, wishes, Telling(teller, verb, quiet), **at_once(asked))


def done(asked: Asked, verb: str, plan: acting.Plan, stop: Stop, teller: Teller) -> None:
    """And the second one. Raises ``Failed``."""
    with failing(asked):
        acting.done(library(), plan, Telling(teller, verb), stop=stop, **at_once(asked))


def at_once(asked: Asked) -> dict[str, int]:
    return {"at_once": asked.parallel} if asked.parallel > 0 else {}


@contextmanager
def failing(asked: Asked | None = None) -> Iterator[None]:
    """Raises ``Failed`` as the command has it."""
    try:
        yield
    except acting.Failed as error:
        raise Failed("\n".join(with_place(asked, *one) for one in error.failures)) from None


def with_place(asked: Asked | None, one: Operation, error: BaseException) -> str:
    """What failed. Which users there are only the image can say, so whoever names another one is shown where he did."""
    from lib.compose.acting.executing import told
    from lib.ingredients import UnknownUser

    if not (isinstance(error, UnknownUser) and asked and asked.known and one.service in asked.known.services):
        return told(one, error)
    from lib.compose.reading.nodes import at, dotted
    from lib.compose.services.possible import of_user

    path = of_user(asked.project.services[one.service], error.name)
    return f"{at(asked.loaded.tree, path)}: {dotted(path)}: {error}" if path else told(one, error)


def furnished(asked: Asked, service, teller: Teller) -> None:
    """The networks and volumes that a container of the service needs are made, as far as they are not there."""
    from lib.compose.planning.operations import Draft
    from lib.compose.planning.shared import Shared

    ours, project = library(), asked.project
    draft = Draft(project)
    Shared(draft, project, acting.observe(ours, project), acting.Up(images=False)).plan([service])
    in_network()
    through(draft.plan(), teller)


def through(plan: acting.Plan, teller: Teller) -> None:
    """Carry it out. Raises ``Failed``."""
    with failing():
        acting.execute(library(), plan, Telling(teller))


def in_network() -> None:
    """A user's containers live in a network of his own, and so does whoever makes them; not before their images are here."""
    if os.geteuid():
        from lib.engine.networks import rootless

        rootless.enter(begin=True)


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
