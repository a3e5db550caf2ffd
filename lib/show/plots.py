"""Plots of what was just measured."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Collection, Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lib.show.picture import BLUE, GREEN, GREY, INK, ORANGE, PAPER, RED, Picture
from lib.visible import visible

COLOURS = (BLUE, ORANGE, GREEN, RED, GREY)
HATCHES = ("", "///", "...", "xxx", "---")  # so that nobody needs the colours
LONG = {"s": "seconds"}
NARROW = 5.8  # inches: some 640 pixels, so that the letters are read on a phone, too
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


def axes(title: str, xlabel: str, ylabel: str, height: float = 3.0, width: float = 7.2):
    """An empty plot in the house's style."""
    figure = Figure(figsize=(width, height), layout="constrained")
    plot = figure.add_subplot()
    plot.set_title(plain(title), color=INK, fontsize=11, loc="left")
    plot.set_xlabel(plain(xlabel), color=INK)
    plot.set_ylabel(plain(ylabel), color=INK)
    for side in ("top", "right"):
        plot.spines[side].set_visible(False)
    return figure, plot


def bars(title: str, values: dict[str, float], unit: str, alt: str = "", limit: float | None = None, limit_name: str = "", *,
         per: float = 1, hatched: Collection[str] = (), against: str = "") -> Picture:  # fmt: skip
    """One bar for each name, with its number; ``limit`` draws a line across, ``hatched`` are names of another kind.

    ``per`` is how much of the values one ``unit`` is. ``against`` names one with which the others are compared, on a logarithmic axis.
    """
    values = {name: value / per for name, value in values.items()}
    notes = {name: amount(value, unit) for name, value in values.items()}
    notes |= {name: f"{notes[name]}, × {short(value / values[against])}" for name, value in values.items() if against not in ("", name)}
    figure, plot = axes(title, LONG.get(unit, unit), "", 0.9 + 0.42 * len(values), NARROW)
    names = list(values)[::-1]
    colours = [RED if limit and values[name] >= limit else ORANGE if name in hatched else BLUE for name in names]
    drawn = plot.barh(list(map(plain, names)), [values[name] for name in names], color=colours, edgecolor=PAPER)
    for name, bar in zip(names, drawn, strict=True):
        bar.set_hatch("///" if name in hatched else "")
    plot.bar_label(drawn, [f" {plain(notes[name])}" for name in names], color=INK)
    if against:
        plot.set_xscale("log")
        plot.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
        plot.set_xlabel(f"{plain(LONG.get(unit, unit))}; each number is ten times the one before")
        plot.set_xlim(min(values.values()) / 10, max(values.values()) * 100)
    if limit is not None:
        plot.axvline(limit, color=RED, linestyle="--", linewidth=1)
        plot.text(limit, 1.0, f"{plain(limit_name)} ", color=RED, fontsize=9, va="bottom", ha="right", transform=plot.get_xaxis_transform())
    plot.margins(x=0.3)
    return png(figure, alt or told(title, notes))


def short(value: float) -> str:
    """A number with as many digits as one reads: 0.66, 15.5, 12,345."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def amount(value: float, unit: str) -> str:
    return f"{short(value * 1000)} ms" if unit == "s" and value < 1 else f"{short(value)} {unit}"


def told(title: str, notes: dict[str, str]) -> str:
    """A picture of numbers, in words."""
    return f"{title}: {'; '.join(f'{name} {words}' for name, words in notes.items())}."


def lines(title: str, curves: dict[str, tuple[Sequence[float], Sequence[float]]], xlabel: str, ylabel: str, alt: str,
          walls: dict[str, float] | None = None, shaded: tuple[str, Sequence[tuple[float, float]]] = ("", ())) -> Picture:  # fmt: skip
    """The first curve is what was measured, the others are to compare with; each is (x, y). ``walls`` are limits, drawn across.

    ``shaded`` is a name and the stretches of x that it is meant for.
    """
    figure, plot = axes(title, xlabel, ylabel)
    for number, (begin, end) in enumerate(shaded[1]):
        plot.axvspan(begin, end, color=GREY, alpha=0.25, linewidth=0, label=shaded[0] if not number else None)
    for number, (colour, (name, (x, y))) in enumerate(zip(COLOURS, curves.items(), strict=False)):
        plot.plot(x, y, color=colour, label=plain(name), linewidth=1.2 if number else 2.2, linestyle=":" if number else "-")
    for name, value in (walls or {}).items():
        plot.axhline(value, color=RED, linestyle="--", linewidth=1, label=plain(name))
    plot.set_ylim(bottom=0)
    plot.legend(frameon=False, fontsize=9)
    return png(figure, alt)


def standstills(x: Sequence[float], y: Sequence[float], least: float = 0.015) -> list[tuple[float, float]]:
    """The stretches of x, at least so long, in which y did not move."""
    found, begin = [], 0
    for now in range(1, len(y) + 1):
        if now == len(y) or y[now] > y[begin]:
            if x[now - 1] - x[begin] >= least:
                found.append((x[begin], x[now - 1]))
            begin = now
    return found


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


def stack(title: str, parts: dict[str, float], unit: str, per: float = 1, mark: tuple[str, float] | None = None) -> Picture:
    """One bar made of parts (each in ``unit`` times ``per``), and a mark across it: what somebody says that it is."""
    figure, plot = axes(title, LONG.get(unit, unit), "", 2.2, NARROW)
    left, notes = 0.0, {words: amount(size / per, unit) for words, size in parts.items()}
    for (words, size), colour, hatch in zip(parts.items(), COLOURS, HATCHES, strict=False):
        plot.barh(0, size / per, left=left, color=colour, hatch=hatch, edgecolor=PAPER, label=plain(f"{words}: {notes[words]}"))
        left += size / per
    plot.text(left, 0, f" {plain(amount(left, unit))}", va="center", color=INK)
    if mark:
        words, where = mark[0], mark[1] / per
        plot.plot([where, where], [-0.5, 0.5], color=INK, linewidth=3)
        plot.text(where, 0.55, plain(f"{words} {short(where)} {unit}"), color=INK, fontsize=9, va="bottom")
        notes[words] = f"{short(where)} {unit}"
    plot.set_yticks([])
    plot.set_ylim(-0.6, 1.0 if mark else 0.6)
    plot.margins(x=0.16)
    figure.legend(frameon=False, fontsize=9, loc="outside lower center", ncols=2)
    return png(figure, told(title, notes))


def growth(title: str, curves: dict[str, Sequence[float]], unit: str, per: float = 1) -> Picture:
    """Something that was measured at the first, the second … the n-th one, a curve for each kind; at its end, what one of them takes."""
    figure, plot = axes(title, "how many are alive", unit, 3.2, NARROW)
    most, notes = max(len(values) for values in curves.values()), {}
    for colour, marker, (name, values) in zip(COLOURS, "os", curves.items(), strict=False):
        notes[name] = f"{short(values[-1] / per / len(values))} {unit} each"
        plot.plot(range(1, len(values) + 1), [value / per for value in values], color=colour, marker=marker, markersize=4, linewidth=1.4)
        far = len(values) > most / 2
        plot.annotate(plain(f"{name}: {notes[name]}"), (len(values), values[-1] / per), (-4 if far else 10, 8 if far else -4),
                      textcoords="offset points", color=INK, ha="right" if far else "left")  # fmt: skip
    plot.set_ylim(bottom=0)
    return png(figure, told(title, notes))
