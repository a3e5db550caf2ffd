"""``--restart``: who is started again, what is told of that, and how it is called off."""

from __future__ import annotations

import errno
import json
import os
import select
import threading

import pytest
from helpers.lives import BUSYBOX, log, pid_of, shoot, state
from helpers.needs import requires
from helpers.waiting import wait_for

from lib.cli.attached.following import LogSource
from lib.engine import ending
from lib.engine.daemons import again, calling
from lib.engine.pipes import run_folder
from lib.engine.plays import restarting
from lib.engine.vitality import alive
from lib.lab.doctor.leaks import Look
from lib.state import kept

pytestmark = requires("root", "overlay", "busybox")
ONCE = "[ -e /was ] || { touch /was; exit 3; }; echo up; while :; do sleep 1000; done"
LATER = 600  # seconds: a try that does not come while a test looks


@pytest.fixture
def run(suitcase, lives):
    """Start one with a policy; its facts."""

    def start(policy: str, words: str, name: str = "box", more: str = "") -> dict:
        said = suitcase(f"run -d --network none --restart {policy} {more} --name {name} {BUSYBOX} sh -c '{words}'")
        assert said.code == 0, said
        return kept.load(kept.place(said.out.strip()))

    return start


def waiting(one: dict) -> bool:
    return state(one)["status"] == "restarting"


def put_off(one: dict) -> None:
    """Have its next try wait for long: as if it had failed many times."""
    while True:
        wait_for(lambda: waiting(one))
        with kept.locked(kept.place(one)) as facts:
            if facts["state"]["status"] == "restarting":
                facts["state"]["tries"]["delay"] = LATER
                kept.save(facts)
                break
    calling.Manager.look(kept.place(one))


@pytest.fixture
def later(run):
    """One that waits for a try which will not come soon."""
    one = run("always", "exit 7")
    put_off(one)
    return one


# -- what is followed by a start --------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [pytest.param("always", marks=pytest.mark.v2), "unless-stopped", "on-failure", "on-failure:1"])
def test_one_that_ended_is_started_again(suitcase, run, policy):
    one = run(policy, ONCE)
    wait_for(lambda: log(one) == b"up\n" and state(one)["status"] == "running")
    name, _, most = policy.partition(":")
    now = json.loads(suitcase("inspect box").out)[0]
    assert now["RestartCount"] == 1 and now["HostConfig"]["RestartPolicy"] == {"Name": name, "MaximumRetryCount": int(most or 0)}
    assert (now["State"]["Status"], now["State"]["ExitCode"], now["State"]["Restarting"]) == ("running", 0, False)
    assert state(one)["pid"] != one["state"]["pid"]


def test_on_failure_gives_up_after_so_many_tries(suitcase, run):
    one = run("on-failure:2", "echo up; exit 4")
    wait_for(lambda: state(one)["status"] == "exited")
    assert log(one) == b"up\n" * 3 and state(one)["exit_code"] == 4
    assert suitcase("inspect -f '{{.RestartCount}} {{.State.Restarting}}' box").out == "2 false\n"
    assert suitcase("start box").code == 0
    wait_for(lambda: log(one) == b"up\n" * 6 and state(one)["status"] == "exited")
    assert suitcase("inspect -f {{.RestartCount}} box").out == "2\n", "whoever starts it by hand begins to count anew"


def test_who_did_not_fail_is_not_started_again(run, lives):
    assert lives.ended(run("on-failure", "exit 0"))["status"] == "exited"
    assert lives.ended(run("no", "exit 1", "other"))["status"] == "exited"


def test_what_is_told_of_one_that_waits(suitcase, later):
    told = suitcase("ps --format '{{.State}} {{.Status}}'").out
    assert told.startswith("restarting Restarting (7) ") and suitcase("ps -q -f status=restarting").out
    now = json.loads(suitcase("inspect box").out)[0]["State"]
    assert (now["Status"], now["Running"], now["Restarting"], now["Pid"], now["ExitCode"]) == ("restarting", True, True, 0, 7)


