"""Drawings to think with: how a process is born, and what one sees through the panes of an overlay."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from lib.show.picture import BLUE, GREEN, GREY, INK, ORANGE, RED, Picture, arrow, box, label, svg

GLASS = "#dcebf7"
FRAMES = (
    ("1 · one process", (("python", BLUE),), ("It runs our code.",)),
    ("2 · fork", (("python", BLUE), ("python", ORANGE)), ("A copy of it: same", "code, new number.")),
    ("3 · in between", (("python", BLUE), ("python", ORANGE)), ("Still our code: the", "walls go up here.")),
    ("4 · exec", (("python", BLUE), ("shop", GREEN)), ("New program, same", "process, same walls.")),
)


def birth() -> Picture:
    """``fork`` and ``exec`` as a strip of four frames: a copy is made, changed, and then becomes a different program."""
    parts = []
    for number, (title, processes, words) in enumerate(FRAMES):
        x = 12 + 156 * number
        parts += [box(x, 34, 148, 128, "#f5f8fb", "#c9d3dd"), label(x + 74, 24, title, INK, "middle", "bold", 14)]
        for row, (name, colour) in enumerate(processes):
            y = 50 + 58 * row
            if row and number >= 2:
                parts.append(f'<rect x="{x + 12}" y="{y - 9}" width="124" height="50" rx="4" fill="none" stroke="{INK}" stroke-width="4"/>')
            parts += [box(x + 24, y, 100, 32, colour), label(x + 74, y + 21, name, "#ffffff", "middle", "bold", 14)]
            if row and number == 1:
                parts.append(arrow(x + 74, y - 24, x + 74, y - 2))
        parts += [label(x + 2, 184 + 18 * row, text, INK, size=13) for row, text in enumerate(words)]
    alt = "Four frames: a process; fork makes a copy of it; the copy, still running our code, gets walls around it; exec puts a "
    return svg(640, 212, parts, alt + "different program into it, and the walls stay.")


def panes(below: str | Path, top: str | Path, names: Sequence[str]) -> Picture:
    """An overlay as panes of glass, seen from above: for each of ``names`` where it lies, and what shows through."""
    states = [(name, os.path.lexists(Path(below, name)), in_top(Path(top, name))) for name in names]
    rows = (("what the container sees", 40), ("its own pane: top", 150), ("the image: below", 260))
    parts = [part for text, y in rows for part in pane(text, y)]
    words = []
    for number, (name, lower, upper) in enumerate(states):
        x = 250 + (number * 330) // max(1, len(states) - 1 or 1)
        parts += column(x, name, lower, upper)
        words.append(f"{name} is {WORDS[lower, upper]}")
    return svg(640, 348, parts, "Panes of glass, seen from above: " + "; ".join(words) + ".")


WORDS = {
    (True, ""): "on the pane below and shows through", (True, "file"): "on both panes, and the upper one counts",
    (True, "gone"): "on the pane below, and a black patch on top hides it", (False, "file"): "on the upper pane only",
    (False, "gone"): "hidden by a patch, with nothing below", (False, ""): "nowhere",
}  # fmt: skip


def in_top(path: Path) -> str:
    """A file, a whiteout (a device with the number 0, 0), or nothing."""
    if not os.path.lexists(path):
        return ""
    found = os.lstat(path)
    return "gone" if stat.S_ISCHR(found.st_mode) and found.st_rdev == 0 else "file"


def pane(text: str, y: int) -> list[str]:
    corners = f"190,{y} 632,{y} 606,{y + 62} 164,{y + 62}"
    glass = f'<polygon points="{corners}" fill="{GLASS}" stroke="#7fa6c9" stroke-width="1.5"/>'
    first, _, second = text.partition(": ")
    lines = [first, second] if second else ["what the", "container sees"]
    return [glass, *(label(8, y + 28 + 19 * row, line, INK, weight="normal" if row else "bold", size=14) for row, line in enumerate(lines))]


def column(x: int, name: str, lower: bool, upper: str) -> list[str]:
    """One name, from the lowest pane up: what lies where, and a line of sight from the eye down to what is seen."""
    parts = []
    if upper != "gone" and (lower or upper):
        source = 150 if upper else 260
        parts.append(f'<line x1="{x}" y1="90" x2="{x}" y2="{source + 16}" stroke="{INK}" stroke-width="1.5" stroke-dasharray="5 4"/>')
        parts += note(x, 56, name, ORANGE if upper else BLUE)
    if lower:
        parts += note(x, 276, name, BLUE)
    if upper:
        parts += note(x, 166, name, ORANGE) if upper == "file" else note(x, 166, "✕ " + name, INK)
    if upper == "gone":
        parts.append(label(x, 76, "(nothing)", RED if lower else GREY, "middle", size=13))
    return parts


def note(x: int, y: int, text: str, colour: str) -> list[str]:
    width = max(56, 9 * len(text) + 14)
    return [box(x - width // 2, y, width, 28, colour), label(x, y + 19, text, "#ffffff", "middle", "bold", 13)]
