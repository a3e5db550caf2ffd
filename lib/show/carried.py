"""The two ways to move to another city, drawn: the house on its truck, and the suitcase with what was really packed."""

from __future__ import annotations

from lib.show.picture import BLUE, GREEN, INK, RED, Picture, box, label, svg
from lib.sizes import human

KERNEL, GROUND, LEATHER, LINING = "#9a4f0b", "#5b6773", "#7a4a1f", "#f6ead9"
CLOTHES = (BLUE, GREEN, "#7b4fa3", RED)
ROOMS = (("the app", BLUE), ("a whole system", GREEN), ("a kernel", KERNEL), ("hardware, played", GROUND))


def luggage(title: str, goods: dict[str, int], house: int) -> Picture:
    """``goods`` are what is in the suitcase (what → bytes), the heaviest first; ``house`` is what a virtual machine's disk weighs."""
    parts = [label(14, 24, title, INK, weight="bold", size=14)]
    parts += truck(house) + suitcase(goods)
    parts += [box(0, 338, 640, 40, GROUND), label(320, 363, "the city: a kernel that runs already", "#ffffff", "middle", "bold", 14)]
    packed = ", ".join(f"{what} {human(size)}" for what, size in goods.items())
    alt = f"{title}. In the suitcase: {packed}; {human(sum(goods.values()))} in all, and no kernel. "
    return svg(640, 380, parts, alt + f"The house beside it, with a kernel and a whole system: {human(house)}.")


def truck(house: int) -> list[str]:
    """A house of four storeys under a roof, on wheels."""
    parts = [f'<polygon points="20,116 130,66 240,116" fill="{RED}"/>', box(176, 70, 18, 34, RED)]
    for row, (words, colour) in enumerate(ROOMS):
        parts += [box(34, 118 + 42 * row, 192, 40, colour), label(130, 143 + 42 * row, words, "#ffffff", "middle", size=14)]
    parts += [box(14, 288, 262, 14, INK), box(236, 246, 42, 44, INK), box(246, 252, 24, 18, "#cfe3f7")]
    parts += [wheel(x) for x in (60, 106, 246)]
    return [*parts, label(130, 54, f"the house: {human(house)}", INK, "middle", "bold", 14)]


def suitcase(goods: dict[str, int]) -> list[str]:
    """A suitcase that lies open: each thing in it is as high as it is heavy, but never too thin to be read."""
    room, least = 186, 26
    spare, total = room - (least + 4) * len(goods), max(sum(goods.values()), 1)
    parts = [f'<path d="M 428 92 v -16 a 8 8 0 0 1 8 -8 h 68 a 8 8 0 0 1 8 8 v 16" fill="none" stroke="{LEATHER}" stroke-width="8"/>']
    parts += [f'<rect x="316" y="90" width="308" height="222" rx="16" fill="{LEATHER}"/>', box(328, 102, 284, 198, LINING)]
    y = 108
    for (what, size), colour in zip(goods.items(), CLOTHES, strict=False):
        high = least + int(spare * size / total)
        parts += [box(334, y, 272, high, colour), label(344, y + high // 2 + 5, what, "#ffffff", size=14)]
        parts += [label(598, y + high // 2 + 5, human(size), "#ffffff", "end", "bold", 14)]
        y += high + 4
    parts += [wheel(x, 13) for x in (356, 584)]
    return [*parts, label(470, 54, f"the suitcase: {human(sum(goods.values()))}", INK, "middle", "bold", 14)]


def wheel(x: int, size: int = 18) -> str:
    y = 338 - size
    return f'<circle cx="{x}" cy="{y}" r="{size}" fill="{INK}"/><circle cx="{x}" cy="{y}" r="{size // 3}" fill="#cfd6dd"/>'
