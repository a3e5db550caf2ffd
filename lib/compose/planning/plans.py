"""From what somebody wants, what the file says and what is there, to a plan. Pure: it can be asked as often as one likes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lib.compose.outline import Outline
from lib.compose.planning import downward
from lib.compose.planning.observing import Observed
from lib.compose.planning.operations import Plan
from lib.compose.planning.wanted import Down, Remove, Restart, Start, Stop, Up, Wishes
from lib.compose.services import dependencies

if TYPE_CHECKING:
    from lib.compose.model import Project

DOWNWARD = {Down: downward.down, Stop: downward.stop, Start: downward.start, Restart: downward.restart, Remove: downward.remove}


def plan(project: Project | Outline, observed: Observed, wishes: Wishes) -> Plan:
    """What has to be done; nothing, if all is as it is to be. For all but ``Up`` the outline of the project will do.

    Raises ``ValueError`` for what cannot be.
    """
    if isinstance(wishes, Up):
        from lib.compose.planning import upward

        return upward.plan(project, observed, wishes)
    known = project if isinstance(project, Outline) else dependencies.outline(project)
    return DOWNWARD[type(wishes)](known, observed, wishes)
