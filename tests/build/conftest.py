"""A place to build in, for the tests of this folder that ask for no other."""

from __future__ import annotations

import pytest
from helpers.sites import Site


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path)
    yield made
    assert made.leftovers() == []
