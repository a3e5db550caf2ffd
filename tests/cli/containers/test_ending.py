"""``stop kill restart rm wait rename``: what they do, what they say, how they end."""

from __future__ import annotations

import threading

import pytest
from helpers.lives import BUSYBOX, log
from helpers.needs import requires
from helpers.waiting import wait_for

from lib.engine import ending, finding
from lib.engine.vitality import alive
from lib.state import kept

pytestmark = requires("root", "overlay", "busybox")
DEAF = "trap '' TERM; echo up; while :; do sleep 1000 & wait; done"
HEEDS = "trap 'echo bye; exit 5' TERM USR1; echo up; while :; do sleep 0.02; done"


def state(name: str) -> dict:
    return finding.now(finding.find(name))["state"]


@pytest.fixture
def up(lives):
    """Start one by these words, and wait until it has said "up"."""

    def start(words: str, name: str = "box", **how) -> dict:
        one = lives.run(words, name, **how)
        wait_for(lambda: b"up\n" in log(one))
        return one

    return start


def test_stop_asks_first(suitcase, up):
    up(HEEDS)
    assert suitcase("stop box").out == "box\n"
    assert state("box")["exit_code"] == 5 and suitcase("logs box").out == "up\nbye\n"
    again = suitcase("stop box")
    assert (again.code, again.out) == (0, "box\n"), "it is stopped already"


def test_stop_kills_after_the_grace(suitcase, up):
    up(DEAF)
    assert suitcase("stop -t 0 box").code == 0
    assert state("box")["exit_code"] == 137


def test_stop_with_the_containers_own_words(suitcase):
    """--stop-signal and --stop-timeout."""
    suitcase(f"run -d --name box --stop-signal USR1 {BUSYBOX} sh -c \"trap '' TERM; {HEEDS.replace('TERM USR1', 'USR1')}\"")
    suitcase(f"run -d --name deaf --stop-timeout 0 {BUSYBOX} sleep 600")
    wait_for(lambda: suitcase("logs box").out)
    assert suitcase("stop box deaf").out == "box\ndeaf\n"
    assert (state("box")["exit_code"], state("deaf")["exit_code"]) == (5, 137)


def test_stop_with_another_signal(suitcase, up):
    up(HEEDS)
    refused = suitcase("stop -s NONSENSE box")
    assert (refused.code, refused.err) == (1, "suitcase: invalid signal: NONSENSE\n") and state("box")["status"] == "running"
    assert suitcase("stop -s USR1 box").code == 0 and state("box")["exit_code"] == 5


def test_several_are_stopped_at_the_same_time(suitcase, up):
    """Each has as long as if it were alone: the first one does not end before all have been asked."""
    names = ["one", "two", "three"]
    ones = [up(DEAF.replace("trap ''", "trap 'echo asked'"), name) for name in names]
    stopping = threading.Thread(target=suitcase, args=(f"stop -t 600 {' '.join(names)}",))
    stopping.start()
    for one in ones:
        wait_for(lambda one=one: b"asked\n" in log(one))
    for one in ones:
        ending.kill(one)
    stopping.join(30)
    assert not stopping.is_alive()
    assert [state(name)["exit_code"] for name in names] == [137] * 3


def test_those_that_are_there_are_stopped_whoever_is_not(suitcase, up):
    up(HEEDS)
    said = suitcase("stop nosuch box other")
    assert (said.code, said.out) == (1, "box\n")
    assert said.err == "suitcase: No such container: nosuch\nNo such container: other\n"
    assert state("box")["status"] == "exited"


def test_kill(suitcase, up):
    one = up(HEEDS)
    assert suitcase("kill -s USR1 box").out == "box\n" and suitcase("wait box").out == "5\n"
    refused = suitcase("kill box")
    assert (refused.code, refused.out) == (1, "")
    assert refused.err == f"suitcase: cannot kill container: box: container {one['id']} is not running\n"
    suitcase("start box")
    assert suitcase("kill box").out == "box\n" and suitcase("wait box").out == "137\n"


