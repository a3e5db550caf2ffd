"""The world of chapter 4: what is left of it when its kernel is killed goes with the next one who starts something."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from helpers.needs import requires
from helpers.waiting import wait_for

from lib import state
from lib.lab.doctor.leaks import of_processes

SCRIPT = """
import os, signal
from lib.lab.chapters import ch04
from lib import network
host, laptop, outside = ch04.begin()
with host: network.create("backyard")
ch04.up("--name db --network backyard -p 5432:80 db")
print(os.environ["SUITCASE_RUN"], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def living_in(run: str) -> list[int]:
    return [pid for pid, text in of_processes("environ") if f"SUITCASE_RUN={run}\0" in text]


@requires("root", "overlay", "busybox", "nft")
def test_a_kernel_that_is_killed_leaves_no_container_behind(tmp_path):
    """The container was made to outlive its maker, and its network namespace is lost. The leak check looks after this test for the rest."""
    killed = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    run = killed.stdout.split()[-1]
    [db] = [facts for facts in map(Path.read_text, Path(run).glob("*.json")) if '"pid"' in facts]
    assert living_in(run), "its daemons"
    state.gc()
    assert not Path(run).exists(), db
    wait_for(lambda: not living_in(run))
