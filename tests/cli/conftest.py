from __future__ import annotations

import pytest
from helpers import layers as make
from helpers import leakcheck
from helpers.commands import Command
from helpers.layers import folder, member

from lib.engine.naming import shortnames
from lib.images import Library, Store
from lib.lab import peers


@pytest.fixture
def ours(tmp_path, monkeypatch):
    """A store of its own, with a busybox and a small image in it."""
    monkeypatch.setenv("SUITCASE_IMAGES", str(tmp_path / "images"))
    monkeypatch.setenv("SUITCASE_OFFLINE", "1")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    library = Library(Store())
    shortnames.make(library, "localhost/busybox:static")
    make.image(library, make.tar(folder("etc"), member("etc/motd", b"hello\n")), make.tar(member("new", b"1")), name="small:1")
    return library


@pytest.fixture
def suitcase(ours, capfd):
    """Call the command in this process."""
    return Command(capfd)


@pytest.fixture(scope="module")
def docker():
    try:
        with peers.dockerd() as found:
            leakcheck.forget()  # the leak check may see it
            yield found
        leakcheck.forget()
    except peers.Missing as reason:
        pytest.skip(f"no docker to compare with: {reason}")
