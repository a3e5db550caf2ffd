"""The lines of a Dockerfile, to be put into another order: what does a change of one file cost then?"""

from __future__ import annotations

import ipywidgets
from IPython.display import display

from lib.build import build
from lib.images import ImageError, Library
from lib.process import StepError
from lib.show.builds import short, touched
from lib.show.controls import Panel
from lib.show.tables import Table, table


class Order:
    """A Dockerfile of one-line instructions over a context, and the file that is about to change."""

    def __init__(self, library: Library, context: str, text: str, changed: str):
        self.library, self.context, self.changed = library, context, changed
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

    def again(self) -> list[tuple[str, bool]]:
        """Build it, then: each step, and whether it would run again after the change. Raises ``ImageError``, ``StepError``."""
        build(self.context, self.library, text=self.text)
        return [(short(one), not one.cached) for one in touched(self.library, self.context, self.changed, text=self.text)]

    def look(self) -> Table | str:
        """The same for eyes; for an order that cannot be built, the builder's own words."""
        try:
            rows = [(step, "runs again" if again else "cached") for step, again in self.again()]
        except (ImageError, StepError) as error:
            return f"This order cannot be built.\n{error}"
        return table(["step", f"after a change of {self.changed}"], rows)


def reorder(library: Library, context: str, text: str, changed: str) -> Order:
    """Show what a change of one file runs again, and (in JupyterLab) the lines to be moved; returns the order."""
    order, out = Order(library, context, text, changed), ipywidgets.Output()
    lines = ipywidgets.Select(options=numbered(order), rows=len(order.lines), layout={"width": "32em"})

    def moved(by: int):
        def move(_):
            place = order.move(lines.value, by)
            lines.options = numbered(order)
            lines.value = place
            with out:
                out.clear_output(wait=True)
                print(order.look())

        return move

    up, down = (ipywidgets.Button(description=word) for word in ("▲ up", "▼ down"))
    up.on_click(moved(-1))
    down.on_click(moved(1))
    print(order.look())
    words = f"The {len(order.lines)} lines, and two buttons to move them. They can be pressed in JupyterLab."
    display(Panel([lines, ipywidgets.HBox([up, down]), out], words))
    return order


def numbered(order: Order) -> list[tuple[str, int]]:
    return [(line, number) for number, line in enumerate(order.lines)]