def test_kill_of_what_is_no_signal_or_not_there(suitcase, up):
    up(HEEDS)
    assert suitcase("kill -s NONSENSE nosuch").err == "suitcase: invalid signal: NONSENSE\n"
    said = suitcase("kill nosuch box")
    assert (said.code, said.out, said.err) == (1, "box\n", "suitcase: cannot kill container: nosuch: No such container: nosuch\n")


def test_restart(suitcase, up):
    one = up(HEEDS)
    before = state("box")
    assert suitcase("restart box").out == "box\n"
    now = state("box")
    assert now["status"] == "running" and now["started"] > before["started"] and now["pid"] != before["pid"]
    wait_for(lambda: log(one) == b"up\nbye\nup\n")
    suitcase("stop box")
    assert suitcase("restart box").code == 0 and state("box")["status"] == "running", "one that is stopped is started"
    assert suitcase("restart nosuch").err == "suitcase: No such container: nosuch\n"


def test_wait(suitcase, up):
    """Until they end, and then their codes, in the order of the names."""
    one, two = up(HEEDS, "one"), up(HEEDS, "two")
    said = []
    waiting = threading.Thread(target=lambda: said.append(suitcase("wait one two")))
    waiting.start()
    for each in (two, one):
        ending.kill(each)
    waiting.join(30)
    assert [(one.code, one.out) for one in said] == [(0, "137\n137\n")]
    failed = suitcase("wait nosuch one")
    assert (failed.code, failed.out, failed.err) == (1, "137\n", "suitcase: No such container: nosuch\n")


def test_rm(suitcase, up):
    one = up(HEEDS)
    refused = suitcase("rm box")
    assert refused.code == 1 and 'cannot remove container "box": container is running' in refused.err
    suitcase("stop box")
    assert suitcase(f"rm {one['id'][:12]}").out == f"{one['id'][:12]}\n" and kept.every() == []
    gone = suitcase("rm box")
    assert (gone.code, gone.err) == (1, "suitcase: No such container: box\n")


def test_rm_by_force(suitcase, up):
    up(DEAF)
    said = suitcase("rm -f nosuch box")
    assert (said.code, said.out, said.err) == (0, "box\n", "suitcase: No such container: nosuch\n"), "it is gone, as was wished"
    assert kept.every() == []


def test_rename(suitcase, up):
    up(HEEDS)
    said = suitcase("rename box chest")
    assert (said.code, said.out, said.err) == (0, "", "") and suitcase("ps --format {{.Names}}").out == "chest\n"
    suitcase("stop chest")
    suitcase("rename chest /lid")
    assert suitcase("ps -a --format {{.Names}}").out == "lid\n"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("lid lid", "Renaming a container with the same name as its current name"),
        ("lid 'two words'", "Invalid container name (two words), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"),
        ("lid other", 'Conflict. The container name "/other" is already in use by container'),
        ("lid ''", "neither old nor new names may be empty"),
        ("'' lid", "neither old nor new names may be empty"),
        ("nosuch lid", "No such container: nosuch"),
    ],
)
def test_rename_to_what_cannot_be(suitcase, lives, line, words):
    for name in ("lid", "other"):
        lives.create("true", name)
    said = suitcase(f"rename {line}")
    assert said.code == 1 and words in said.err and sorted(one["name"] for one in kept.every()) == ["lid", "other"]


@pytest.mark.parametrize("verb", ["start", "stop", "kill", "restart", "rm", "wait"])
def test_without_a_container_it_says_how_it_is_called(suitcase, verb):
    said = suitcase(verb)
    assert said.code == 1 and f"suitcase {verb}" in said.err and "requires at least 1 argument" in said.err, said


def test_what_has_ended_a_moment_ago_has_ended_for_each_of_them(suitcase, lives):
    """The manager may not have seen it yet."""
    for verb in ("kill", "rm", "stop", "wait", "restart"):
        one = lives.run("exit 3", verb)
        wait_for(lambda one=one: not alive(one))
        assert suitcase(f"{verb} {verb}").code == (1 if verb == "kill" else 0), verb
