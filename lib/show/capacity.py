"""How many fit on a server? A calculation from measured figures, with its assumptions as knobs."""

from __future__ import annotations

import math

import ipywidgets
from IPython.display import display

from lib.show.controls import Panel
from lib.show.picture import BLUE, INK, Picture, box, label, svg

MIB_PER_GIB = 1024
CLAIM, LINES = "#9a4f0b", "#5b6773"


def fits(server: float, each: float, app: float = 0, reserve: float = 0) -> int:
    """How many of a kind fit: ``server`` and ``reserve`` (kept for the host) in GiB, ``each`` and ``app`` in MiB.

    Raises ``ValueError`` for something that would cost nothing: then any number would fit.
    """
    if each + app <= 0:
        raise ValueError(f"each costs {each + app} MiB: a number cannot be computed from that")
    return max(0, int((server - reserve) * MIB_PER_GIB / (each + app)))


def still(counts: dict[str, int], claims: dict[str, tuple[int, int]], assumed: str) -> Picture:
    """For each kind how many fit, on a scale that is marked (each line ten times the last), and a mark over what somebody claims."""
    most = max([*counts.values(), *(high for _, high in claims.values()), 10])
    scale, bottom = 400 / math.log10(most * 2), 44 + 52 * len(counts)

    def at(number: float) -> int:
        return 124 + int(scale * math.log10(max(number, 1)))

    parts, words = [label(14, 24, assumed, INK, size=13)], []
    for power in range(math.ceil(math.log10(most * 2))):
        x = at(10**power)
        parts.append(f'<line x1="{x}" y1="38" x2="{x}" y2="{bottom}" stroke="#cfd6dd"/>')
        parts.append(label(x, bottom + 18, f"{10**power:,}", LINES, "middle", size=13))
    for row, (name, count) in enumerate(counts.items()):
        y = 44 + 52 * row
        parts += [label(114, y + 17, name, INK, "end", size=13), box(124, y, at(count) - 124, 24, BLUE)]
        parts += [label(at(count) + 6, y + 17, f"{count:,}", INK, weight="bold", size=13)]
        words.append(f"{name}: {count}")
        if name in claims:
            low, high = claims[name]
            parts += [box(at(low), y + 29, max(4, at(high) - at(low)), 9, CLAIM)]
            parts += [label(at(high) + 6, y + 38, f"the series: {low} to {high}", CLAIM, size=13)]
    return svg(640, bottom + 30, parts, "; ".join(words) + ". " + assumed)


def server(each: dict[str, float], claims: dict[str, tuple[int, int]], size: int = 128, app: int = 0, reserve: int = 2) -> dict[str, int]:
    """Show how many of each kind (name → MiB) fit, and (in JupyterLab) three knobs for the assumptions; returns the numbers."""

    def draw(size: int, app: int, reserve: int) -> tuple[dict[str, int], Picture]:
        counts = {name: fits(size, cost, app, reserve) for name, cost in each.items()}
        return counts, still(counts, claims, f"{size} GiB, of which {reserve} for the host; each app itself needs {app} MiB more")

    counts, picture = draw(size, app, reserve)
    display(picture)
    sliders = {
        "size": ipywidgets.IntSlider(size, 4, 512, 4, description="server GiB"),
        "app": ipywidgets.IntSlider(app, 0, 8192, 32, description="app MiB"),
        "reserve": ipywidgets.IntSlider(reserve, 0, 32, description="host GiB"),
    }
    out = ipywidgets.Output()

    def again(_):
        with out:
            out.clear_output(wait=True)
            display(draw(**{name: slider.value for name, slider in sliders.items()})[1])

    for slider in sliders.values():
        slider.observe(again, "value")
    display(
        Panel([*sliders.values(), out], "Three knobs: the server's memory, each app's own, the host's. They can be turned in JupyterLab.")
    )
    return counts
