"""``%%mini``: the reader's own runtime, which grows by a paragraph from a cell of the chapters, in a file that is theirs.

The file is ``mini.py`` beside the notebook (or in the folder ``SUITCASE_READER``, as in test runs). Its paragraphs begin with
``# %% name``, which editors know as cells. A cell that is run again replaces its own paragraph; whatever else is in the file stays.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import sys
import time
import types
from dataclasses import dataclass
from html import escape
from pathlib import Path

from lib.atomicfile import atomic_file
from lib.lab.jupyter.chapterlist import home, there

HEAD = '"""mini: a container runtime, and it is mine. Each paragraph was a cell of a chapter; the steps run in the order of this file."""\n'
MARK = re.compile(r"^# %% (.+)\n", re.M)
Paragraphs = dict[str, str]  # name → its lines, in the order of the file


def place() -> Path:
    return Path(os.environ.get("SUITCASE_READER", ""), "mini.py").resolve()


def read(text: str) -> tuple[str, Paragraphs]:
    """What stands above the first paragraph, and the paragraphs."""
    head, *rest = MARK.split(text)
    return head, {name: body.strip("\n") for name, body in zip(rest[::2], rest[1::2], strict=True)}


def written(head: str, paragraphs: Paragraphs) -> str:
    return head.strip("\n") + "\n" + "".join(f"\n# %% {name}\n{body}\n" for name, body in paragraphs.items())


def put(paragraphs: Paragraphs, name: str, body: str, before: str = "") -> Paragraphs:
    """``name`` with a new body: where it was, or before another one, or at the end. Raises ``LookupError`` if there is no such other."""
    if before and before not in paragraphs:
        there_are = ", ".join(paragraphs) or "none yet"
        raise LookupError(f"mini.py has no paragraph {before!r}, it has: {there_are}. Run the cell that adds it first")
    if name in paragraphs or not before:
        return paragraphs | {name: body}
    found: Paragraphs = {}
    for other, lines in paragraphs.items():
        found |= {name: body, other: lines} if other == before else {other: lines}
    return found


def words(line: str) -> tuple[str, str]:
    """``NAME [before OTHER]``, as it is written after ``%%mini``. Raises ``ValueError``."""
    match line.split():
        case [name]:
            return name, ""
        case [name, "before", other]:
            return name, other
    raise ValueError(f"%%mini wants a name, and perhaps where it goes: %%mini proc, %%mini root before proc; not {line!r}")


def cells(number: str) -> list[tuple[str, str, str]]:
    """The paragraphs of a chapter's notebook in its order: name, what it goes before, body."""
    found = []
    for chapter in there():
        if chapter.number == number:
            for cell in json.loads(chapter.path(home()).read_text())["cells"]:
                first, _, body = "".join(cell["source"]).partition("\n")
                if cell["cell_type"] == "code" and first.startswith("%%mini "):
                    found.append((*words(first.removeprefix("%%mini ")), body.strip("\n")))
    return found


def up_to(last: int) -> Paragraphs:
    """The paragraphs as the chapters up to ``last`` leave them."""
    found: Paragraphs = {}
    for number in range(1, last + 1):
        for name, before, body in cells(f"{number:02}"):
            found = put(found, name, body, before)
    return found


def written_by(last: int) -> set[tuple[str, str]]:
    """Name and body of every paragraph that a cell of the chapters up to ``last`` puts there."""
    return {(name, body) for number in range(1, last + 1) for name, _, body in cells(f"{number:02}")}


def sweep(seconds: float = 1.0) -> None:
    """Remove the cgroups of a mini that was killed before it could do so. One that is at work is not empty, and stays.

    Its container dies with it, but a moment later: so long an empty cgroup is waited for.
    """
    deadline = time.monotonic() + seconds
    top = Path("/sys/fs/cgroup")
    for folder in (*top.glob("mini-*"), *top.glob("*/mini-*")):
        while not Path("/proc", folder.name.removeprefix("mini-")).exists():
            try:
                folder.rmdir()
            except FileNotFoundError:
                break
            except OSError:
                if time.monotonic() > deadline:
                    break
                time.sleep(0.02)


