from __future__ import annotations

import pytest
from helpers.commands import Command
from helpers.lives import apart


@pytest.fixture
def lives(tmp_path, monkeypatch):
    """A store of the test's own, with a busybox in it: what is pruned here is nobody else's."""
    monkeypatch.setenv("SUITCASE_IMAGES", str(tmp_path / "images"))
    monkeypatch.setenv("SUITCASE_OFFLINE", "1")
    with apart() as one:
        yield one


@pytest.fixture
def suitcase(lives, capfd):
    """Call the command in this process."""
    return Command(capfd)
