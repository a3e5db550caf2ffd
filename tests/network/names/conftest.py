from __future__ import annotations

import pytest
from helpers.names import Arena, Networks


@pytest.fixture
def networks(tmp_path):
    return Networks(tmp_path / "networks")


@pytest.fixture
def arena(tmp_path):
    one = Arena(tmp_path)
    yield one
    one.close()