def test_what_cannot_be_done_with_one_that_waits(suitcase, later):
    for line, words in (
        ("pause box", f"Container {later['id']} is restarting, wait until the container is running"),
        ("exec box true", f"Container {later['id']} is restarting, wait until the container is running"),
        ("attach box", "cannot attach to a restarting container, wait until it is running"),
        ("rm box", 'cannot remove container "box": container is restarting: stop the container before removing or force remove'),
    ):
        assert (suitcase(line).code, suitcase(line).err) == (1, f"suitcase: {words}\n"), line
    assert suitcase("start box").out == "box\n" and waiting(later), "it will be"


# -- called off -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["always", "unless-stopped", "on-failure"])
@pytest.mark.parametrize("verb", ["stop -t 0", "kill"])
def test_who_is_ended_by_hand_stays_so(suitcase, run, policy, verb):
    one = run(policy, "while :; do sleep 1000; done")
    assert suitcase(f"{verb} box").out == "box\n"
    assert suitcase("wait box").out == "137\n" and state(one)["status"] == "exited" and not alive(kept.load(kept.place(one)))
    suitcase("start box")
    assert state(one)["status"] == "running" and "by_hand" not in state(one)


@pytest.mark.parametrize("verb", ["stop", "kill", "kill -s TERM"])
def test_one_that_waits_is_called_off(suitcase, later, verb):
    assert suitcase(f"{verb} box").out == "box\n"
    assert (state(later)["status"], state(later)["exit_code"]) == ("exited", 7)
    assert suitcase("wait box").out == "7\n" and suitcase("rm box").code == 0


def test_one_that_waits_is_removed_by_force(suitcase, later):
    look = Look()
    assert suitcase("rm -f box").out == "box\n" and not kept.every() and not look.leaks()


def test_restart_of_one_that_waits(suitcase, later):
    assert suitcase("restart box").code == 0
    wait_for(lambda: state(later).get("tries") == {"count": 1, "delay": restarting.FIRST})


def test_a_signal_for_another_end_calls_nothing_off(suitcase, run):
    one = run("always", 'trap "exit 6" USR1; echo up; while :; do sleep 0.01; done', more="--stop-signal TERM")
    wait_for(lambda: log(one) == b"up\n")
    suitcase("kill -s USR1 box")
    wait_for(lambda: log(one) == b"up\nup\n")


def test_wait_tells_of_the_next_end(suitcase, run):
    one = run("always", "[ -e /was ] && exit 9; touch /was; exit 7")
    put_off(one)
    said = []
    waiting_for_it = threading.Thread(target=lambda: said.append(ending.wait(kept.load(kept.place(one)))))
    waiting_for_it.start()
    with kept.locked(kept.place(one)) as facts:
        facts["state"]["tries"]["delay"] = 0.1
        kept.save(facts)
    calling.Manager.look(kept.place(one))
    waiting_for_it.join(30)
    assert said == [9]


def test_whoever_waits_for_a_running_one_is_told_of_this_end(run):
    one = run("always", "[ -e /was ] && { echo up; sleep 1000; }; touch /was; read line; exit 5", more="-i")
    said = []
    waiting_for_it = threading.Thread(target=lambda: said.append(ending.wait(one)))
    waiting_for_it.start()
    wait_for(lambda: waiting_for_it.is_alive())
    with open(run_folder(one["id"]) / "stdin", "wb") as sink:
        sink.write(b"\n")
    waiting_for_it.join(30)
    assert said == [5]
    wait_for(lambda: log(one) == b"up\n")


def test_whoever_stays_with_it_stays_until_its_first_end(suitcase, lives):
    said = suitcase(f"run --network none --restart always --name box {BUSYBOX} sh -c 'echo up; exit 5'")
    assert (said.code, said.out) == (5, "up\n")
    assert state(kept.every()[0])["status"] in ("restarting", "running"), "it goes on"


