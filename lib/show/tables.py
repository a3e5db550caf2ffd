"""Plain text tables: they look the same in a notebook, in a terminal and in a test."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from lib.visible import visible


class Table:
    """Rows under a heading; columns as wide as they must be."""

    def __init__(self, heading: Sequence[str], rows: Iterable[Sequence]):
        self.rows = [[visible(str(cell)) for cell in row] for row in (heading, *rows)]

    def __repr__(self) -> str:
        widths = [max(map(len, column)) for column in zip(*self.rows, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in self.rows]
        lines.insert(1, "  ".join("─" * width for width in widths))
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """The same as HTML, which wraps, and which a screen reader reads cell by cell."""
        heading, *rows = self.rows
        lines = [as_row("th", heading), *(as_row("td", row) for row in rows)]
        return '<table style="margin-left: 0">\n' + "\n".join(lines) + "\n</table>"


def as_row(kind: str, row: Sequence[str]) -> str:
    """Each cell says that it begins at the left: JupyterLab's style sheet, made for columns of numbers, would have it end at the right."""
    return "<tr>" + "".join(f'<{kind} style="text-align: left">{escape(cell)}</{kind}>' for cell in row) + "</tr>"


def table(heading: str | Sequence[str], rows: Iterable[Sequence]) -> Table:
    """A table; ``heading`` is a list of column names, or one text with ``|`` between them."""
    names = [name.strip() for name in heading.split("|")] if isinstance(heading, str) else heading
    return Table(names, rows)
