"""``pause unpause``: a container stands still, whoever it is that asks something of it then."""

from __future__ import annotations

import threading

import pytest
from helpers.lives import Lives, log, printed, shoot, state
from helpers.needs import requires
from helpers.waiting import wait_for

from lib.engine import ending, pausing, usage
from lib.engine.daemons import calling
from lib.engine.vitality import alive
from lib.ingredients import Cgroup
from lib.state import kept

pytestmark = requires("root", "overlay", "busybox")
COUNTS = "trap 'echo bye; exit 5' TERM; trap 'echo heard' USR1; echo up; while :; do echo tick; sleep 0.01; done"


@pytest.fixture
def box(lives: Lives) -> dict:
    one = lives.run(COUNTS, "box")
    printed(one, b"up\n")
    return one


def stands(one: dict) -> bool:
    return pausing.group_of(one).frozen


@pytest.mark.v2
def test_it_stands_still_and_goes_on(suitcase, box):
    assert suitcase("pause box").out == "box\n" and stands(box) and state(box)["status"] == "paused"
    assert suitcase("ps --format '{{.State}} {{.Status}}'").out.startswith("paused Up ")
    assert suitcase("ps --format {{.Status}}").out.endswith(" (Paused)\n") and suitcase("ps -q -f status=paused").out
    told = suitcase("inspect -f '{{.State.Status}} {{.State.Running}} {{.State.Paused}}' box").out
    assert told == "paused true true\n"
    calling.Manager.look(kept.place(box))
    before = log(box).count(b"tick")
    assert suitcase("unpause box").out == "box\n" and not stands(box) and state(box)["status"] == "running"
    wait_for(lambda: log(box).count(b"tick") > before)


def test_what_cannot_be_is_said_in_dockers_words(suitcase, lives, box):
    ended = lives.run("true", "ended")
    lives.ended(ended)
    for line, words in (
        ("unpause box", f"Container {box['id']} is not paused"),
        ("pause ended", f"container {ended['id']} is not running"),
        ("unpause ended", f"Container {ended['id']} is not paused"),
        ("pause nosuch", "No such container: nosuch"),
    ):
        assert (suitcase(line).code, suitcase(line).err) == (1, f"suitcase: {words}\n"), line
    assert suitcase("pause nosuch box").out == "box\n"
    for line, words in (
        ("pause box", f"Container {box['id']} is already paused"),
        ("exec box true", "Container box is paused, unpause the container before exec"),
        ("exec -d box true", "Container box is paused, unpause the container before exec"),
        ("attach box", "cannot attach to a paused container, unpause it first"),
        ("rm box", 'cannot remove container "box": container is paused and must be unpaused first'),
    ):
        said = suitcase(line)
        assert (said.code, said.err) == (1, f"suitcase: {words}\n"), line
    assert "cannot start a paused container, try unpause instead" in suitcase("start box").err and stands(box)


def test_stop_lets_it_go_on_to_its_end(suitcase, box):
    suitcase("pause box")
    assert suitcase("stop box").code == 0 and state(box)["exit_code"] == 5 and b"bye\n" in log(box)


def test_kill_restart_and_rm_by_force(suitcase, box):
    suitcase("pause box")
    assert suitcase("kill box").out == "box\n" and suitcase("wait box").out == "137\n"
    assert state(box)["status"] == "exited"
    suitcase("start box")
    suitcase("pause box")
    assert suitcase("restart -t 0 box").code == 0 and state(box)["status"] == "running"
    suitcase("pause box")
    assert suitcase("rm -f box").out == "box\n" and not kept.every()


def test_a_signal_that_is_to_end_it_lets_it_go_on_and_another_waits(suitcase, lives, box):
    """As in Docker: of one with a stop signal of its own, no other signal does."""
    suitcase("pause box")
    suitcase("kill -s USR1 box")
    assert state(box)["status"] == "running" and not stands(box)
    other = lives.create(COUNTS, "other")
    with kept.locked(kept.place(other)) as facts:
        kept.save(facts | {"config": facts["config"] | {"stop_signal": "TERM"}})
    printed(lives.start(other), b"up\n")
    suitcase("pause other")
    suitcase("kill -s USR1 other")
    assert state(other)["status"] == "paused" and stands(other)
    suitcase("unpause other")
    printed(other, b"heard\n")


def test_who_waits_for_a_paused_one_that_is_killed(suitcase, box):
    suitcase("pause box")
    codes = []
    waiting = threading.Thread(target=lambda: codes.append(ending.wait(kept.load(kept.place(box)))))
    waiting.start()
    ending.kill(kept.load(kept.place(box)))
    waiting.join(30)
    assert codes == [137] and state(box)["status"] == "exited"


def test_a_new_manager_and_a_new_keeper_leave_it_as_it_is(suitcase, box):
    suitcase("pause box")
    shoot("keeper", "manager")
    calling.Manager.look(kept.place(box))
    assert state(box)["status"] == "paused" and stands(box) and alive(kept.load(kept.place(box)))
    suitcase("unpause box")
    before = log(box).count(b"tick")
    wait_for(lambda: log(box).count(b"tick") > before)


@pytest.mark.parametrize("verb", ["diff box", "export -o {} box"])
def test_reading_what_it_has_written_leaves_it_paused(suitcase, box, tmp_path, verb, monkeypatch):
    suitcase("pause box")
    assert suitcase(verb.format(tmp_path / "out.tar")).code == 0 and stands(box)
    suitcase("unpause box")
    frozen = Cgroup.freeze
    with monkeypatch.context() as patched:  # it is paused by somebody while it stands still to be read

        def freeze(group):
            frozen(group)
            patched.setattr(Cgroup, "freeze", frozen)
            pausing.pause(kept.load(kept.place(box)))

        patched.setattr(Cgroup, "freeze", freeze)
        assert suitcase(verb.format(tmp_path / "out.tar")).code == 0
    assert stands(box) and state(box)["status"] == "paused"


def test_one_that_cannot_stand_still_runs_on(suitcase, box, monkeypatch):
    monkeypatch.setattr(Cgroup, "freeze", lambda group: None)
    said = suitcase("pause box")
    assert said.code == 1 and "does not come to a standstill" in said.err
    assert state(box)["status"] == "running" and not stands(box)


def test_one_without_a_cgroup_says_so(suitcase, box, monkeypatch):
    monkeypatch.setattr(usage, "group_of", lambda facts: None)
    said = suitcase("pause box")
    assert said.code == 1 and f"Cannot pause container {box['id']}: it has no cgroup" in said.err and state(box)["status"] == "running"
