"""What a build did, and what it would do again: a table, a waterfall, a map of what invalidates what."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import ipywidgets
from IPython.display import display

from lib.build import StepReport, plan
from lib.build.builder import Built
from lib.images import Library
from lib.process import scratch
from lib.show.controls import Panel
from lib.show.picture import BLUE, GREEN, GREY, INK, RED, Picture, box, label, svg
from lib.show.plots import axes, plain, png
from lib.show.tables import Table, table


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
    """When each step of each build began and ended, one below the other: a wide bar is where the time goes, a grey one was cached."""
    rows = [(f"{name}: {short(one, 34)}", one) for name, built in builds.items() for one in layered(built.steps)]
    figure, plot = axes(title, "seconds", "", 0.9 + 0.28 * len(rows))
    for y, (_, one) in enumerate(reversed(rows)):
        plot.barh(y, max(one.seconds, 0.004), left=one.started, color=GREY if one.cached else BLUE)
        plot.text(one.started + one.seconds, y, "  cached" if one.cached else f"  {one.seconds:.2f} s", va="center", fontsize=8, color=INK)
    plot.set_yticks(range(len(rows)), [plain(name) for name, _ in reversed(rows)], fontsize=8)
    plot.margins(x=0.15)
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
    """A row for each file, a column for each step: green would be taken from the cache, red would run again."""
    parts = [label(14, 20 + 16 * number, f"{number + 1}  {text}", INK, size=11) for number, text in enumerate(texts)]
    top, words = 34 + 16 * len(texts), []
    for row, (name, hits) in enumerate(found.items()):
        y = top + 26 * row
        parts.append(label(150, y + 15, name, INK, "end"))
        for column, hit in enumerate(hits):
            parts.append(box(160 + 46 * column, y, 42, 20, GREEN if hit else RED))
            parts.append(label(181 + 46 * column, y + 14, str(column + 1), "#ffffff", "middle", size=11))
        again = [str(column + 1) for column, hit in enumerate(hits) if not hit]
        words.append(f"{name}: step {', '.join(again)} again" if again else f"{name}: everything cached")
    return svg(max(420, 200 + 46 * len(texts)), top + 26 * len(found) + 8, parts, "; ".join(words) + ".")


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
