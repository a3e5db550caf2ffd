"""Projects that run for real, in the store that keeper and manager have."""

from __future__ import annotations

import pytest
from helpers.lives import Lives
from helpers.projects import Bench


@pytest.fixture
def bench():
    one = Bench(Lives())
    yield one
    one.clean()
