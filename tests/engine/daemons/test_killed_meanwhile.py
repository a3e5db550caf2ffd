"""Killed at every message while a container is started again, and while it is asked after its health: both go on."""

from __future__ import annotations

import os
import signal

import pytest
from helpers.faults import Fault, ToldFault, doctored_manager, in_a_process
from helpers.lives import log, printed, rested, state
from helpers.needs import requires
from helpers.waiting import wait_for

from lib import linux
from lib import state as places
from lib.engine import ending, lifecycle, moments
from lib.engine.daemons import calling
from lib.engine.health import known
from lib.lab.doctor.leaks import Look
from lib.state import kept

pytestmark = requires("root", "overlay", "busybox")
ALWAYS = {"restart": {"name": "always", "most": 0}}
UP = "echo up; while :; do sleep 1000; done"
victims = pytest.mark.parametrize("victim", ["command", "keeper"], ids=["manager", "keeper"])
when = pytest.mark.parametrize("late", [False, True], ids=["before", "after"])


class Doctored:
    """A manager that shoots at its ``at``-th message; ``shot`` is whether it has."""

    def __init__(self, at: int, late: bool, victim: str):
        self.told, telling = os.pipe2(os.O_NONBLOCK)
        self.pid = doctored_manager(ToldFault(at, late, victim, telling))
        os.close(telling)

    def shot(self) -> bool:
        return bool(linux.readable([self.told], 0))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.told)


@victims
@when
def test_while_it_is_started_again(lives, victim, late):
    look = Look()
    for at in range(1, 9):
        wait_for(rested)
        one = lifecycle.create(lives.library, lives.facts(f"[ -e /was ] || {{ touch /was; exit 3; }}; {UP}") | ALWAYS)
        with Doctored(at, late, victim):
            lives.start(one)
            printed(one, b"up\n")
            assert log(one) == b"up\n" and state(one)["tries"]["count"] >= 1, at
            ending.remove(kept.load(kept.place(one)), force=True)
    assert not look.leaks()


@when
def test_the_one_who_starts_it_is_killed(lives, late):
    look, at, more = Look(), 0, True
    while more:
        at += 1
        one = lifecycle.create(lives.library, lives.facts(UP) | ALWAYS)
        place = kept.place(one)
        with kept.locked(place) as facts:  # as if it had ended
            facts["state"] |= {"status": "restarting", "tries": {"count": 1, "delay": 0.1}, "finished": moments.now()}
            kept.save(facts)

        def deed(place=place, at=at) -> None:
            with Fault(at, late, "command"):
                lifecycle.start(lives.library, place, again=True)

        more = not in_a_process(deed)
        places.gc()  # as the next one does who starts something
        calling.Manager.look(place)
        printed(one, b"up\n")
        ending.remove(kept.load(place), force=True)
    assert at > 4 and not look.leaks()


@victims
@when
def test_while_it_is_asked(lives, victim, late):
    """No answer is lost that counts: one failure would make it unhealthy."""
    look = Look()
    for at in range(1, 9):
        wait_for(rested)
        facts = lives.facts("while :; do sleep 1000; done")
        facts["config"]["healthcheck"] = {"Test": ["CMD", "true"], "Interval": 10 * 10**6, "Retries": 1}
        one = lifecycle.create(lives.library, facts)
        with Doctored(at, late, victim) as manager:
            one = lives.start(one)
            wait_for(manager.shot)
            now = moments.now()
            wait_for(lambda now=now, one=one: (found := known.of(one)["Log"]) and found[-1]["Start"] > now)
            assert known.of(one)["Status"] == "healthy" and not [each for each in known.of(one)["Log"] if each["ExitCode"]], at
            ending.remove(kept.load(kept.place(one)), force=True)
    assert not look.leaks()
