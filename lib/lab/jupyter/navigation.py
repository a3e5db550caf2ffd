"""The line at a chapter's beginning and end that leads to the one before and the one after."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbformat import NotebookNode

from lib.lab.jupyter.chapterlist import CHAPTERS, Chapter

NAVIGATION = "navigation"


def link(chapter: Chapter | None, arrow: str, folder: Path) -> str:
    if chapter is None:
        return ""
    name = f"{int(chapter.number)}. {chapter.title}"
    words = f"[{name}]({chapter.file})" if chapter.path(folder).is_file() else f"{name} (not written yet)"
    return f"← {words}" if arrow == "←" else f"{words} →"


def navigation(chapter: Chapter, folder: Path) -> str:
    """One line: where you are, what comes before and after."""
    index = CHAPTERS.index(chapter)
    before = CHAPTERS[index - 1] if index else None
    after = CHAPTERS[index + 1] if index + 1 < len(CHAPTERS) else None
    middle = f"**Chapter {index + 1} of {len(CHAPTERS)}** · needs Linux and root · [all chapters](../README.md#the-seven-chapters)"
    return " | ".join(filter(None, [link(before, "←", folder), middle, link(after, "→", folder)]))


def navigate(notebook: NotebookNode, chapter: Chapter, folder: Path) -> None:
    """Put the line below the title and at the end; cells with the tag ``navigation`` are ours and are replaced."""
    line = navigation(chapter, folder)
    ours = [cell for cell in notebook.cells if NAVIGATION in cell.metadata.get("tags", [])]
    for place, cell_id in ((1, "navigation-top"), (None, "navigation-end")):
        cell = next((one for one in ours if one.get("id") == cell_id), None)
        if cell is None:
            cell = nbformat.v4.new_markdown_cell(id=cell_id, metadata={"tags": [NAVIGATION]})
            notebook.cells.insert(len(notebook.cells) if place is None else place, cell)
        cell.source = line


def write_navigation(chapter: Chapter, folder: Path, check: bool) -> bool:
    """Write the lines of one chapter; True if the file was not as it should be."""
    path = chapter.path(folder)
    notebook = nbformat.read(path, as_version=4)
    navigate(notebook, chapter, folder)
    text = nbformat.writes(notebook) + "\n"
    stale = text != path.read_text()
    if stale and not check:
        path.write_text(text)
    return stale
