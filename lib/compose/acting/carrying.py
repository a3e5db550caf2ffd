"""Observe, plan, execute, one after the other: what the commands do."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from lib.compose.acting.reporters import Reporter
from lib.compose.outline import Outline
from lib.compose.planning.observing import observe
from lib.compose.planning.operations import OF_IMAGES, CreateContainer, Plan
from lib.compose.planning.plans import plan
from lib.compose.planning.wanted import Down, Up, Wishes
from lib.images import Library

if TYPE_CHECKING:
    from lib.compose.model import Project


def carry_out(library: Library, project: Project | Outline, wishes: Wishes, reporter: Reporter | None = None, **how) -> Plan:
    """Have it as it is wished; returns what was done. Raises ``ValueError``, ``Failed``. ``how`` are words of ``execute``."""
    reporter = reporter or Reporter()
    found = prepared(library, project, wishes, reporter, **how)
    done(library, found, reporter, **how)
    return found


def prepared(library: Library, project: Project | Outline, wishes: Wishes, reporter: Reporter, **how) -> Plan:
    """The plan, when all is here that it needs; what is left of it another thread may do, too. Raises ``ValueError``, ``Failed``.

    Images come first, and then it is planned anew: only when they are here can be said which containers are made from older ones.
    """
    found = planned(library, project, wishes)
    if isinstance(wishes, Up) and (images := found.only(*OF_IMAGES)):
        done(library, images, reporter, **how)
        found = planned(library, project, replace(wishes, images=False))
    if os.geteuid() and found:
        from lib.engine.networks import rootless

        rootless.enter(begin=True)  # not before: a registry of this machine cannot be reached from there
    return found


def planned(library: Library, project: Project | Outline, wishes: Wishes) -> Plan:
    """What has to be done. Raises ``ValueError``; ``Impossible`` for a container that could not be made, before anything is."""
    by_images = isinstance(wishes, Up) or (isinstance(wishes, Down) and wishes.images)
    found = plan(project, observe(library, project if by_images else project.name), wishes)
    if made := {one.service: one.model for one in found.operations if isinstance(one, CreateContainer)}:
        from lib.compose.services import possible  # a project that is as it is to be need not load it

        for service in made.values():
            possible.check(project, service)
    return found


def done(library: Library, found: Plan, reporter: Reporter, **how) -> None:
    """Where there is nothing to do, nothing need be loaded that could do it."""
    if not found:
        return reporter.planned(found)
    from lib.compose.acting.executing import execute

    execute(library, found, reporter, **how)
