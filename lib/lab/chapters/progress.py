"""Which exercises the reader has solved: kept beside ``mini.py``, so that a restart, or another day, forgets nothing."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from lib.atomicfile import atomic_file


def place() -> Path:
    return Path(os.environ.get("SUITCASE_READER", ""), ".progress.json").resolve()


def solved() -> set[str]:
    """The names of the exercises that were solved; none when the file is not there, or is not ours."""
    try:
        return {str(name) for name in json.loads(place().read_text())["solved"]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def note(name: str) -> None:
    """Remember one more. Where nothing can be written it is only not remembered: that is no reason to spoil a right answer."""
    names = solved() | {name}
    try:
        with atomic_file(place()) as file:
            file.write(json.dumps({"solved": sorted(names)}).encode())
    except OSError:
        pass


@dataclass
class Board:
    """The chapter's exercises, and which of them are solved."""

    names: list[str]

    def __repr__(self) -> str:
        known = solved()
        done = [name for name in self.names if name in known]
        marks = "   ".join(f"{'✔' if name in known else '·'} {name}" for name in self.names)
        return f"{len(done)} of {len(self.names)} exercises solved:   {marks}"
