"""Diagrams of what the chapters build, drawn from live state: a plan, two processes' namespaces, a process tree."""

from __future__ import annotations

import os
from itertools import groupby

from lib.ingredients.namespaces import KINDS, identity
from lib.process import STAGES, Plan, shorten
from lib.show.picture import BLUE, GREEN, GREY, INK, ORANGE, Picture, arrow, box, label, svg

LANES = {"caller": 75, "go-between": 225, "starter": 225, "child": 375}
COLOURS = {"caller": BLUE, "go-between": GREY, "starter": ORANGE, "child": GREEN}
EXPLAINED = {
    "user": "who is root", "pid": "which processes", "mnt": "which files", "uts": "which hostname", "ipc": "which shared memory",
    "net": "which network", "cgroup": "which cgroups", "time": "which clock",
}  # fmt: skip


def plan(one: Plan) -> Picture:
    """A plan as three lanes: what the caller does, what the starter does, what the child does, from top to bottom.

    Each box is a stage, with the number of its steps and the kernel's reason beside it; the mouse on it shows the steps.
    """
    stages = [(name, list(steps)) for name, steps in groupby(one.steps, key=lambda step: step.stage)]
    parts = [label(x, 24, text, COLOURS[text], "middle", "bold", 13) for text, x in LANES.items() if text != "go-between"]
    bottom = 44 + 34 * len(stages)
    parts += [f'<line x1="{x}" y1="34" x2="{x}" y2="{bottom}" stroke="#e3e8ee" stroke-width="2"/>' for x in sorted(set(LANES.values()))]
    last = None
    for row, (name, steps) in enumerate(stages):
        stage, y = STAGES[name], 42 + 34 * row
        x = LANES[stage.shoes]
        if last is not None and last != x:
            side = 1 if x > last else -1
            parts.append(arrow(last + 62 * side, y - 12, x - 66 * side, y + 12))
        hover = "\n".join([stage.why, *map(shorten, steps)])
        parts.append(box(x - 62, y, 124, 25, COLOURS[stage.shoes], hover=hover))
        parts.append(label(x, y + 17, f"{name} · {len(steps)}", "#ffffff", "middle"))
        parts.append(label(450, y + 17, stage.why, GREY, size=11))
        last = x
    words = "; ".join(f"{name} (in the {STAGES[name].shoes}): {len(steps)}" for name, steps in stages)
    return svg(1060, bottom + 10, parts, f"The plan, stage by stage, with the number of steps: {words}.")


def namespaces(first: int | str, second: int | str, names: tuple[str, str] = ("host", "container")) -> Picture:
    """Which namespaces two processes (pids) share: one wide bar; where each has its own: two bars.

    A shared ``time`` is left out: hardly anybody unshares it, and not every kernel has it.
    """
    shared = {kind: identity(first, kind) == identity(second, kind) for kind in KINDS if identity(first, kind)}
    if shared.get("time"):
        del shared["time"]
    parts = [label(235, 22, names[0], INK, "middle", "bold"), label(445, 22, names[1], INK, "middle", "bold")]
    for row, (kind, same) in enumerate(shared.items()):
        y = 32 + 30 * row
        parts.append(label(120, y + 16, kind, INK, "end", "bold"))
        if same:
            parts += [box(140, y, 400, 22, GREY), label(340, y + 15, "shared", "#ffffff", "middle")]
        else:
            parts += [box(140, y, 190, 22, BLUE), box(350, y, 190, 22, GREEN)]
            parts += [label(x, y + 15, "its own", "#ffffff", "middle") for x in (235, 445)]
        parts.append(label(555, y + 16, EXPLAINED[kind], GREY))
    own = [kind for kind, same in shared.items() if not same]
    alt = f"{names[0]} and {names[1]}: own namespaces: {', '.join(own) or 'none'}; all others are shared."
    return svg(690, 44 + 30 * len(shared), parts, alt)


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
