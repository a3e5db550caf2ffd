"""The command on a host of its own: a network namespace, with a store, where nothing may be left in the end."""

from __future__ import annotations

import shlex
import socket
from collections.abc import Iterator

import pytest

from helpers.arena import Arena
from helpers.commands import Command
from helpers.lives import BUSYBOX, rested
from helpers.waiting import wait_for
from lib import state
from lib.engine.naming import shortnames
from lib.images import Library, Store
from lib.network import alive
from lib.state import kept


class Host:
    """The command, called in a network namespace of its own; ``sh`` runs a script in a container and gives what it printed."""

    def __init__(self, place, suitcase: Command):
        self.place, self.suitcase = place, suitcase

    def __call__(self, line: str, code: int | None = 0):
        said = self.place(self.suitcase, line)
        assert code is None or said.code == code, f"{line}\n{said}"
        return said

    def sh(self, words: str, script: str) -> str:
        return self(f"run --rm {words} {BUSYBOX} sh -c {shlex.quote(script)}").out

    def inside(self, name: str, script: str, code: int | None = 0) -> str:
        return self(f"exec {name} sh -c {shlex.quote(script)}", code).out

    def clear(self) -> None:
        """Take away all that is ours, and see that it is."""
        self("rm -f " + " ".join(facts["name"] for facts in kept.every()), None)
        self("network prune -f")
        wait_for(rested)
        assert not [name for name in self.links() if name.startswith("suitcase")], "a link was left behind"
        assert "suitcase" not in self.place.run("nft", "list", "ruleset")
        assert not list((state.runtime_dir() / "networks").glob("*")) and not self.place(alive.networks)

    def left(self) -> list[str]:
        """What there still is of networks here: links of ours, who is on record, and any rule at all."""
        ours = [name for name in self.links() if name.startswith("suitcase")]
        folders = [str(path) for path in (state.runtime_dir() / "networks").glob("*")]
        return [*ours, *folders, *self.place(alive.networks), *self.place.run("nft", "list", "ruleset").split()]

    def links(self) -> list[str]:
        return [name for _, name in self.place(socket.if_nameindex)]


@pytest.fixture
def host(tmp_path, monkeypatch, capfd) -> Iterator[Host]:
    for word in ("store", "images"):
        monkeypatch.setenv(f"SUITCASE_{word.upper()}", str(tmp_path / word))
    monkeypatch.setenv("SUITCASE_OFFLINE", "1")
    shortnames.make(Library(Store()), BUSYBOX)
    with Arena() as arena:
        one = Host(arena.place("host"), Command(capfd))
        one.arena = arena
        yield one
        one.clear()
