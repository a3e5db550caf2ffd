"""A picture that can also be read: every one carries its text alternative.

A notebook stores both. Who cannot see the picture, a screen reader, a terminal and the tests get the text.
"""

from __future__ import annotations

from html import escape

from lib.visible import visible

INK, PAPER = "#1b2733", "#ffffff"
BLUE, ORANGE, GREEN, RED, GREY = "#2f6db5", "#d9822b", "#2e8b57", "#c0392b", "#8a97a5"


class Picture:
    """An image (``image/svg+xml`` as text or ``image/png`` as bytes) and ``alt``, the same in words."""

    def __init__(self, kind: str, data: str | bytes, alt: str):
        self.kind, self.data, self.alt = kind, data, visible(alt)

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {self.kind: self.data, "text/plain": self.alt}, {self.kind: {"alt": self.alt}}

    def __repr__(self) -> str:
        return self.alt


def words(text: str) -> str:
    """A stranger's words (an image's, a Dockerfile's) in a picture. A control character would make it no XML, and so no picture."""
    return escape(visible(text))


# -- a few words of SVG -----------------------------------------------------------------------


def svg(width: int, height: int, parts: list[str], alt: str) -> Picture:
    """Parts of SVG as a picture; the text alternative is its title as well."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img"'
    style = 'style="max-width:100%;height:auto" font-family="DejaVu Sans, Verdana, sans-serif" font-size="12"'
    body = "\n".join(parts)
    paper = f'<rect width="{width}" height="{height}" fill="{PAPER}"/>'
    return Picture("image/svg+xml", f"{head} {style}>\n<title>{words(alt)}</title>\n{paper}\n{body}\n</svg>", alt)


def box(x: int, y: int, width: int, height: int, fill: str, stroke: str = "none", hover: str = "") -> str:
    """A rectangle with round corners; ``hover`` is shown when the mouse is on it."""
    title = f"<title>{words(hover)}</title>" if hover else ""
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="5" fill="{fill}" stroke="{stroke}">{title}</rect>'


def label(x: int, y: int, text: str, colour: str = INK, anchor: str = "start", weight: str = "normal", size: int = 12) -> str:
    return f'<text x="{x}" y="{y}" fill="{colour}" text-anchor="{anchor}" font-weight="{weight}" font-size="{size}">{words(text)}</text>'


def arrow(x1: int, y1: int, x2: int, y2: int) -> str:
    """A line whose end has a small head (to the left, to the right or down)."""
    if x1 == x2:
        head = f"{x2 - 4},{y2 - 7} {x2 + 4},{y2 - 7} {x2},{y2}"
    else:
        back = -7 if x2 > x1 else 7
        head = f"{x2 + back},{y2 - 4} {x2 + back},{y2 + 4} {x2},{y2}"
    line = f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{GREY}" stroke-width="1.5"/>'
    return f'{line}<polygon points="{head}" fill="{GREY}"/>'
