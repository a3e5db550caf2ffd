"""Diagrams of what the chapters build, drawn from live state: a plan, two processes' namespaces, a process tree."""

from __future__ import annotations

import os
from graphlib import TopologicalSorter
from itertools import groupby
from math import atan2, degrees
from textwrap import wrap

from lib.ingredients.namespaces import KINDS, identity
from lib.process import STAGES, Plan, shorten
from lib.show.picture import BLUE, GREEN, GREY, INK, ORANGE, PAPER, RED, Picture, arrow, box, label, svg
from lib.show.picture import words as escaped

LANES = {"caller": 60, "go-between": 175, "starter": 175, "child": 290}
COLOURS = {"caller": BLUE, "go-between": GREY, "starter": ORANGE, "child": GREEN}
EXPLAINED = {
    "user": "who is root", "pid": "which processes", "mnt": "which files", "uts": "which hostname", "ipc": "which shared memory",
    "net": "which network", "cgroup": "which cgroups", "time": "which clock",
}  # fmt: skip


def plan(one: Plan) -> Picture:
    """A plan as three lanes: what the caller does, what the starter does, what the child does, from top to bottom.

    Each box is a stage, with the number of its steps and the kernel's reason beside it; the pointer on it shows the steps.
    """
    stages = [(name, list(steps)) for name, steps in groupby(one.steps, key=lambda step: step.stage)]
    parts = [label(x, 24, text, COLOURS[text], "middle", "bold", 14) for text, x in LANES.items() if text != "go-between"]
    y, last, rows = 40, None, []
    for name, steps in stages:
        reason, x = wrap(STAGES[name].why, 39), LANES[STAGES[name].shoes]
        if last and last[0] != x:
            side = 1 if x > last[0] else -1
            rows.append(arrow(last[0] + 55 * side, last[1] + 13, x - 55 * side, y + 11))
        drawn = [box(x - 55, y, 110, 26, COLOURS[STAGES[name].shoes]), label(x, y + 18, f"{name} · {len(steps)}", PAPER, "middle", size=13)]
        told = escaped("\n".join(map(shorten, steps)))
        rows.append(f"<g><title>{told}</title>{''.join(drawn)}</g>")
        rows += [label(356, y + 15 + 17 * line, text, INK, size=13) for line, text in enumerate(reason)]
        last, y = (x, y), y + max(36, 17 * len(reason) + 12)
    parts += [f'<line x1="{x}" y1="34" x2="{x}" y2="{y}" stroke="#e3e8ee" stroke-width="2"/>' for x in sorted(set(LANES.values()))]
    words = "; ".join(f"{name} (in the {STAGES[name].shoes}): {len(steps)}" for name, steps in stages)
    return svg(640, y + 10, parts + rows, f"The plan, stage by stage, with the number of steps: {words}.")


def namespaces(first: int | str, second: int | str, names: tuple[str, str] = ("host", "container")) -> Picture:
    """Which namespaces two processes (pids) share: one wide bar; where each has its own: two bars.

    A shared ``time`` is left out: hardly anybody unshares it, and not every kernel has it.
    """
    shared = {kind: identity(first, kind) == identity(second, kind) for kind in KINDS if identity(first, kind)}
    if shared.get("time"):
        del shared["time"]
    parts = [label(175, 22, names[0], INK, "middle", "bold", 14), label(365, 22, names[1], INK, "middle", "bold", 14)]
    for row, (kind, same) in enumerate(shared.items()):
        y = 32 + 30 * row
        parts.append(label(70, y + 16, kind, INK, "end", "bold", 14))
        if same:
            parts += [box(80, y, 380, 24, "#66737f"), label(270, y + 17, "shared", "#ffffff", "middle", size=13)]
        else:
            parts += [box(80, y, 185, 24, BLUE), box(275, y, 185, 24, GREEN)]
            parts += [label(x, y + 17, "its own", "#ffffff", "middle", size=13) for x in (172, 367)]
        parts.append(label(470, y + 17, EXPLAINED[kind], INK, size=13))
    own = [kind for kind, same in shared.items() if not same]
    alt = f"{names[0]} and {names[1]}: own namespaces: {', '.join(own) or 'none'}; all others are shared."
    return svg(640, 44 + 30 * len(shared), parts, alt)


def tree(pid: int, me: str = "this notebook's kernel") -> str:
    """The ancestors of a process as the host sees them, nearest last: one line each, without pids (they change)."""
    chain = []
    while pid:
        with open(f"/proc/{pid}/stat") as file:
            left, _, right = file.read().rpartition(")")
        chain.append(left.partition(" (")[2])
        if pid == os.getpid():
            chain[-1] = me
            break
        pid = int(right.split()[1])
    return "\n".join(f"{'   ' * depth}{'└─ ' if depth else ''}{name}" for depth, name in enumerate(reversed(chain)))


KNOWN = {"healthy": GREEN, "running": BLUE, "starting": ORANGE, "unhealthy": RED}


def services(waits: dict[str, dict[str, str]], states: dict[str, str]) -> Picture:
    """Who waits for whom, in the order of their start, from left to right; each box says what its service is now.

    ``waits``: service → what it waits for → until that is what (``started``, ``healthy``). Whom ``states`` doesn't name isn't there.
    """
    ranks = ranked(waits)
    columns = [[name for name in waits if ranks[name] == rank] for rank in range(max(ranks.values(), default=0) + 1)]
    tall = max(map(len, columns))
    places = {
        name: (16 + 220 * rank, 20 + 36 * (tall - len(column)) + 72 * row)
        for rank, column in enumerate(columns) for row, name in enumerate(column)
    }  # fmt: skip
    ways = [(places[other], places[name]) for name, others in waits.items() for other in others]
    parts = [slanted(x1 + 132, y1 + 23, x2 - 3, y2 + 23) for (x1, y1), (x2, y2) in ways]
    for name, (x, y) in places.items():
        parts += service(x, y, name, states.get(name, ""))
    waiting = (
        f"{name} waits until {' and '.join(f'{other} is {what}' for other, what in others.items())}"
        for name, others in waits.items()
        if others
    )
    now = ", ".join(f"{name} {states.get(name, 'not there')}" for name in waits)
    return svg(max(x for x, _ in places.values()) + 150, 20 + 72 * tall, parts, f"{'; '.join(waiting)}. Now: {now}.")


def service(x: int, y: int, name: str, now: str) -> list[str]:
    colour, ink = (KNOWN.get(now.partition(" ")[0], "#66737f"), PAPER) if now else (PAPER, INK)
    lines = [label(x + 66, y + 20, name, ink, "middle", "bold", 14), label(x + 66, y + 37, now or "not there", ink, "middle", size=12)]
    return [box(x, y, 132, 46, colour, "none" if now else INK), *lines]


def ranked(waits: dict[str, dict[str, str]]) -> dict[str, int]:
    """How many must be there before it, one after the other, at least."""
    ranks: dict[str, int] = {}
    for name in TopologicalSorter(waits).static_order():
        ranks[name] = 1 + max((ranks[other] for other in waits.get(name, ())), default=-1)
    return ranks


def slanted(x1: int, y1: int, x2: int, y2: int) -> str:
    """An arrow to the right, up or down."""
    turned = degrees(atan2(y2 - y1, x2 - x1))
    line = f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{GREY}" stroke-width="1.5"/>'
    return f'{line}<polygon points="-8,-4 -8,4 0,0" transform="translate({x2} {y2}) rotate({turned:.0f})" fill="{GREY}"/>'
