"""Chapter 5's engine: apart from the machine's, watched, shot at; and what a killed kernel leaves of it goes with the next one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.needs import requires
from helpers.waiting import wait_for

from lib import state
from lib.engine.daemons import calling
from lib.lab.chapters.ch05 import daemons, watching, world
from lib.lab.doctor.leaks import of_processes
from lib.state import kept

pytestmark = requires("root", "overlay", "busybox")
SCRIPT = """
import os, signal
from lib.lab.chapters.ch05 import world
world.begin()
world.up("--name shop -v orders:/data --restart always --health-cmd true shop")
print(os.environ["SUITCASE_RUN"], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def begun():
    world.begin()
    yield
    world.end()


def living_in(run: str) -> list[int]:
    return [pid for pid, text in of_processes("environ") if f"SUITCASE_RUN={run}\0" in text]


def test_a_kernel_that_is_killed_leaves_no_container_behind():
    killed = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    run = killed.stdout.split()[-1]
    assert living_in(run), "its daemons"
    state.gc()
    assert not Path(run).exists()
    wait_for(lambda: not living_in(run))


def test_its_containers_are_none_of_the_machine_s():
    before = dict(os.environ)
    world.begin()
    world.up("--name shop shop")
    assert [one["name"] for one in kept.every()] == ["shop"]
    world.end()
    assert {name: os.environ.get(name) for name in world.MACHINE} == {name: before.get(name) for name in world.MACHINE}
    assert "shop" not in [one["name"] for one in kept.every()]


def test_tidied_up_there_is_no_container_no_volume_and_no_daemon(begun):
    world.up("--name db -v orders:/data db")
    assert daemons.pid_of("keeper") and world.heard("volume ls -q") == "orders"
    world.tidy()
    assert not kept.every() and not world.heard("volume ls -q")
    wait_for(lambda: not daemons.pid_of("keeper") and not daemons.pid_of("manager"))


def test_a_cell_that_is_run_again_takes_the_older_container_s_place(begun):
    for _ in range(2):
        world.up("--name shop shop")
    assert len(kept.every()) == 1
    assert world.state("shop")["status"] == "running"


def test_who_started_it_is_gone_and_the_keeper_is_its_parent(begun):
    pid = world.from_another_python("--name shop shop")
    assert not Path(f"/proc/{pid}").exists()
    assert daemons.parents("shop")[1] == f"suitcase:keeper ({daemons.pid_of('keeper')})"


@pytest.mark.parametrize("daemon", ["keeper", "manager"])
def test_a_daemon_that_is_shot_has_a_successor(begun, daemon):
    world.up("--name shop shop")
    was = daemons.pid_of(daemon)
    pid, seconds = daemons.shoot(daemon)
    assert pid not in (0, was) and seconds > 0
    wait_for(lambda: len(world.said("shop")) > 1)
    assert ("suitcase:keeper" in str(daemons.parents("shop"))) == (daemon == "manager")


def test_without_a_container_there_is_nobody_to_shoot(begun, monkeypatch):
    monkeypatch.setattr(world, "PATIENCE", 0)
    calling.rest()
    with pytest.raises(TimeoutError, match="a keeper to shoot"):
        daemons.shoot("keeper")


def test_the_plumbing_names_who_holds_the_pipe(begun):
    world.up("--name shop shop")
    wait_for(lambda: "manager" in daemons.plumbing("shop")["also open in"])
    assert daemons.plumbing("shop")["its descriptor 1"] == "a named pipe, stdout"


def test_health_is_watched_from_its_start_on(begun):
    asked = "--health-cmd 'test -e /tmp/open' --health-interval 100ms --health-start-period 5s --health-start-interval 100ms"
    world.up(f"--name db -e OPENS=0.3 {asked} db")
    found = watching.watch_health("db", until="healthy", longer=0.3)
    assert [status for _, status in found.statuses] == ["starting", "healthy"]
    assert found.period == 5 and found.count("forgiven") and not found.count("failed")
    world.heard("exec db rm /tmp/open")
    later = watching.watch_health("db", until="unhealthy")
    assert later.since("unhealthy") > later.since("healthy") and later.count("failed") == 3, "forgiven no more, once it was healthy"
    assert later.answers[-1][0] == 1 and later.since("nosuch") is None


def test_lives_are_told_from_the_first_start(begun):
    world.up("--name shop --restart on-failure:2 box false")
    found = watching.lives("shop", ends=3)
    assert len(found) == 3 and found[0][0] == 0
    assert all(begin <= end for begin, end in found) and all(found[n][1] + 0.1 * 2**n <= found[n + 1][0] for n in range(2))


@pytest.mark.parametrize(("policy", "end", "then"), [("always", "done", "started again"), ("on-failure", "done", "stays down")])
def test_what_becomes_of_it_depends_on_the_policy(begun, policy, end, then):
    assert world.comes_back(policy, end) == then
    assert world.comes_back(policy, "stopped") == "stays down"
