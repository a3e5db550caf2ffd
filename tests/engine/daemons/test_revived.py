"""Keeper and manager look after each other: whichever is killed, the other starts the next one, and no command need be given."""

from __future__ import annotations

import os
import select
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.lives import BUSYBOX, log, pid_of, rested, shoot, state
from helpers.needs import requires
from helpers.waiting import wait_for

from lib.engine import ending
from lib.engine.daemons import calling, standby, tie
from lib.engine.vitality import alive
from lib.state import kept

pytestmark = requires("root", "overlay", "busybox")
COUNTS = "i=0; while :; do echo line $i; i=$((i+1)); sleep 0.01; done"
FOR_EVER = "while :; do sleep 1000; done"


def grows(one: dict) -> bool:
    before = len(log(one))
    return bool(wait_for(lambda: len(log(one)) > before))


def another(daemon: str, pid: int) -> int:
    """Wait until there is one that is not this one."""
    return wait_for(lambda: (now := pid_of(daemon)) != pid and now)


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


@pytest.mark.v2
def test_a_manager_that_is_killed_is_started_again_and_again(lives):
    one = lives.run(COUNTS)
    for _ in range(3):
        pid = pid_of("manager")
        shoot("manager")
        another("manager", pid)
        assert grows(one)
    found = log(one).split(b"\n")
    assert found[:-1] == [b"line %d" % number for number in range(len(found) - 1)], "each line, and each once"


def test_a_keeper_that_is_killed_is_started_again_and_gets_back_what_it_held(lives):
    one = lives.run("read line; echo said $line; exit 3", tty=True)
    for _ in range(2):
        pid = pid_of("keeper")
        shoot("keeper")
        another("keeper", pid)
        assert alive(one)
        wait_for(lambda: not children(pid_of("manager")))
    master = wait_for(lambda: (fd := calling.Keeper.give(f"{one['id']}/terminal")) >= 0 and fd)
    os.write(master, b"words\n")
    os.close(master)
    wait_for(lambda: b"said words" in log(one))


def test_the_one_that_was_started_starts_the_other(lives):
    """Killed in turn: each knows the other although it did not find it there."""
    one = lives.run(COUNTS)
    for daemon in ("manager", "keeper", "manager", "keeper"):
        pid = pid_of(daemon)
        shoot(daemon)
        another(daemon, pid)
        assert grows(one)


def test_what_ends_is_settled_though_no_command_is_given(lives):
    one = lives.run("read line; exit 6", interactive=True)
    shoot("manager")
    ending.kill(one)
    wait_for(lambda: state(one)["status"] == "exited")
    assert state(one)["exit_code"] == 137


def test_one_that_has_no_containers_takes_leave(lives):
    """The keeper started it, and hears that it is there; else it would start one again and again."""
    one = lives.run(FOR_EVER)
    with kept.locked(kept.place(one)):  # nobody settles it meanwhile
        shoot("manager")
        os.kill(state(one)["pid"], 9)
    ending.remove(kept.load(kept.place(one)), force=True)
    wait_for(rested)


def test_with_restart_policies_too(lives, suitcase_run):
    """One that waits for its next try has no process, and yet there is something to look after."""
    one = suitcase_run("always", "exit 7")
    wait_for(lambda: state(one)["status"] == "restarting")
    shoot("manager")
    count = state(one)["tries"]["count"]
    wait_for(lambda: state(one)["tries"]["count"] > count + 1)


@pytest.fixture
def suitcase_run(lives):
    def run(policy: str, words: str) -> dict:
        from lib.engine import lifecycle

        facts = lives.facts(words) | {"restart": {"name": policy, "most": 0}, "image_name": BUSYBOX}
        return lives.start(lifecycle.create(lives.library, facts))

    return run


def test_one_that_cannot_be_started_is_tried_later_and_later(lives, monkeypatch):
    """The manager's side, with nobody behind the keeper's door, and a clock of its own: when it starts one."""
    lives.create("true")
    wait_for(rested)
    moments, now = [], 100.0
    monkeypatch.setattr(tie, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(standby, "started", lambda *words: moments.append((words[0], round(now, 1))) or 1)
    monkeypatch.setattr(tie, "os", SimpleNamespace(WNOHANG=os.WNOHANG, waitpid=lambda pid, how: (pid, 0)))
    ours = tie.Tie(select.epoll(), lambda: None)
    for _ in range(200):
        ours.keep(True)
        now += 0.1
        assert ours.patience() <= tie.LOOK
    assert {daemon for daemon, _ in moments} == {"daemons/keeper"}
    assert [moment for _, moment in moments] == pytest.approx([100.1, 102.2, 104.2, 106.2, 108.3, 110.6, 113.9], abs=0.3)
    ours.keep(False)
    assert ours.patience() is None
