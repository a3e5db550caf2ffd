"""What a build did, and what it would do again: a table, a waterfall, a map of what invalidates what."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import ipywidgets
from IPython.display import display
from matplotlib.figure import Figure

from lib.build import StepReport, plan
from lib.build.builder import Built
from lib.images import Library
from lib.process import scratch
from lib.show.controls import Panel
from lib.show.picture import BLUE, GREEN, GREY, INK, Picture, box, label, svg
from lib.show.plots import plain, png
from lib.show.tables import Table, table

AGAIN = "#b4551d"  # beside GREEN it is told apart without red and green, and by its mark


def layered(steps: Sequence[StepReport]) -> list[StepReport]:
    """The steps that make layers; words in the config cost nothing."""
    return [one for one in steps if one.kind != "config"]


def short(step: StepReport, width: int = 44) -> str:
    return step.text if len(step.text) <= width else step.text[: width - 1] + "…"


def steps(built: Built, reasons: bool = True) -> Table:
    """Each step, whether it was cached, and (of a miss) the first reason."""
    rows = [
        (short(one), "HIT" if one.cached else "MISS", *([one.why[0] if one.why else ""] if reasons else [])) for one in layered(built.steps)
    ]
    return table(["step", "cache", *(["why"] if reasons else [])], rows)


def waterfall(title: str, builds: dict[str, Built], alt: str) -> Picture:
    """A panel for each build, all on one axis of seconds: a wide bar is where the time goes, a grey line was cached."""
    panels = {name: layered(built.steps) for name, built in builds.items()}
    figure = Figure(figsize=(7.2, 1.0 + sum(0.4 + 0.3 * len(steps) for steps in panels.values())), layout="constrained")
    plots = figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=[len(steps) for steps in panels.values()])[:, 0]
    for plot, (name, steps) in zip(plots, panels.items(), strict=True):
        plot.set_title(plain(name), color=INK, fontsize=11, loc="left", fontweight="bold")
        for y, one in enumerate(steps):
            plot.barh(y, one.seconds, left=one.started, height=0.7, color=GREY if one.cached else BLUE)
            words = "  cached" if one.cached else f"  {one.seconds:.2f} s" if one.seconds > 0.1 else f"  {one.seconds * 1000:.0f} ms"
            plot.text(one.started + one.seconds, y, words, va="center", fontsize=10, color="#5b6873" if one.cached else INK)
        plot.set_yticks(range(len(steps)), [plain(short(one, 30)) for one in steps], fontsize=10)
        plot.invert_yaxis()
        plot.spines[["top", "right"]].set_visible(False)
    plots[-1].set_xlabel("seconds", color=INK)
    plots[-1].set_xlim(0, 1.18 * max(one.started + one.seconds for steps in panels.values() for one in steps))
    figure.suptitle(plain(title), color=INK, fontsize=12, x=0.01, ha="left")
    return png(figure, alt)


# -- which change invalidates what ---------------------------------------------------------------


def touched(library: Library, context: str, name: str, **options) -> list[StepReport]:
    """What a build would do if one file of the context were another: tried on a copy of the context."""
    with scratch("touched") as place:
        for path in Path(context).rglob("*"):
            copy = Path(place, path.relative_to(context))
            if path.is_dir():
                copy.mkdir(exist_ok=True)
            elif path.is_file():  # a pipe would let us wait
                copy.write_bytes(path.read_bytes() + (b"\n# touched" if str(path.relative_to(context)) == name else b""))
                copy.chmod(path.stat().st_mode)
        return layered(plan(place, library, **options))


def files(context: str) -> list[str]:
    return sorted(os.path.relpath(path, context) for path in Path(context).rglob("*") if path.is_file())


def invalidation(library: Library, context: str, **options) -> dict[str, list[bool]]:
    """For each file of the context: which steps would be cached if it were changed."""
    return {name: [one.cached for one in touched(library, context, name, **options)] for name in files(context)}


def grid(found: dict[str, list[bool]], texts: list[str]) -> Picture:
    """A row for each file, a column for each step: green with a tick would be taken from the cache, orange with ↻ would run again."""
    parts = [label(14, 22 + 19 * number, f"{number + 1}  {text}", INK, size=13) for number, text in enumerate(texts)]
    top, words = 34 + 19 * len(texts), []
    for row, (name, hits) in enumerate(found.items()):
        y = top + 29 * row
        parts.append(label(150, y + 17, name, INK, "end", size=13))
        for column, hit in enumerate(hits):
            parts.append(box(160 + 56 * column, y, 52, 24, AGAIN if not hit else GREEN))
            parts.append(label(186 + 56 * column, y + 17, f"{column + 1} {'✓' if hit else '↻'}", "#ffffff", "middle", "bold", 14))
        again = [str(column + 1) for column, hit in enumerate(hits) if not hit]
        words.append(f"{name}: step {', '.join(again)} again" if again else f"{name}: everything cached")
    y = top + 29 * len(found)
    parts.append(label(160, y + 18, "✓ from the cache   ↻ runs again", INK, size=13))
    return svg(max(460, 200 + 56 * len(texts)), y + 30, parts, "; ".join(words) + ".")


def touch(library: Library, context: str, **options) -> dict[str, list[bool]]:
    """Show which steps a change of each file would run again, and (in JupyterLab) a choice of a file to try it on; returns the map."""
    texts = [short(one) for one in layered(plan(context, library, **options))]
    found = invalidation(library, context, **options)
    display(grid(found, texts))
    choice, out = ipywidgets.Dropdown(options=list(found), description="touch"), ipywidgets.Output()

    def look(_):
        with out:
            out.clear_output(wait=True)
            print(
                table(
                    "step | if it changes",
                    [(one, "cached" if hit else "runs again") for one, hit in zip(texts, found[choice.value], strict=True)],
                )
            )

    choice.observe(look, "value")
    display(Panel([choice, out], f"A choice of {len(found)} files to touch. It can be made in JupyterLab."))
    return found