@dataclass
class Outline:
    """The file after a cell: its paragraphs by name, and, to unfold, all of it with the new lines marked.

    A paragraph that is new stands in the cell just above; of one that has grown the new lines are shown at once.
    """

    paragraphs: Paragraphs
    name: str
    old: str

    @property
    def grown(self) -> bool:
        return self.old not in ("", self.paragraphs[self.name])

    def marked(self, name: str) -> list[str]:
        """A paragraph's lines, ``+`` before a new one. (What is the same again is new: the reader has just put it there.)"""
        body = self.paragraphs[name].splitlines()
        before = body if name != self.name else self.old.splitlines() if self.grown else []
        return [line.rstrip() for line in difflib.ndiff(before, body) if line[0] in "+ "]

    def heading(self) -> str:
        lines = sum(1 for body in self.paragraphs.values() for line in body.splitlines() if line.strip())
        names = " · ".join(f"[{name}]" if name == self.name else name for name in self.paragraphs)
        return f"mini.py, {lines} line{'s' * (lines != 1)}: {names}"

    def __repr__(self) -> str:
        return "\n".join([self.heading(), *(self.marked(self.name) if self.grown else [])])

    def _repr_html_(self) -> str:
        file = "\n\n".join("\n".join([f"  # %% {name}", *self.marked(name)]) for name in self.paragraphs)
        shown = f"<pre>{escape(chr(10).join(self.marked(self.name)))}</pre>\n" if self.grown else ""
        return f"{shown}<details><summary><code>{escape(self.heading())}</code></summary>\n<pre>{escape(file)}</pre>\n</details>"


class Mini:
    """The magic ``%%mini`` of one chapter."""

    def __init__(self, shell, chapter: int):
        self.shell, self.chapter = shell, chapter

    def begin(self) -> None:
        """Let the reader who starts here have what the chapters before this one have built; what they have changed themselves stays.

        Whatever a cell of the chapters has put there is as it should be at this one's beginning: the small ``run`` of somebody who has been
        back to chapter 1 has grown again, and what a later chapter has added is not in the way. That chapter brings it back.
        """
        try:
            head, mine = self.load()
            chapters = written_by(int(there()[-1].number))
            after = up_to(self.chapter - 1) | {name: body for name, body in mine.items() if (name, body) not in chapters}
            if after != mine:
                self.save(head, after)
            if place().exists():
                self.reload()
        except OSError as error:
            print(f"mini.py has no place here: {error}. Set SUITCASE_READER to a folder that you may write to, and restart the kernel")
        except Exception as error:  # it is the reader's file, and may hold anything
            print(f"mini.py does not run as it is: {type(error).__name__}: {error}. Mend it, or delete it: the chapters bring it back")

    def add(self, line: str, cell: str) -> Outline:
        """``%%mini NAME [before OTHER]``: the cell becomes a paragraph of mini.py, and ``mini`` is what the file now is."""
        name, before = words(line)
        head, mine = self.load()
        body = cell.strip("\n")
        compile(body, f"mini.py, {name}", "exec")  # what Python cannot read never gets into the file
        after = put(mine, name, body, before)
        if mine.get(name, body) != body and (name, mine[name]) not in written_by(int(there()[-1].number)):
            place().with_suffix(".py~").write_text(written(head, mine))
            print(f"you had changed {name} in the file: your version is kept in mini.py~")
        self.save(head, after)
        self.reload()
        return Outline(after, name, mine.get(name, ""))

    @staticmethod
    def load() -> tuple[str, Paragraphs]:
        return read(place().read_text()) if place().exists() else (HEAD, {})

    @staticmethod
    def save(head: str, paragraphs: Paragraphs) -> None:
        with atomic_file(place()) as file:
            file.write(written(head, paragraphs).encode())

    def reload(self) -> None:
        """The file as the module ``mini``, read anew: Python itself would take one of the same second for unchanged."""
        module = types.ModuleType("mini")
        module.__file__ = str(place())
        exec(compile(place().read_text(), module.__file__, "exec"), vars(module))
        sys.modules["mini"] = self.shell.user_ns["mini"] = module
