"""Plots of what was just measured."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lib.show.picture import BLUE, GREEN, GREY, INK, ORANGE, RED, Picture
from lib.visible import visible

COLOURS = (BLUE, ORANGE, GREEN, RED, GREY)
LONGER = 30  # seconds that ``watch`` goes on for what has not come


def png(figure, alt: str) -> Picture:
    """A matplotlib figure as a picture; no window and no global state is used."""
    FigureCanvasAgg(figure)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    return Picture("image/png", file.getvalue(), alt)


def plain(text: str) -> str:
    """Words as they are written: matplotlib takes what stands between two dollars for a formula, and a Dockerfile is full of them."""
    return visible(text).replace("$", r"\$")


def axes(title: str, xlabel: str, ylabel: str, height: float = 3.0):
    """An empty plot in the house's style."""
    figure = Figure(figsize=(7.2, height), layout="constrained")
    plot = figure.add_subplot()
    plot.set_title(plain(title), color=INK, fontsize=11, loc="left")
    plot.set_xlabel(plain(xlabel), color=INK)
    plot.set_ylabel(plain(ylabel), color=INK)
    for side in ("top", "right"):
        plot.spines[side].set_visible(False)
    return figure, plot


def bars(title: str, values: dict[str, float], unit: str, alt: str, limit: float | None = None, limit_name: str = "") -> Picture:
    """One bar for each name, with its number; ``limit`` draws a line across."""
    figure, plot = axes(title, unit, "", 0.9 + 0.42 * len(values))
    names = list(values)[::-1]
    drawn = plot.barh(
        list(map(plain, names)),
        [values[name] for name in names],
        color=[RED if limit and values[name] >= limit else BLUE for name in names],
    )
    plot.bar_label(drawn, fmt=" %.2f", color=INK)
    if limit is not None:
        plot.axvline(limit, color=RED, linestyle="--", linewidth=1)
        plot.text(limit, 1.0, f" {plain(limit_name)}", color=RED, fontsize=9, va="bottom", transform=plot.get_xaxis_transform())
    plot.margins(x=0.12)
    return png(figure, alt)


def lines(title: str, curves: dict[str, tuple[Sequence[float], Sequence[float]]], xlabel: str, ylabel: str, alt: str,
          walls: dict[str, float] | None = None) -> Picture:  # fmt: skip
    """The first curve is what was measured, the others are to compare with; each is (x, y). ``walls`` are limits, drawn across."""
    figure, plot = axes(title, xlabel, ylabel)
    for number, (colour, (name, (x, y))) in enumerate(zip(COLOURS, curves.items(), strict=False)):
        plot.plot(x, y, color=colour, label=plain(name), linewidth=1.2 if number else 2.2, linestyle=":" if number else "-")
    for name, value in (walls or {}).items():
        plot.axhline(value, color=RED, linestyle="--", linewidth=1, label=plain(name))
    plot.set_ylim(bottom=0)
    plot.legend(frameon=False, fontsize=9)
    return png(figure, alt)


def watch(
    read: Callable[[], dict[str, float]], seconds: float, every: float = 0.05, until: Callable[[], object] = lambda: True
) -> list[dict[str, float]]:
    """Call ``read`` again and again for some ``seconds``; each answer gets the time it was taken at, as ``"t"``.

    On a slow machine longer: ``until()`` is true, or for another ``LONGER`` seconds.
    """
    start, rows = time.monotonic(), []
    while (now := time.monotonic() - start) < seconds or (now < seconds + LONGER and not until()):
        rows.append({"t": now} | read())
        time.sleep(every)
    return rows


def phases(title: str, rows: dict[str, dict[str, float]], alt: str) -> Picture:
    """For each name a bar from 0 on, cut where each phase ended (phase → second), with the phases' names in it or beside it."""
    figure, plot = axes(title, "seconds", "", 1.3 + 0.5 * len(rows))
    longest = max(max(ends.values()) for ends in rows.values())
    for y, (_, ends) in enumerate(reversed(rows.items())):
        left = 0.0
        for number, (words, end) in enumerate(ends.items()):
            plot.barh(y, end - left, left=left, color=COLOURS[number % len(COLOURS)], label=plain(words) if y == len(rows) - 1 else None)
            left = end
        plot.text(left + longest * 0.01, y, f"{left:.2f} s", va="center", color=INK)
    plot.set_yticks(range(len(rows)), list(map(plain, rows))[::-1])
    plot.margins(x=0.12)
    plot.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return png(figure, alt)


def growth(title: str, curves: dict[str, Sequence[float]], ylabel: str, alt: str) -> Picture:
    """Something that was measured at the first, the second … the n-th one, a curve for each kind, on logarithmic axes."""
    figure, plot = axes(title, "how many are alive", ylabel)
    for colour, (name, values) in zip(COLOURS, curves.items(), strict=False):
        plot.plot(range(1, len(values) + 1), values, color=colour, label=plain(name), marker="o", markersize=3, linewidth=1.4)
    plot.set_xscale("log")
    plot.set_yscale("log")
    plot.legend(frameon=False, fontsize=9)
    return png(figure, alt)
