"""Two engines on one machine: neither takes the other's network for a leak of its own, and each sees its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from helpers.arena import Arena
from helpers.needs import requires

from lib import network, start, state
from lib.engine.daemons import calling
from lib.lab.doctor import leaks

pytestmark = requires("root", "overlay", "busybox")

OTHER = """
import sys
from lib import network, start
one = network.create("theirs")
with start("busybox", ["sleep", "60"], network=network.on(one)):
    print("up", flush=True)
    sys.stdin.read()
network.remove(one)
"""


def test_what_another_engine_has_is_no_leak_of_ours(tmp_path, monkeypatch):
    for name in ("STORE", "RUN"):
        monkeypatch.setenv(f"SUITCASE_{name}", str(tmp_path / name))
    env = os.environ | {"SUITCASE_STORE": str(tmp_path / "theirs"), "SUITCASE_RUN": str(tmp_path / "their-run")}
    env["PYTHONPATH"] = str(Path(state.__file__).parents[2])
    with Arena() as arena:
        place = arena.place("host")
        before = place(leaks.Look)
        other = place(subprocess.Popen, [sys.executable, "-P", "-c", OTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)
        try:
            assert other.stdout.readline() == b"up\n"
            theirs = {kind: found for kind, found in place(before.new).items() if kind in ("network link", "nft rule", "folder or record")}
            assert theirs == {"network link": set(), "nft rule": set(), "folder or record": set()}
            shop = place(network.create, "shop")
            box = place(start, "busybox", ["sleep", "60"], network=network.on(shop))
            ours = place(before.new)
            place(box.remove)
            network.remove(shop)
            assert shop.bridge in ours["network link"] and any(shop.bridge in line for line in ours["nft rule"])
            assert str(shop.alive) in ours["folder or record"]
        finally:
            other.communicate()
        place(calling.rest)
        assert not place(before.leaks)
