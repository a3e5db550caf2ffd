"""The seven chapters as files: which are there, their outputs, their navigation lines.

``python -m lib.lab.jupyter.notebooks list|outputs [--check] [--only 02]|navigation [--check]``. ``outputs`` runs the notebooks in place,
so that every committed output was printed by a run of the committed code. Exit codes: 0 all is well (or rewritten), 1 a cell failed
or, with ``--check``, something differs, 2 wrong use, 130 interrupted (Ctrl-C): each file is then as it was or wholly rewritten.
"""

from __future__ import annotations

import argparse
import asyncio
import configparser
import contextlib
import difflib
import re
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from lib.atomicfile import atomic_file

ROOT = Path(__file__).resolve().parents[3]
SANITIZE = ROOT / "tests/nbval_sanitize.cfg"
CELL_TIMEOUT = 120


@dataclass(frozen=True)
class Chapter:
    """One chapter; ``alone`` means that it measures times, so nothing else should run beside it."""

    number: str
    slug: str
    title: str
    alone: bool = False

    @property
    def file(self) -> str:
        return f"{self.number}-{self.slug}.ipynb"

    def path(self, folder: Path) -> Path:
        return folder / self.file


CHAPTERS = (
    Chapter("01", "why-docker-exists", "Why Docker Exists (And Why VMs Weren't Enough)", alone=True),
    Chapter("02", "what-happens-when-you-run-a-container", "What's Actually Happening When You Run a Container"),
    Chapter("03", "images-layers-and-slow-builds", "Images, Layers, and Why Your Builds Are Slow", alone=True),
    Chapter("04", "networking", "Docker Networking: How Containers Actually Find Each Other"),
    Chapter("05", "compose", "Docker Compose: Reading the File You've Been Copy-Pasting"),
    Chapter("06", "security", "Securing Your Docker Setup (Most People Skip This)"),
    Chapter("07", "ci-cd", "From Laptop to Production: CI/CD with Docker"),
)


def home() -> Path:
    """The folder with the notebooks."""
    return ROOT / "notebooks"


def there(folder: Path | None = None) -> list[Chapter]:
    """The chapters that are written."""
    return [one for one in CHAPTERS if one.path(folder or home()).is_file()]


def choose(only: str, folder: Path | None = None) -> list[Chapter]:
    """The chapters named in ``"02,03"`` (all that are there, if empty). Raises ``ValueError`` for one that is not there."""
    written = there(folder)
    known = {one.number: one for one in written}
    names = [word.zfill(2) for word in re.split(r"[,\s]+", only.strip()) if word]
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"no chapter {', '.join(unknown)}: there are {', '.join(known) or 'none yet'}")
    return [known[name] for name in dict.fromkeys(names)] if names else written


# -- what differs between two runs -------------------------------------------------------------


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
    """The outputs of a cell as one text; pictures as their own bytes, or (``images=False``) only as "there is one"."""
    lines = []
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            lines.append(f"{output.name}: {sanitized(output.text, patterns)}")
        elif output.output_type == "error":
            lines.append(f"error: {output.ename}: {sanitized(output.evalue, patterns)}")
        else:
            lines += [f"{kind}: {shown(kind, data, patterns, images)}" for kind, data in sorted(output.data.items())]
    return "\n".join(lines)


def shown(kind: str, data, patterns: list, images: bool) -> str:
    if kind.startswith("image/") and kind != "image/svg+xml" and not images:
        return "(a picture)"
    return sanitized(data if isinstance(data, str) else repr(data), patterns)


def ignored(cell: NotebookNode) -> bool:
    return "nbval-ignore-output" in cell.metadata.get("tags", [])


# -- make outputs --------------------------------------------------------------------------------

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


