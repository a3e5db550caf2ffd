"""The real Docker Compose and ours, asked the same of the same files."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from helpers.needs import COMPOSE
from lib.compose.reading import ComposeError, Request, load
from lib.compose.reading.canonical import as_json

CORPUS = Path(__file__).parents[1] / "compose" / "corpus"


@dataclass(frozen=True)
class Answer:
    """The document, or the error. ``text`` is the document as it was printed."""

    text: str = ""
    error: str = ""

    @property
    def document(self):
        return json.loads(self.text) if self.text else None


@dataclass(frozen=True)
class Case:
    """A folder of the corpus. Its file ``options``, if there is one, has a line of options and lines of variables."""

    folder: Path
    options: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, folder: Path) -> Case:
        lines = (folder / "options").read_text().splitlines() if (folder / "options").exists() else []
        words = lines[0].split() if lines else []
        return cls(folder, tuple(words), tuple(tuple(line.split("=", 1)) for line in lines[1:]))

    @property
    def environ(self) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "HOME": "/home/reader", **dict(self.variables)}

    def values(self, option: str) -> tuple[str, ...]:
        return tuple(value for name, value in zip(self.options[::2], self.options[1::2], strict=True) if name == option)

    def request(self) -> Request:
        return Request(
            files=self.values("-f"),
            name="".join(self.values("-p")),
            directory="".join(self.values("--project-directory")),
            profiles=self.values("--profile"),
            env_files=self.values("--env-file"),
            environ=self.environ,
            cwd=str(self.folder),
        )


def theirs(case: Case, *more: str) -> Answer:
    command = [COMPOSE, *case.options, "config", *(more or ("--format", "json"))]
    done = subprocess.run(command, cwd=case.folder, env=case.environ, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=30)
    return Answer(done.stdout) if done.returncode == 0 else Answer(error=done.stderr.strip() or "?")


def ours(case: Case) -> Answer:
    try:
        return Answer(as_json(load(case.request()).project))
    except ComposeError as error:
        return Answer(error=str(error))


def has_place(error: str) -> bool:
    """Does it begin with ``FILE:LINE:COLUMN: ``?"""
    return bool(re.match(r"\S+:\d+:\d+: ", error))
