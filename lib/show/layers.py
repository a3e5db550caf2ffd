"""An image as what it is: layers on top of each other, each as high as it is large."""

from __future__ import annotations

from collections.abc import Sequence

from lib.show.picture import BLUE, GREEN, GREY, INK, ORANGE, RED, Picture, box, label, svg
from lib.sizes import human

COLOURS = (BLUE, GREEN, ORANGE, RED, GREY)


def cake(rows: Sequence[tuple[str, int]], notes: Sequence[str] = ()) -> Picture:
    """``rows`` are (what the layer is, bytes), the lowest first; ``notes`` stand beside them (what was added, changed, deleted)."""
    largest = max([bytes_ for _, bytes_ in rows] + [1])
    heights = [18 + int(110 * bytes_ / largest) for _, bytes_ in rows]
    y, parts, words = 16, [], []
    notes = [*notes, *[""] * (len(rows) - len(notes))]
    for number in reversed(range(len(rows))):
        text, bytes_ = rows[number]
        parts += [box(20, y, 190, heights[number], COLOURS[number % len(COLOURS)], hover=f"{text}: {bytes_} bytes")]
        parts += [label(115, y + heights[number] // 2 + 4, human(bytes_), "#ffffff", "middle", "bold")]
        parts += [label(222, y + heights[number] // 2 + 4, text + (f" · {notes[number]}" if notes[number] else ""), INK, size=11)]
        words.append(f"{text}: {human(bytes_)}" + (f" ({notes[number]})" if notes[number] else ""))
        y += heights[number] + 3
    total = sum(bytes_ for _, bytes_ in rows)
    parts.append(label(115, y + 16, f"{human(total)} in all", INK, "middle"))
    return svg(760, y + 28, parts, f"From the top: {'; '.join(words)}. In all {human(total)}.")
