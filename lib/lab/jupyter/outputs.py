"""The outputs that a notebook's file holds: printed by a run of the committed code, without clocks and widgets.

What a run printed as before stays as it was, to the byte.
"""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbformat import NotebookNode

from lib.atomicfile import atomic_file
from lib.lab.jupyter.execution import CELL_TIMEOUT, execute
from lib.lab.jupyter.outputdiff import comparable, differences, sanitizers
from lib.lab.nbval.measured import words

KEPT_METADATA = ("tags", "jupyter", "editable", "deletable", "slideshow")
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def normalise(notebook: NotebookNode) -> None:
    """Leave in the file what a reader or a test needs; ids, tags and outputs stay, clocks and widget state go."""
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({key: cell.metadata[key] for key in KEPT_METADATA if key in cell.metadata})
        for output in cell.get("outputs", []):
            if "data" in output:
                output.data.pop(WIDGET_VIEW, None)  # names a live object of one run; the text beside it stays
                output.metadata = alternatives(output.metadata)
        if cell.cell_type == "code":
            cell.outputs = [one for one in cell.outputs if one.get("data", True)]


def alternatives(metadata: dict) -> NotebookNode:
    """Of an output's metadata only the pictures' words: nbconvert writes them as the image's ``alt``, for who cannot see it."""
    pictures = {kind: about for kind, about in metadata.items() if isinstance(about, dict) and "alt" in about}
    return nbformat.from_dict({kind: {"alt": about["alt"]} for kind, about in pictures.items()})


def fresh(path: Path, timeout: int = CELL_TIMEOUT) -> tuple[NotebookNode, NotebookNode]:
    """The notebook as it is in the file, and as a run makes it now."""
    old = nbformat.read(path, as_version=4)
    new = nbformat.read(path, as_version=4)
    execute(new, path.parent, timeout)
    normalise(new)
    return old, new


def keep_equal_outputs(old: NotebookNode, new: NotebookNode, patterns: list) -> None:
    """Where a run printed the same but for what may vary, keep the old text: git shall show what really changed."""
    for before, after in zip(old.cells, new.cells, strict=True):
        if after.cell_type == "code" and comparable(before, patterns) == comparable(after, patterns):
            about = [output.get("metadata") for output in after.outputs]
            after.outputs = before.outputs
            for output, metadata in zip(after.outputs, about, strict=False):
                if "data" in output and metadata is not None and words(str(metadata)) != words(str(output.metadata)):
                    output.metadata = metadata  # a picture that stayed the same may have got better words; its numbers are its own
                if output.output_type == "execute_result":
                    output.execution_count = after.execution_count  # and a cell before this one may be new


def outputs(path: Path, check: bool, timeout: int = CELL_TIMEOUT) -> list[str]:
    """Run one notebook; write it back unless ``check``. Returns what differs; raises what ``execute`` raises."""
    patterns = sanitizers()
    old, new = fresh(path, timeout)
    found = differences(old, new, patterns)
    if not check:
        normalise(old)
        keep_equal_outputs(old, new, patterns)
        text = nbformat.writes(new) + "\n"
        if text != path.read_text():
            with atomic_file(path) as file:
                file.write(text.encode())
    return found
