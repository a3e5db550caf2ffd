from __future__ import annotations

import pytest
from helpers.commands import Command
from helpers.lives import apart


@pytest.fixture
def lives():
    """A busybox in the store that keeper and manager have; all containers of the test go at its end."""
    with apart() as one:
        yield one


@pytest.fixture
def suitcase(lives, capfd):
    """Call the command in this process."""
    return Command(capfd)
