"""The project's own source, read from the files themselves, so that a chapter cannot go stale.

A piece is named as a reader would: ``unshare`` (with the comments above it), ``Process.stop``, ``Process.head`` (what a class
begins with), ``head`` (a module's docstring and imports), ``mount..pivot_root`` (everything from here to there).
"""

from __future__ import annotations

import ast
from functools import cache
from html import escape
from importlib.util import find_spec
from pathlib import Path

HEAD, TAIL = "head", "tail"


@cache
def pieces(module: str) -> dict[str, tuple[int, int]]:
    """The named pieces of ``lib.<module>``, each with its first and last line; together they are all of it."""
    found, start = {}, 1
    tree = ast.parse(text(module))
    for node in tree.body:
        name = name_of(node)
        found[name] = (found[name][0] if name in found else start, node.end_lineno)
        if isinstance(node, ast.ClassDef):
            found |= class_pieces(node, start)
        start = node.end_lineno + 1
    return found


def name_of(node: ast.stmt) -> str:
    """What a reader calls this statement; what has no name of its own belongs to the head or the tail."""
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return name
        case ast.Assign(targets=[ast.Name(id=name), *_]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name
        case ast.Assign(targets=[ast.Tuple(elts=[ast.Name(id=name), *_])]) | ast.AugAssign(target=ast.Name(id=name)):
            return name
        case ast.Expr(value=ast.Constant()) | ast.Import() | ast.ImportFrom():
            return HEAD
        case ast.If(body=[ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Attribute())))]):  # sys.path.insert
            return HEAD
        case ast.If(body=[ast.If() | ast.Expr(), *_]) | ast.Expr():
            return TAIL
    return TAIL


def class_pieces(node: ast.ClassDef, start: int) -> dict[str, tuple[int, int]]:
    """The methods of a class, and its head: everything before the first method."""
    found = {}
    for member in node.body:
        if isinstance(member, ast.FunctionDef):
            first = min([member.lineno, *(one.lineno for one in member.decorator_list)])
            begin = start if not found else max(last for _, last in found.values()) + 1
            if not found:
                found[f"{node.name}.{HEAD}"], begin = (start, first - 1), first
            name = f"{node.name}.{member.name}"
            found[name] = (found[name][0] if name in found else begin, member.end_lineno)
    return found


def path(module: str) -> Path:
    return Path(find_spec(f"lib.{module}").origin)


@cache
def text(module: str) -> str:
    return path(module).read_text()


def lines_of(module: str, names: tuple[str, ...]) -> list[tuple[int, int]]:
    """The line ranges of some pieces (all of the module without names); ``a..b`` is everything from a to b.

    Raises ``LookupError`` with the names that there are.
    """
    everything = (1, len(text(module).splitlines()))
    ranges = []
    for name in names or ("..",):
        ends = [piece(module, end) if end else everything for end in name.split("..")]
        ranges.append((ends[0][0], ends[-1][1]))
    return ranges


def piece(module: str, name: str) -> tuple[int, int]:
    known = pieces(module)
    if name not in known:
        raise LookupError(f"lib.{module} has no piece {name!r}: it has {', '.join(known)}")
    return known[name]


class Source:
    """Pieces of source: folded on a page, one line in a terminal. ``about``: what to look for."""

    def __init__(self, module: str, names: tuple[str, ...], about: str = ""):
        self.module, self.names, self.about = module, names, about
        all_lines = text(module).splitlines()
        blocks = ["\n".join(all_lines[first - 1 : last]).strip("\n") for first, last in lines_of(module, names)]
        self.code = "\n\n".join(blocks)

    def __repr__(self) -> str:
        place = f"lib/{self.module.replace('.', '/')}.py"
        pieces = ", ".join(self.names).replace("..", " … ").strip() or "all of it"
        return f"{self.about or pieces} ({len(self.code.splitlines())} lines of {place})"

    def _repr_html_(self) -> str:
        return f"<details><summary><code>{escape(repr(self))}</code></summary>\n<pre>{escape(self.code)}</pre>\n</details>"


def source(module: str, *names: str, about: str = "") -> Source:
    """Show pieces of ``lib.<module>``, e.g. ``source("linux", "unshare", "setns")``; without names, all of it.

    ``about``: what the reader finds there, as the folded block's label.
    """
    return Source(module, names, about)
