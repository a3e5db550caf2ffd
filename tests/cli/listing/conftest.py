from __future__ import annotations

import pytest
from helpers import layers as make
from helpers.commands import Command
from helpers.layers import member


@pytest.fixture
def library(tmp_path, monkeypatch):
    """Images and containers of its own: a small image, and one that was built on it."""
    monkeypatch.setenv("SUITCASE_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("SUITCASE_IMAGES", str(tmp_path / "store/images"))
    ours = make.library(tmp_path / "store/images")
    make.image(ours, make.tar(member("x")), name="shop:1")
    make.image(ours, make.tar(member("x")), make.tar(member("y")), name="localhost:5000/child:2")
    return ours


@pytest.fixture
def suitcase(library, capfd):
    return Command(capfd)
