from __future__ import annotations

import pytest
from helpers.containerlogs import Printing
from helpers.lives import Lives


@pytest.fixture
def printing(tmp_path):
    one = Printing(tmp_path)
    yield one
    one.close()


@pytest.fixture
def lives():
    one = Lives()
    yield one
    one.clean()