def test_whoever_looks_late_hears_how_that_run_ended(run):
    """It runs again already."""
    one = run("always", ONCE)
    wait_for(lambda: log(one) == b"up\n")
    source = LogSource(kept.place(one))
    try:
        source.started({"state": state(one)["last"]})
        assert source.over() and source.exit_code() == 3
    finally:
        source.close()


# -- what does not work out -------------------------------------------------------------------------------------------


def test_a_start_that_fails_was_the_last_one(suitcase, run):
    """As in Docker: what cannot be started is not tried again."""
    one = run("always", "rm /bin/sh; exit 3")
    wait_for(lambda: state(one)["status"] == "exited")
    assert state(one)["exit_code"] == 127 and "sh" in state(one)["error"]


@pytest.mark.parametrize("doomed", [("manager",), ("keeper",), ("keeper", "manager")], ids=" and ".join)
def test_it_is_started_again_whoever_is_killed(run, doomed):
    """The moment of the next try is on disk."""
    one = run("always", ONCE)
    wait_for(lambda: waiting(one) or log(one))
    shoot(*doomed)
    calling.Manager.look(kept.place(one))
    wait_for(lambda: log(one) == b"up\n")


@pytest.mark.parametrize("spawned", ["/bin/false", "/nosuch"], ids=["it was killed", "there is no process left"])
def test_a_program_that_starts_nobody_is_tried_again_later_and_later(later, monkeypatch, spawned):
    place, events = kept.place(later), select.epoll()
    ours = again.Again(events)
    monkeypatch.setattr(again.standby, "started", lambda *_: os.posix_spawn(spawned, [spawned], {}))
    for seconds in (0.1, 0.2, 0.4):
        ours.due[place] = 0
        ours.start()
        for pidfd, _ in events.poll(20 if ours.starting else 0):
            assert ours.ended(pidfd) == [place]
        assert ours.failed == {place: pytest.approx(seconds)} and 0 < ours.patience() <= seconds and waiting(later)
    ending.remove(kept.load(place), force=True)
    ours.forget_who_has_gone()
    assert not ours and not ours.failed and ours.patience() is None


def test_a_program_whose_end_nobody_would_hear_of_is_ended_and_tried_again_later(later, monkeypatch):
    def no_room(pid: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    pids = []
    monkeypatch.setattr(again.os, "pidfd_open", no_room)
    monkeypatch.setattr(again.standby, "started", lambda *_: pids.append(os.posix_spawn("/bin/sleep", ["sleep", "600"], {})) or pids[0])
    ours = again.Again(select.epoll())
    ours.due[kept.place(later)] = 0
    ours.start()
    assert not ours.starting and ours.failed == {kept.place(later): pytest.approx(0.1)}
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_the_log_goes_on(run):
    one = run("always", "echo up; sleep 0.02; exit 1")
    wait_for(lambda: log(one).count(b"up\n") > 2)
    assert pid_of("keeper") and pid_of("manager")


# -- words that cannot be meant ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("sometimes", "invalid restart policy: unknown policy 'sometimes'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"),
        ("always:3", "invalid restart policy: maximum retry count can only be used with 'on-failure'"),
        ("on-failure:-1", "invalid restart policy: maximum retry count cannot be negative"),
        ("on-failure:x", "invalid restart policy format: maximum retry count must be an integer"),
        (":3", "invalid restart policy format: no policy provided before colon"),
        ("always --rm", "conflicting options: cannot specify both --restart and --rm"),
    ],
)
def test_words_that_cannot_be_meant(suitcase, lives, policy, words):
    said = suitcase(f"create --restart {policy} {BUSYBOX} true")
    assert said.code != 0 and said.err.startswith(f"suitcase: {words}") and not kept.every()
