"""Lives as drawings: a container's health along the clock, and how long it rests before each try."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from lib.show.picture import BLUE, GREEN, GREY, INK, ORANGE, PAPER, RED, Picture
from lib.show.plots import NARROW, axes, plain, png, short

LOOKS = {"starting": (ORANGE, "///"), "healthy": (GREEN, ""), "unhealthy": (RED, "xxx")}
SIGNS = {"passed": ("o", GREEN, GREEN), "forgiven": ("o", PAPER, GREY), "failed": ("X", RED, RED)}
STRETCHES = {"created": (GREY, "", 0.12), "started": (BLUE, "", 0.5)} | {what: (*look, 0.5) for what, look in LOOKS.items()}
ENDS = {"done": ("s", GREEN), "failed": ("X", RED)}  # of a container: exit code 0, or another
MEANT = {"passed": "passed", "forgiven": "failed and forgiven", "failed": "failed"}


def health(title: str, statuses: Sequence[tuple[float, str]], probes: Sequence[tuple[float, str]], period: float = 0) -> Picture:
    """A health check as a time line.

    ``statuses``: from which second on it was what; ``probes``: when each one ended, and ``passed``, ``failed`` or ``forgiven`` (it failed
    in the start period, of ``period`` seconds, and does not count).
    """
    end = max(moment for moment, _ in [*statuses, *probes]) * 1.08 + 0.1
    figure, plot = axes(title, "seconds since it was started", "", 2.5, NARROW)
    if period:
        plot.axvspan(0, min(period, end), color=GREY, alpha=0.2, linewidth=0)
        plot.text(min(period, end) / 2, 1.72, "start period", ha="center", va="center", color=INK, fontsize=9)
    for (begin, status), (until, _) in zip(statuses, [*statuses[1:], (end, "")], strict=True):
        band(plot, begin, until, status, end)
    for fate, (marker, fill, edge) in SIGNS.items():
        if moments := [moment for moment, one in probes if one == fate]:
            plot.scatter(moments, [0.25] * len(moments), marker=marker, facecolor=fill, edgecolor=edge, s=42, label=MEANT[fate], zorder=3)
    plot.set_yticks([0.25, 1.0], ["probes", "it is"])
    plot.set_xlim(0, end)
    plot.set_ylim(-0.1, 1.95 if period else 1.65)
    if probes:
        figure.legend(frameon=False, fontsize=9, loc="outside lower center", ncols=3)
    return png(figure, in_words(title, statuses, probes, period))


def band(plot, begin: float, until: float, status: str, end: float) -> None:
    """A stretch of one status; its name stands in it, or above it if it is short."""
    colour, hatch = LOOKS[status]
    plot.barh(1.0, until - begin, 0.5, left=begin, color=colour, hatch=hatch, edgecolor=PAPER)
    wide = (until - begin) / end > 0.17
    where, height = ((begin + until) / 2, 1.0) if wide else (min(begin, end * 0.86), 1.42)
    backing = {"facecolor": colour if wide else PAPER, "edgecolor": "none", "pad": 1.5}
    plot.text(where, height, status, color=PAPER if wide else INK, fontsize=9, weight="bold", va="center",
              ha="center" if wide else "left", bbox=backing)  # fmt: skip


def in_words(title: str, statuses: Sequence[tuple[float, str]], probes: Sequence[tuple[float, str]], period: float) -> str:
    told = ", ".join(f"{status} from {moment:.2f} s on" for moment, status in statuses)
    counted = {fate: sum(one == fate for _, one in probes) for fate in SIGNS}
    start = f"; its start period is {short(period)} s" if period else ""
    return f"{title}: {told}{start}. Probes: {', '.join(f'{number} {MEANT[fate]}' for fate, number in counted.items() if number)}."


def backoff(title: str, lives: Sequence[tuple[float, float]]) -> Picture:
    """Lives one below the other, each (begin, end) in seconds, and the pause before each as a bar with its length: a staircase."""
    figure, plot = axes(title, "seconds since the first start", "", 0.9 + 0.36 * len(lives), NARROW)
    rests = [begin - end for (_, end), (begin, _) in pairwise(lives)]
    for row, (begin, end) in enumerate(lives):
        plot.plot([begin, max(end, begin)], [row, row], color=RED, linewidth=9, solid_capstyle="butt")
        plot.plot([end], [row], marker="X", color=RED, markersize=8, linestyle="none")
        if row:
            rest = rests[row - 1]
            plot.barh(row, rest, 0.5, left=begin - rest, color=BLUE, hatch="///", edgecolor=PAPER)
            plot.text(begin + 0.02 * lives[-1][1], row, plain(f"  after {short(1000 * rest)} ms"), va="center", color=INK, fontsize=9)
    plot.set_yticks(range(len(lives)), ["first start", *(f"try {number}" for number in range(1, len(lives)))])
    plot.invert_yaxis()
    plot.margins(x=0.22)
    plot.set_xlim(left=-0.02 * lives[-1][1])
    return png(figure, f"{title}: the rests before the tries are {', '.join(f'{short(1000 * rest)} ms' for rest in rests)}.")


def gantt(title: str, rows: dict[str, Sequence[tuple[float, str]]]) -> Picture:
    """Several containers along one clock: for each its moments, as (second, what it is from then on).

    ``created``, ``started`` (nobody asks after its health), ``starting``, ``healthy``, ``unhealthy``; at its end ``done`` or ``failed``.
    """
    end = 1.1 * max(moment for moments in rows.values() for moment, _ in moments)
    figure, plot = axes(title, "seconds", "", 1.3 + 0.42 * len(rows), NARROW)
    for row, moments in enumerate(rows.values()):
        for (begin, what), (until, _) in zip(moments, [*moments[1:], (end, "")], strict=True):
            if what in ENDS:
                marker, colour = ENDS[what]
                plot.plot([begin], [row], marker=marker, color=colour, markersize=9, linestyle="none", zorder=3)
            else:
                colour, hatch, height = STRETCHES[what]
                plot.barh(row, until - begin, height, left=begin, color=colour, hatch=hatch, edgecolor=PAPER)
    plot.set_yticks(range(len(rows)), list(map(plain, rows)))
    plot.invert_yaxis()
    plot.set_xlim(0, end)
    there = {what for moments in rows.values() for _, what in moments}
    keys = [
        Patch(facecolor=colour, hatch=hatch, edgecolor=PAPER, label=what) for what, (colour, hatch, _) in STRETCHES.items() if what in there
    ]
    keys += [Line2D([], [], marker=sign, color=ink, linestyle="none", label=what) for what, (sign, ink) in ENDS.items() if what in there]
    figure.legend(handles=keys, frameon=False, fontsize=9, loc="outside lower center", ncols=4)
    told = (f"{name}: {', '.join(f'{what} at {moment:.2f} s' for moment, what in moments)}" for name, moments in rows.items())
    return png(figure, f"{title}. {'; '.join(told)}.")
