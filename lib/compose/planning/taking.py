"""To take containers away, in a plan: the hooks before the end, the stop, the removal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from lib.compose.outline import Outline
from lib.compose.planning.observing import Container, Observed
from lib.compose.planning.operations import Draft, RemoveContainer, RunHook, StopContainer

if TYPE_CHECKING:
    from lib.compose.model import Project


class Taking:
    """For one draft; ``stops`` are the places by service."""

    def __init__(self, draft: Draft, timeout: int | None, volumes: bool = False):
        self.draft, self.timeout, self.volumes = draft, timeout, volumes
        self.stops: dict[str, list[int]] = {}

    def away(self, one: Container, cause: str, after: Iterable[int] = (), volumes: bool = False) -> int:
        """``volumes``: those without a name that nobody else has go with it."""
        after = list(after)
        return self.remove(one, cause, self.stop(one, cause, after) or after, volumes)

    def stop(self, one: Container, cause: str, after: Iterable[int] = ()) -> list[int]:
        """The place, in a list; none if there is nothing to stop."""
        if not one.up:
            return []
        last = list(after)
        facts = {"resource": one.name, "service": one.service, "number": one.number, "ident": one.id}
        for place, said in enumerate(one.pre_stop if one.status == "running" else ()):
            last = [self.draft.add(hook_of(facts, place, said), last)]
        found = self.draft.add(StopContainer(**facts, cause=cause, timeout=self.timeout), last)
        self.stops.setdefault(one.service, []).append(found)
        return [found]

    def remove(self, one: Container, cause: str, after: Iterable[int] = (), volumes: bool = False) -> int:
        found = RemoveContainer(
            resource=one.name, service=one.service, number=one.number, ident=one.id, cause=cause, volumes=volumes or self.volumes
        )
        return self.draft.add(found, after)


def left_behind(draft: Draft, one: Container) -> int:
    """A hook's container goes at once, and with all that it has: nobody wants anything of it."""
    return Taking(draft, 0).away(one, "a hook has left it, which failed or was broken off", volumes=True)


def hook_of(facts: dict, place: int, said: dict) -> RunHook:
    """As it was written down when the container was made."""
    from lib.compose.model import Hook

    return RunHook(**facts, when="pre_stop", place=place, hook=Hook(**said))


def orphans(taking: Taking, project: Project | Outline, observed: Observed, go: bool) -> list[int]:
    """Containers of this project whose services the file does not name any more: they are told, and taken away if they are to ``go``."""
    known = {*project.services, *project.disabled}
    found = [one for one in observed.containers if one.service not in known and not one.oneoff]
    if not go:
        if found:
            names = " ".join(one.name for one in found)
            words = f"Found orphan containers ({names}) for this project: the file names their services no more"
            taking.draft.warnings.append(f"{words}; --remove-orphans takes them away")
        return []
    return [taking.away(one, "the file names its service no more") for one in found]