def execute(notebook: NotebookNode, folder: Path, timeout: int = CELL_TIMEOUT) -> None:
    """Run all cells with our own kernel. Raises nbclient's ``CellExecutionError``, ``CellTimeoutError``, ``DeadKernelError``.

    Raises ``KeyboardInterrupt`` after Ctrl-C, once the kernel has ended.
    """
    from lib.lab.jupyter.kernelmanager import NAME, OwnKernel, clean_environment

    with clean_environment():
        client = stoppable()(
            notebook, timeout=timeout, kernel_name=NAME, kernel_manager_class=OwnKernel, record_timing=False,
            store_widget_state=False, coalesce_streams=True, resources={"metadata": {"path": str(folder)}},
        )  # fmt: skip
        try:
            client.execute()
        finally:
            if client.stopped:
                raise KeyboardInterrupt  # however the run ended then


def stoppable():
    """nbclient's client, but Ctrl-C stops the run: nbclient's own handler ends the kernel, which then looks as if it had died by itself.

    The first Ctrl-C interrupts the cell, as the stop button does, so that it can clean up; no other cell is run. The second does not wait.
    """
    from nbclient import NotebookClient

    class Stoppable(NotebookClient):
        stopped = False

        async def async_start_new_kernel(self, **how):
            for number in (signal.SIGINT, signal.SIGTERM):  # nbclient has set its own just before this
                asyncio.get_running_loop().add_signal_handler(number, self.stop)
            return await super().async_start_new_kernel(**how)

        def stop(self) -> None:
            if self.stopped or self.kc is None:
                for task in asyncio.all_tasks():
                    task.cancel()
            else:
                self.interrupting = asyncio.ensure_future(self.km.interrupt_kernel())
            self.stopped = True

        async def async_execute_cell(self, *cell, **how):
            if self.stopped:
                raise asyncio.CancelledError
            return await super().async_execute_cell(*cell, **how)

    return Stoppable


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
            words = [output.get("metadata") for output in after.outputs]
            after.outputs = before.outputs
            for output, metadata in zip(after.outputs, words, strict=False):
                if "data" in output and metadata is not None:
                    output.metadata = metadata  # a picture that stayed the same may have got better words


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


# -- navigation ------------------------------------------------------------------------------------

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


# -- the command -------------------------------------------------------------------------------------


def run_outputs(chapters: list[Chapter], check: bool, timeout: int) -> int:
    from nbclient.exceptions import CellControlSignal, CellExecutionError, DeadKernelError

    worst = 0
    for chapter in chapters:
        print(f"{chapter.number}: running every cell …", flush=True)
        try:
            found = outputs(chapter.path(home()), check, timeout)
        except (CellExecutionError, CellControlSignal, DeadKernelError) as error:
            print(f"{chapter.number}: a cell failed, the file is left as it was\n{error}", file=sys.stderr)
            worst = 1
            continue
        except KeyboardInterrupt:
            print(f"{chapter.number}: interrupted, the file is left as it was", file=sys.stderr)
            return 130
        verdict = "as committed" if not found else "differs from the file:" if check else "rewritten:"
        print("\n".join([f"{chapter.number}: {verdict}", *found]))
        worst = max(worst, int(check and bool(found)))
    return worst


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m lib.lab.jupyter.notebooks", description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["list", "outputs", "navigation"])
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if something would change")
    parser.add_argument("--only", default="", help="chapters, e.g. 02,03")
    parser.add_argument("--cell-timeout", type=int, default=CELL_TIMEOUT, help="seconds for each cell (%(default)s)")
    args = parser.parse_args(argv)
    try:
        chapters = choose(args.only)
    except ValueError as error:
        parser.error(str(error))
    if args.what == "list":
        for one in CHAPTERS:
            print(f"{one.number}  {'there' if one in there() else 'not yet'}  {one.title}")
        return 0
    if args.what == "outputs":
        return run_outputs(chapters, args.check, args.cell_timeout)
    stale = [one.file for one in chapters if write_navigation(one, home(), args.check)]
    print(f"{'not as they should be' if args.check else 'written'}: {', '.join(stale) or 'none'}")
    return int(args.check and bool(stale))


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
