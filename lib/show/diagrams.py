"""Diagrams of what the chapters build, drawn from live state: a plan, two processes' namespaces, a process tree."""

from __future__ import annotations

import os
from itertools import groupby

from lib.namespaces import KINDS, identity
from lib.process import STAGES, Plan, shorten
from lib.show.picture import BLUE, GREEN, GREY, INK, ORANGE, Picture, arrow, box, label, svg

LANES = {"caller": 130, "go-between": 330, "starter": 330, "child": 530}
COLOURS = {"caller": BLUE, "go-between": GREY, "starter": ORANGE, "child": GREEN}
EXPLAINED = {
    "user": "who is root", "pid": "which processes", "mnt": "which files", "uts": "which hostname", "ipc": "which shared memory",
    "net": "which network", "cgroup": "which limits", "time": "which clock",
}  # fmt: skip


def plan(one: Plan) -> Picture:
    """A plan as three lanes: what the caller does, what the starter does, what the child does, from top to bottom.

    Each box is a stage; the mouse on it shows its steps.
    """
    stages = [(name, list(steps)) for name, steps in groupby(one.steps, key=lambda step: step.stage)]
    parts = [label(x, 24, text, COLOURS[text], "middle", "bold", 13) for text, x in LANES.items() if text != "go-between"]
    parts += [f'<line x1="{x}" y1="34" x2="{x}" y2="{44 + 38 * len(stages)}" stroke="#e3e8ee" stroke-width="2"/>' for x in (130, 330, 530)]
    last = None
    for row, (name, steps) in enumerate(stages):
        stage, y = STAGES[name], 42 + 38 * row
        x, colour = LANES[stage.shoes], COLOURS[stage.shoes]
        if last is not None and last != x:
            parts.append(arrow(last + (80 if x > last else -80), y - 12, x - (85 if x > last else -85), y + 12))
        hover = "\n".join([stage.why, *map(shorten, steps)])
        parts += [box(x - 80, y, 160, 28, colour, hover=hover), label(x, y + 18, f"{name} · {len(steps)}", "#ffffff", "middle")]
        last = x
    words = "; ".join(f"{name} ({STAGES[name].shoes}, {len(steps)} step{'s' * (len(steps) != 1)})" for name, steps in stages)
    return svg(660, 54 + 38 * len(stages), parts, f"The plan, stage by stage: {words}.")


def namespaces(first: int | str, second: int | str, names: tuple[str, str] = ("host", "container")) -> Picture:
    """Which namespaces two processes (pids) share: one wide bar; where each has its own: two bars."""
    shared = {kind: identity(first, kind) == identity(second, kind) for kind in KINDS if identity(first, kind)}
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
    own, both = ([kind for kind, same in shared.items() if same is value] for value in (False, True))
    alt = f"{names[0]} and {names[1]}: own namespaces: {', '.join(own) or 'none'}; shared: {', '.join(both) or 'none'}."
    return svg(690, 44 + 30 * len(shared), parts, alt)


def tree(pid: int) -> str:
    """The ancestors of a process as the host sees them, nearest last: one line each, without pids (they change)."""
    chain = []
    while pid:
        with open(f"/proc/{pid}/stat") as file:
            left, _, right = file.read().rpartition(")")
        chain.append(left.partition(" (")[2])
        if pid == os.getpid():
            chain[-1] = "this notebook's kernel"
            break
        pid = int(right.split()[1])
    return "\n".join(f"{'   ' * depth}{'└─ ' if depth else ''}{name}" for depth, name in enumerate(reversed(chain)))


