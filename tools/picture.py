"""``make picture``: draw the house from its real imports, as ARCHITECTURE.md shows it.

The floors are those of import-linter's contract in pyproject.toml, so there is one list of them; the arrows are what grimp finds. An arrow
that others imply (a imports b and c, and b imports c) is left out, or there would be a hundred. ``--check`` writes nothing and exits with 1
if the picture in the repository is not this one.
"""

from __future__ import annotations

import sys
import tomllib
from html import escape
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "ARCHITECTURE.svg"
ROW, BOX, HIGH, LEFT, WIDTH = 62, 128, 38, 20, 1040  # pixels
# Where in its row each box stands (0 is left, 1 right), so that no arrow goes through another box.
COLUMNS = {
    "lab": 0.095, "show": 0.674, "cli": 0.564, "compose": 0.356, "engine": 0.524, "build": 0.27, "network": 0.065, "container": 0.62,
    "oci": 0.812, "volumes": 0.214, "bases": 0.752, "ingredients": 0.065, "registry": 0.398, "process": 0.228, "images": 0.592,
    "inside": 0.509, "beneath": 0.154, "state": 0.322, "sealed": 0.72, "advice": 0.579, "linux": 0.269, "netfilter": 0.065,
    "elf": 0.563, "processor": 0.715, "dockerfile": 0.856, "durations": 0.935, "sizes": 0.359, "atomicfile": 0.494, "regularfile": 0.2,
    "visible": 0.065, "shield": 0.651, "lazy": 0.804,
}  # fmt: skip
QUIET = {"lazy", "visible", "shield"}  # nearly every wing needs them: arrows to them would hide the others
INK, GREY, RED, FILL = "#1f2933", "#5b6875", "#c2410c", "#e8f1fa"
HEAD = (
    '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    f'<path d="M0 0L8 4L0 8z" fill="{INK}"/></marker></defs>'
)
Graph = dict[str, set[str]]
Point = tuple[float, float]


def floors() -> list[list[str]]:
    """The names on each floor, the highest first."""
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = next(one["layers"] for one in linter["contracts"] if one["type"] == "layers")
    return [[name.strip() for name in layer.replace(":", "|").split("|")] for layer in layers]


def imports(names: list[str]) -> Graph:
    """Who imports whom, wing by wing."""
    graph = grimp.build_graph("lib", cache_dir=None)
    for name in names:
        if graph.find_children(f"lib.{name}"):
            graph.squash_module(f"lib.{name}")
    short = {f"lib.{name}": name for name in names}
    found = {name: graph.find_modules_directly_imported_by(f"lib.{name}") for name in names}
    return {name: {short[one] for one in found[name] if one in short} - {name} for name in names}


def upward(rows: list[list[str]], graph: Graph) -> list[str]:
    """Arrows that point up or along a floor: there must be none."""
    order = {name: number for number, row in enumerate(rows) for name in row}
    return sorted(f"{one} → {two}" for one, others in graph.items() for two in others if order[two] <= order[one])


def reachable(start: str, graph: Graph) -> set[str]:
    found, todo = set(), list(graph[start])
    while todo:
        one = todo.pop()
        if one not in found:
            found.add(one)
            todo += graph[one]
    return found


def drawn(graph: Graph) -> list[tuple[str, str]]:
    """The arrows that have no way round."""
    pairs = ((one, two) for one, others in graph.items() for two in others - QUIET)
    return sorted((one, two) for one, two in pairs if not any(two in reachable(way, graph) for way in graph[one] - {two}))


def places(rows: list[list[str]]) -> dict[str, Point]:
    """The middle of each box."""
    found = {}
    for number, row in enumerate(rows):
        for column, name in enumerate(row):
            found[name] = (LEFT + WIDTH * COLUMNS.get(name, (column + 0.5) / len(row)), 48 + ROW * number)
    return found


def curve(start: Point, end: Point) -> tuple[Point, Point, Point, Point]:
    """From the lower edge of one box to the upper edge of another: a Bézier curve that leaves and arrives upright."""
    (x1, y1), (x2, y2) = start, end
    y1, y2 = y1 + HIGH / 2, y2 - HIGH / 2 - 2
    bend = (y2 - y1) / 2
    return (x1, y1), (x1, y1 + bend), (x2, y2 - bend), (x2, y2)


def arrow(start: Point, end: Point, colour: str) -> str:
    (x1, y1), (x2, y2), (x3, y3), (x4, y4) = curve(start, end)
    path = f"M{x1:.0f} {y1:.0f} C{x2:.0f} {y2:.0f} {x3:.0f} {y3:.0f} {x4:.0f} {y4:.0f}"
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.3" marker-end="url(#head)"/>'


def box(name: str, place: Point) -> str:
    x, y = place
    modules = [path for path in (ROOT / "lib" / name).rglob("*.py") if path.name != "__init__.py"]
    lines = [label(x, y - 2, f"{name}/", 14, INK), label(x, y + 13, f"{len(modules)} modules", 10, GREY)]
    frame = f'<rect x="{x - BOX / 2:.0f}" y="{y - HIGH / 2:.0f}" width="{BOX}" height="{HIGH}" rx="6" fill="{FILL}" stroke="{INK}"/>'
    return frame + "".join(lines if modules else [label(x, y + 5, f"{name}.py", 14, INK)])


def label(x: float, y: float, text: str, size: int, colour: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">{escape(text)}</text>'


def draw() -> str:
    rows = floors()
    names = [name for row in rows for name in row]
    graph, boxes = imports(names), places(rows)
    wrong = set(upward(rows, graph))
    arrows = [arrow(boxes[one], boxes[two], RED if f"{one} → {two}" in wrong else INK) for one, two in drawn(graph)]
    words = "; ".join(f"{name} imports {', '.join(sorted(graph[name])) or 'nothing of lib'}" for name in names)
    wide, high = WIDTH + 2 * LEFT, 48 + ROW * len(rows)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" font-family="sans-serif" role="img">',
            f"<title>The floors of lib</title><desc>{escape(words)}</desc>{HEAD}",
            f'<rect width="{wide}" height="{high}" rx="8" fill="#ffffff"/>',
            label(LEFT, 22, "the reader", 12, GREY, "start"),
            label(LEFT, high - 12, "the kernel", 12, GREY, "start"),
            *arrows,
            *(box(name, boxes[name]) for name in names),
            "</svg>\n",
        ]
    )


def main(argv: list[str]) -> int:
    picture = draw()
    if argv == ["--check"]:
        fresh = PICTURE.exists() and PICTURE.read_text() == picture
        print("the picture is that of the imports" if fresh else "ARCHITECTURE.svg is stale: make picture")
        return int(not fresh)
    PICTURE.write_text(picture)
    print(f"written: {PICTURE.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
