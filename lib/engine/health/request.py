"""What the keeper is told to make a probe: an ``exec``'s plan, worked out once, when the container starts, and kept beside its pipes.

Working it out takes images, ingredients and some hundredths of a second; the manager, which asks each second, has neither. It reads the
request here, opens what it names, and sends it.
"""

from __future__ import annotations

import marshal
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from lib.engine.health import asked, known
from lib.engine.pipes import run_folder
from lib.process.calls import CALLS

NAME, FORMAT = "probe", 4  # of marshal: any Python of ours reads it


class Request(NamedTuple):
    """``head`` and ``body`` are the keeper's and the child's (``process.messages``); ``opened`` are calls that open what they name."""

    head: dict
    body: bytes
    opened: list[tuple[str, list, str]]

    def open(self) -> dict[str, int]:
        """The descriptors, by their names, the caller's to close. Raises ``OSError``: the container has ended, say."""
        found: dict[str, int] = {}
        try:
            for call, args, name in self.opened:
                found[name] = CALLS[call](*args)
        except OSError:
            close(found)
            raise
        return found


def close(fds: Mapping[str, int]) -> None:
    for fd in fds.values():
        os.close(fd)


def write(facts: Mapping, made, pid: int) -> None:
    """Of a container that is about to run: ``made`` is its ``Container``, ``pid`` that of its first process. Nothing if nobody asks it."""
    if words := asked.command(facts):
        from lib.process.line import Line

        plan = made.joining(pid, words)
        plan.ingredients = [by_path(one) for one in plan.ingredients]
        steps = plan.steps
        head, body = Line(steps, 0).request()
        opened = [[step.call, list(step.args), step.gives] for step in steps if step.stage == "prepare"]
        known.begin(facts)
        (run_folder(facts["id"]) / NAME).write_bytes(marshal.dumps([head, marshal.dumps(body, FORMAT), opened], FORMAT))


def by_path(ingredient):
    """Namespaces by where they will be found: an ordinary user may not look at those of his own process before its program runs."""
    from lib.ingredients import Join

    if not isinstance(ingredient, Join):
        return ingredient
    return Join(paths={kind: f"/proc/{ingredient.pid}/ns/{kind}" for kind in ingredient.kinds})


def read(ident: str) -> Request | None:
    """None of one that nobody asks."""
    with suppress(FileNotFoundError):
        return Request(*marshal.loads((run_folder(ident) / NAME).read_bytes()))
    return None
