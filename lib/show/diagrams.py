"""Diagrams of what the chapters build, drawn from live state: a plan, two processes' namespaces, a process tree."""

from __future__ import annotations

import os
from itertools import groupby
from textwrap import wrap

from lib.ingredients.namespaces import KINDS, identity
from lib.process import STAGES, Plan, shorten
from lib.show.picture import BLUE, GREEN, GREY, INK, ORANGE, PAPER, Picture, arrow, box, label, svg
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
