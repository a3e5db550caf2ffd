"""The lines of a Dockerfile, to be put into another order: what does a change of one file cost then?"""

from __future__ import annotations

import os
from collections.abc import Callable

import ipywidgets
from IPython.display import display

from lib.build import build
from lib.images import Image, ImageError, Library
from lib.process import StepError
from lib.show.builds import short, touched
from lib.show.controls import Panel
from lib.show.tables import Table, table


class Said(str):
    """Words that are shown as they are, without quotes."""

    __repr__ = str.__str__


class Order:
    """A Dockerfile of one-line instructions over a context, and the file that is about to change.

    ``count`` asks something of the image that comes out, ``what`` says what it is: an order may be fast and wrong.
    """

    def __init__(self, library: Library, context: str, text: str, changed: str, count: Callable[[Image], object], what: str):
        self.library, self.context, self.changed = library, context, changed
        self.count, self.what = count, what
        self.lines = text.splitlines()

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"

    def move(self, line: int, by: int) -> int:
        """Put a line further down (``by`` 1) or up (-1), and return where it stands then. FROM stays the first."""
        if line < 1 or not 1 <= line + by < len(self.lines):
            return line
        self.lines.insert(line + by, self.lines.pop(line))
        return line + by

    def again(self) -> tuple[list[tuple[str, bool]], object]:
        """Build it, then: each step, and whether it would run again after the change; and what the image holds.

        Raises ``ImageError``, ``StepError``.
        """
        image = build(self.context, self.library, text=self.text).image
        steps = touched(self.library, self.context, self.changed, text=self.text)
        return [(short(one), not one.cached) for one in steps], self.count(image)

    def look(self) -> Table | Said:
        """The same for eyes; for an order that cannot be built, the builder's own words."""
        if not os.path.isdir(self.context):  # a button outlives what it was made for
            return Said("What this builds from is gone: the chapter's last cell tidies up. Run the cells again, from the top.")
        try:
            steps, holds = self.again()
        except (ImageError, StepError) as error:
            return Said(f"This order cannot be built.\n{error}")
        rows = [(step, "runs again ↻" if again else "cached ✓") for step, again in steps]
        return table(["step", f"after a change of {self.changed}"], [*rows, (self.what, holds)])


def reorder(library: Library, context: str, text: str, changed: str, count: Callable[[Image], object], what: str) -> Order:
    """Show what a change of one file runs again, and (in JupyterLab) the lines to be moved; returns the order."""
    order = Order(library, context, text, changed, count, what)
    shown = display(order.look(), display_id=True)
    lines = ipywidgets.Select(options=numbered(order), rows=len(order.lines), layout={"width": "32em"})

    def moved(by: int):
        def move(_):
            place = order.move(lines.value, by)
            lines.options = numbered(order)
            lines.value = place
            shown.update(order.look())

        return move

    up, down = (ipywidgets.Button(description=word) for word in ("▲ up", "▼ down"))
    up.on_click(moved(-1))
    down.on_click(moved(1))
    words = f"The {len(order.lines)} lines, and two buttons to move them: run this cell in JupyterLab to get them."
    display(Panel([lines, ipywidgets.HBox([up, down])], words))
    return order


def numbered(order: Order) -> list[tuple[str, int]]:
    return [(line, number) for number, line in enumerate(order.lines)]
