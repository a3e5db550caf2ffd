"""No descriptor left, no process left, the clock set back: while a container is asked after its health, or waits to be started again."""

from __future__ import annotations

import os

import pytest
from helpers.faults import full_table, limited
from helpers.lives import descriptors, log, pid_of, printed, shoot, state
from helpers.needs import requires
from helpers.waiting import wait_for

from lib import linux
from lib.engine import ending, lifecycle, moments
from lib.engine.daemons import calling
from lib.engine.health import known
from lib.state import kept

pytestmark = requires("root", "overlay", "busybox")
UP = "echo up; while :; do sleep 1000; done"
TO_COME = "2100-01-01T00:00:00.000000000Z"  # a moment as it stands on disk when the clock was set back after it


@pytest.fixture
def asked(lives):
    """One that is asked often, and ill at the first failure."""
    facts = lives.facts(UP)
    facts["config"]["healthcheck"] = {"Test": ["CMD", "true"], "Interval": 20 * 10**6, "Retries": 1}
    one = lives.start(lifecycle.create(lives.library, facts))
    wait_for(lambda: known.of(one)["Status"] == "healthy")
    return one


def later(lives, delay: float) -> dict:
    """One whose next try comes so many seconds after its end, which is just now."""
    one = lives.create(UP)
    with kept.locked(kept.place(one)) as facts:
        facts["state"] |= {"status": "restarting", "tries": {"count": 1, "delay": delay}, "finished": moments.now()}
        kept.save(facts | {"restart": {"name": "always", "most": 0}})
    return one


def last(one: dict) -> str:
    return known.of(one)["Log"][-1]["Start"]


def goes_on(one: dict) -> None:
    """It is asked again, and was never taken for ill."""
    before = last(one)
    wait_for(lambda: last(one) != before)
    now = known.of(one)
    assert now["Status"] == "healthy" and {each["ExitCode"] for each in now["Log"]} == {0}, now


def woken(pid: int) -> int:
    """How often it has waited for something that came."""
    return int(linux.read(f"/proc/{pid}/status").partition("voluntary_ctxt_switches:")[2].split()[0])


def is_left_alone(one: dict, pid: int) -> None:
    """Wait until no answer has come for as long as the daemon was busy with something else. Nobody knocks at its door meanwhile."""
    for _ in range(5):
        before, busy = last(one), woken(pid)
        wait_for(lambda busy=busy: woken(pid) > busy + 2)
        if last(one) == before:
            return
    raise AssertionError(known.of(one))


# -- no descriptor left -----------------------------------------------------------------------------------------------


def test_who_has_no_descriptor_asks_later(asked):
    """That says nothing of the container."""
    pid = pid_of("keeper")
    with limited("keeper"):
        is_left_alone(asked, pid)
    goes_on(asked)


def test_one_is_started_again_when_the_keeper_has_descriptors_again(lives):
    lives.run(UP)
    before, one = descriptors("keeper"), later(lives, 0.1)
    with limited("keeper"):
        calling.Manager.look(kept.place(one))
        wait_for(lambda: "keeper" in state(one)["error"])
        assert state(one)["status"] == "restarting" and log(one) == b"" and "ulimit -Hn" in state(one)["error"]
    printed(one, b"up\n")
    ending.remove(kept.load(kept.place(one)), force=True)
    wait_for(lambda: descriptors("keeper") == before)


# -- no process left --------------------------------------------------------------------------------------------------


@requires("cgroup1", "pids")
def test_who_can_make_no_process_asks_later(asked):
    with full_table(pid := pid_of("keeper")):
        is_left_alone(asked, pid)
        assert known.of(asked)["Status"] == "healthy"
    goes_on(asked)


@requires("cgroup1", "pids")
@pytest.mark.parametrize("daemon", ["keeper", "manager"])
def test_one_is_started_again_when_there_is_room_for_a_process(lives, daemon):
    lives.run(UP)
    one, pid = later(lives, 0.1), pid_of(daemon)
    with full_table(pid):
        calling.Manager.look(kept.place(one))
        if daemon == "keeper":
            wait_for(lambda: "pids limit" in state(one)["error"])
        else:
            busy = woken(pid)
            wait_for(lambda: woken(pid) > busy + 2)
        assert state(one)["status"] == "restarting" and log(one) == b""
    printed(one, b"up\n")
    assert state(one)["tries"]["count"] == 1


# -- the clock was set back -------------------------------------------------------------------------------------------


def test_one_that_waits_for_its_next_try_does_not_wait_for_a_clock(lives):
    one = later(lives, 0.1)
    with kept.locked(kept.place(one)) as facts:
        facts["state"]["finished"] = TO_COME
        kept.save(facts)
    calling.Manager.look(kept.place(one))
    printed(one, b"up\n")


def test_one_that_seems_to_have_ended_before_it_began_is_started_again(lives):
    facts = lives.facts(f"[ -e /was ] && {{ {UP}; }}; touch /was; echo once; read line; exit 3", interactive=True)
    one = lives.start(lifecycle.create(lives.library, facts | {"restart": {"name": "always", "most": 0}}))
    printed(one, b"once\n")
    with kept.locked(kept.place(one)) as now:
        now["state"]["started"] = TO_COME
        kept.save(now)
    os.kill(one["state"]["pid"], 9)
    printed(one, b"up\n")
    assert state(one)["tries"]["count"] == 1


def test_the_next_manager_asks_one_that_is_to_begin_in_many_years(asked):
    with kept.locked(kept.place(asked)) as now:
        now["state"]["started"] = TO_COME
        kept.save(now)
    shoot("manager")
    goes_on(asked)
