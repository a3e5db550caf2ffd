from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.hosts import Host, host

from lib.engine import volumes

__all__ = ["host"]


class Stack:
    """``suitcase compose`` with a file of its own, on a host of its own; ``text`` may be changed between two commands."""

    def __init__(self, host: Host, folder: Path):
        self.host, self.file = host, folder / "compose.yaml"
        folder.mkdir()

    def write(self, text: str) -> None:
        self.file.write_text(text)

    def __call__(self, line: str, code: int | None = 0):
        return self.host(f"compose -f {self.file} {line}", code)


@pytest.fixture
def compose(host, tmp_path, monkeypatch) -> Iterator[Stack]:
    for name in ("COMPOSE_FILE", "COMPOSE_PROJECT_NAME", "COMPOSE_PROFILES", "COMPOSE_PROGRESS", "COMPOSE_ANSI"):
        monkeypatch.delenv(name, raising=False)
    stack = Stack(host, tmp_path / "demo")
    yield stack
    if stack.file.exists():
        stack("down -t 0 -v --remove-orphans", None)
    host.clear()
    volumes.prune(every=True)
