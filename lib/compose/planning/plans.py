"""From what somebody wants, what the file says and what is there, to a plan. Pure: it can be asked as often as one likes."""

from __future__ import annotations

from lib.compose.model import Project
from lib.compose.planning import downward, upward
from lib.compose.planning.observing import Observed
from lib.compose.planning.operations import Plan
from lib.compose.planning.wanted import Down, Remove, Restart, Start, Stop, Up, Wishes

PLANS = {Up: upward.plan, Down: downward.down, Stop: downward.stop, Start: downward.start, Restart: downward.restart,
         Remove: downward.remove}  # fmt: skip


def plan(project: Project, observed: Observed, wishes: Wishes) -> Plan:
    """What has to be done; nothing, if all is as it is to be. Raises ``ValueError`` for what cannot be."""
    return PLANS[type(wishes)](project, observed, wishes)
