"""What differs between two runs of a notebook, but for what nbval's patterns say may vary."""

from __future__ import annotations

import configparser
import difflib
import re
from pathlib import Path

from nbformat import NotebookNode

from lib.lab.jupyter.chapterlist import ROOT
from lib.lab.nbval.measured import IGNORED, MEASURED, words

SANITIZE = ROOT / "tests/nbval_sanitize.cfg"


def sanitizers(path: Path = SANITIZE) -> list[tuple[re.Pattern, str]]:
    """nbval's patterns for what changes from run to run: the same file that the tests use."""
    if not path.exists():
        return []
    book = configparser.RawConfigParser()
    book.read(path)
    return [(re.compile(book[name]["regex"]), book[name]["replace"]) for name in book.sections()]


def sanitized(text: str, patterns: list[tuple[re.Pattern, str]]) -> str:
    for pattern, replacement in patterns:
        text = pattern.sub(replacement, text)
    return text


def comparable(cell: NotebookNode, patterns: list, images: bool = True) -> str:
    """The outputs of a cell as one text; pictures as their own bytes, or (``images=False``) only as "there is one".

    Of a measured cell only what nbval compares: its words.
    """
    measured = MEASURED in cell.metadata.get("tags", [])
    lines = []
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            lines.append(f"{output.name}: {sanitized(output.text, patterns)}")
        elif output.output_type == "error":
            lines.append(f"error: {output.ename}: {sanitized(output.evalue, patterns)}")
        else:
            kinds = [kind for kind in sorted(output.data) if not (measured and kind.startswith("image/"))]
            lines += [f"{kind}: {shown(kind, output.data[kind], patterns, images)}" for kind in kinds]
    return words("\n".join(lines)) if measured else "\n".join(lines)


def shown(kind: str, data, patterns: list, images: bool) -> str:
    if kind.startswith("image/") and kind != "image/svg+xml" and not images:
        return "(a picture)"
    return sanitized(data if isinstance(data, str) else repr(data), patterns)


def ignored(cell: NotebookNode) -> bool:
    return IGNORED in cell.metadata.get("tags", [])


def differences(old: NotebookNode, new: NotebookNode, patterns: list) -> list[str]:
    """A short diff for each cell whose output a test would see as changed."""
    found = []
    for index, (before, after) in enumerate(zip(old.cells, new.cells, strict=True)):
        if after.cell_type != "code" or ignored(after):
            continue
        if before.execution_count != after.execution_count:
            found.append(f"  cell {index} ({after.get('id', '?')}): execution count {before.execution_count} → {after.execution_count}")
        one, two = comparable(before, patterns, images=False), comparable(after, patterns, images=False)
        if one != two:
            found.append(f"  cell {index} ({after.get('id', '?')}):")
            diff = list(difflib.unified_diff(one.splitlines(), two.splitlines(), lineterm="", n=1))
            found += [f"    {line[:160]}" for line in diff[2:14]]
    return found
