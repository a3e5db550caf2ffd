"""An image as what it is: a list that names its parts, and layers on top of each other, each as high as it is large."""

from __future__ import annotations

from collections.abc import Sequence

from lib.images import Image, digests
from lib.show.picture import BLUE, GREEN, INK, RED, Picture, arrow, box, label, svg
from lib.sizes import human

AMBER, SLATE = "#a05a10", "#5b6873"  # dark enough for white letters
COLOURS = (BLUE, GREEN, AMBER, RED, SLATE)


def cake(rows: Sequence[tuple[str, int]], notes: Sequence[str] = ()) -> Picture:
    """``rows`` are (what the layer is, bytes), the lowest first; ``notes`` stand beside them (what was added, changed, deleted)."""
    largest = max([bytes_ for _, bytes_ in rows] + [1])
    heights = [22 + int(110 * bytes_ / largest) for _, bytes_ in rows]
    y, parts, words = 16, [], []
    notes = [*notes, *[""] * (len(rows) - len(notes))]
    for number in reversed(range(len(rows))):
        text, bytes_ = rows[number]
        parts += [box(16, y, 170, heights[number], COLOURS[number % len(COLOURS)], hover=f"{text}: {bytes_} bytes")]
        parts += [label(101, y + heights[number] // 2 + 5, human(bytes_), "#ffffff", "middle", "bold", 14)]
        parts += [label(200, y + heights[number] // 2 + 5, text + (f" · {notes[number]}" if notes[number] else ""), INK, size=14)]
        words.append(f"{text}: {human(bytes_)}" + (f" ({notes[number]})" if notes[number] else ""))
        y += heights[number] + 3
    total = sum(bytes_ for _, bytes_ in rows)
    parts.append(label(101, y + 18, f"{human(total)} in all", INK, "middle", size=14))
    return svg(560, y + 32, parts, f"From the top: {'; '.join(words)}. In all {human(total)}.")


def anatomy(name: str, image: Image) -> Picture:
    """A name leads to a packing list, and that to a note (the config) and to layers. Each box shows the blob's name and size."""
    manifest = image.descriptor
    blobs = [("config", image.manifest["config"], AMBER), *((f"layer {n}", one, BLUE) for n, one in enumerate(image.layers, 1))]
    middle = 24 + 33 * (len(blobs) - 1)
    parts = [box(14, middle, 96, 44, SLATE), label(62, middle + 27, name, "#ffffff", "middle", "bold", 14)]
    parts += [arrow(110, middle + 22, 146, middle + 22), *blob(150, middle, "manifest", manifest, GREEN)]
    for row, (what, one, colour) in enumerate(blobs):
        y = 24 + 66 * row
        parts += [arrow(346, middle + 22, 396, y + 22), *blob(400, y, what, one, colour)]
    words = ", ".join(what for what, _, _ in blobs)
    return svg(610, 24 + 66 * len(blobs), parts, f"The name {name} leads to the manifest, and the manifest to: {words}.")


def blob(x: int, y: int, what: str, descriptor: dict, colour: str) -> list[str]:
    """A box for a blob: what it is, the beginning of its digest, its size."""
    words = f"{digests.short(descriptor['digest'])}… · {human(descriptor['size'])}"
    return [
        box(x, y, 196, 44, colour, hover=f"{what}: {descriptor['digest']}"),
        label(x + 98, y + 18, what, "#ffffff", "middle", "bold", 14),
        label(x + 98, y + 36, words, "#ffffff", "middle", size=13),
    ]
