"""What happens while a plan is carried out, in Docker's words.

A plan has more deeds than Docker tells of: one that is made anew is created, its forerunner is stopped and removed, and it is renamed. Of
such a group the beginning of the first and the end of the last are told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import click

from lib.cli.compose import members
from lib.cli.compose.progress import Teller
from lib.compose import acting
from lib.compose.acting.reporters import without
from lib.compose.acting.waiting import NotReady
from lib.compose.planning.operations import (
    BuildImage,
    CreateContainer,
    OfContainer,
    Operation,
    Plan,
    PullImage,
    RemoveContainer,
    StartContainer,
    StopContainer,
    Wait,
)
from lib.visible import visible

ENDED = "service_completed_successfully"
Quiet = tuple[type[Operation], ...]
STAYS = "Resource is still in use"


class Group:
    """Deeds that are told as one: ``words`` for the beginning and for the end; ``left`` are those that are not done yet."""

    def __init__(self, name: str, words: tuple[str, str], those: Iterable[Operation]):
        self.name, self.words, self.left, self.begun = name, words, {id(one) for one in those}, False

    def began(self) -> str:
        """The word, if this was the first."""
        first, self.begun = not self.begun, True
        return self.words[0] if first else ""

    def done(self, one: Operation) -> str:
        """The word, if it was the last."""
        self.left.discard(id(one))
        return "" if self.left else self.words[1]


def groups(plan: Plan, verb: str) -> Iterator[tuple[Group, list[Operation]]]:
    """Each container that is made anew; and of ``restart`` each that is started again."""
    found: dict[tuple[str, int], list[OfContainer]] = {}
    for one in plan.operations:
        if isinstance(one, OfContainer):
            found.setdefault((one.service, one.number), []).append(one)
    for those in found.values():
        made = [one for one in those if isinstance(one, CreateContainer)]
        if verb == "restart":
            yield Group(those[0].resource, ("Restarting", "Started"), those), those
        elif made and any(isinstance(one, RemoveContainer) for one in those):
            anew = [one for one in those if not isinstance(one, StartContainer) and getattr(one, "when", "pre_stop") == "pre_stop"]
            yield Group(made[0].resource, ("Recreate", "Recreated"), anew), anew


class Telling(acting.Reporter):
    """``verb`` is what was asked for; of deeds of a ``quiet`` kind only beginning and end are told, not what goes on meanwhile."""

    def __init__(self, teller: Teller, verb: str = "", quiet: Quiet = ()):
        self.teller, self.verb, self.quiet = teller, verb, quiet
        self.groups: dict[int, Group] = {}

    def planned(self, plan: Plan) -> None:
        self.plan = plan
        self.groups = {id(one): group for group, those in groups(plan, self.verb) for one in those}
        for text in plan.warnings:
            self.warned(text)
        if any(isinstance(one, CreateContainer) for one in plan.operations):
            from lib.cli.compose import uncovered

            uncovered.tell(plan)
        self.stopped = {one.ident for one in plan.operations if isinstance(one, StopContainer)}
        worked_at = {one.resource for one in plan.operations}
        for name in plan.kept:
            if name not in worked_at:
                self.teller.tell("Container", name, "Running")
        for service, condition in plan.ready.items():
            self.of_service(service, "Waiting")
            self.of_service(service, ready(condition))

    def of_service(self, service: str, word: str) -> None:
        """Of a service that is waited for, each container."""
        made = [one.resource for one in self.plan.operations if isinstance(one, CreateContainer) and one.service == service]
        there = [name for name, whose in self.plan.services.items() if whose == service]
        those = [
            one["name"] for one in members.of(self.plan.project.name) if members.service(one) == service and not members.is_oneoff(one)
        ]
        for name in dict.fromkeys([*there, *made] or those):
            self.teller.tell("Container", name, word)

    # -- what happens

    def began(self, one: Operation) -> None:
        if isinstance(one, Wait):
            self.of_service(one.resource, "Waiting")
            return
        if self.verb == "down" and isinstance(one, RemoveContainer) and one.ident not in self.stopped:
            for word in (StopContainer.doing, StopContainer.did):  # it has ended before, so nothing need be done for it
                self.tell(one, word)
        self.tell(one, self.groups[id(one)].began() if id(one) in self.groups else one.doing)

    def done(self, one: Operation, seconds: float) -> None:
        if isinstance(one, Wait):
            self.of_service(one.resource, ready(one.condition))
        else:
            self.tell(one, self.groups[id(one)].done(one) if id(one) in self.groups else one.did)

    def tell(self, one: Operation, word: str) -> None:
        if word:
            self.teller.tell(one.kind, self.groups[id(one)].name if id(one) in self.groups else one.resource, word)

    def waited(self, one: Operation, text: str) -> None:
        for line in filter(str.strip, () if isinstance(one, self.quiet) else text.splitlines()):
            self.teller.note(one.kind, one.resource, line)

    def failed(self, one: Operation, error: BaseException) -> None:
        """What ``--wait`` has waited for is told at the end only, as Docker does it."""
        if not isinstance(one, Wait):
            self.tell(one, f"Error {error}")
        elif word := failure(one, error):
            self.of_service(one.resource, word)

    def skipped(self, one: Wait, error: BaseException) -> None:
        self.of_service(one.resource, f"Skipped: {without(one, error)}")
        super().skipped(one, error)

    def stayed(self, one: Operation, error: BaseException) -> None:
        self.tell(one, STAYS)
        super().stayed(one, error)

    def warned(self, text: str) -> None:
        click.echo(visible(f"WARN {text}"), err=True)


def quiet(words: Mapping[str, object]) -> Quiet:
    """What the flags of these names say."""
    kinds = {"quiet_pull": PullImage, "quiet_build": BuildImage}
    return tuple(kind for name, kind in kinds.items() if words.get(name))


def ready(condition: str) -> str:
    return "Exited" if condition == ENDED else "Healthy"


def failure(one: Wait, error: BaseException) -> str:
    """What becomes of a service that others wait for; nothing, if it was only we who would wait no longer."""
    if one.condition == "running_or_healthy" or not isinstance(error, NotReady):
        return ""
    return f"Error dependency {one.resource} failed to start" if one.condition == "service_healthy" else f"Error {error.words}"
