"""``--health-…`` and an image's HEALTHCHECK: how a container is asked, and what is told of the answers."""

from __future__ import annotations

import json
import os
import select

import pytest
from helpers.lives import BUSYBOX, pid_of, shoot, state
from helpers.needs import requires
from helpers.waiting import wait_for

from lib.engine import ending
from lib.engine.daemons import checking
from lib.engine.health import known
from lib.engine.health.asked import command, laid_over, times
from lib.engine.pipes import run_folder
from lib.engine.plays.health import Times
from lib.lab.doctor.leaks import Look
from lib.state import kept

pytestmark = requires("root", "overlay", "busybox")
OFTEN = "--health-interval 20ms"
LONG = 10**6 + os.getpid()  # seconds, and nobody else on this machine sleeps so long


@pytest.fixture
def run(suitcase, lives):
    """Start one that is asked often; its facts."""

    def start(cmd: str, more: str = "", words: str = "sleep 1000", name: str = "box") -> dict:
        said = suitcase(f"run -d --network none --name {name} --health-cmd '{cmd}' {OFTEN} {more} {BUSYBOX} {words}")
        assert said.code == 0, said
        return kept.load(kept.place(said.out.strip()))

    return start


def health(one: dict) -> dict:
    return known.of(kept.load(kept.place(one)))


def becomes(one: dict, status: str) -> dict:
    wait_for(lambda: health(one)["Status"] == status)
    return health(one)


def touched(one: dict, path: str) -> None:
    os.close(os.open(f"/proc/{state(one)['pid']}/root/{path}", os.O_CREAT | os.O_CLOEXEC, 0o600))


# -- what is told -----------------------------------------------------------------------------------------------------


@pytest.mark.v2
def test_from_starting_to_healthy_to_unhealthy(suitcase, run):
    one = run("echo words; echo more >&2; test -e /ok", "--health-retries 2 --health-start-period 10m --health-start-interval 20ms")
    assert suitcase("ps --format {{.Status}}").out.endswith(" (health: starting)\n")
    wait_for(lambda: len(health(one)["Log"]) == 5)
    assert (health(one)["Status"], health(one)["FailingStreak"]) == ("starting", 0), "in the start period failures do not count"
    touched(one, "ok")
    becomes(one, "healthy")
    assert suitcase("ps --format '{{.Status}} {{.HealthStatus}}'").out.endswith(" (healthy) healthy\n")
    assert suitcase("ps -q -f health=healthy").out and not suitcase("ps -q -f health=starting -f health=unhealthy -f health=none").out
    assert suitcase("exec box rm /ok").code == 0
    becomes(one, "unhealthy")
    assert suitcase("ps --format {{.Status}}").out.endswith(" (unhealthy)\n")
    found = json.loads(suitcase("inspect box").out)[0]["State"]["Health"]
    assert found["Status"] == "unhealthy" and found["FailingStreak"] >= 2 and len(found["Log"]) == 5
    last = found["Log"][-1]
    assert (last["ExitCode"], last["Output"]) == (1, "words\nmore\n") and last["Start"] < last["End"]


def test_one_that_nobody_asks_has_no_health(suitcase, lives):
    lives.run("sleep 1000", "box")
    assert "Health" not in suitcase("inspect box").out and suitcase("ps --format '{{.HealthStatus}}'").out == "\n"
    assert suitcase("ps -q -f health=none").out and not suitcase("ps -q -f health=healthy").out
    assert suitcase("ps -f health=fine").code == 1


def test_the_probe_runs_as_the_container_does(run):
    """Its user, its folder, its variables, its limits, its root."""
    one = run('echo "$(id -u) $(pwd) $A $(cat /proc/self/cgroup | head -1)"', "-u 65534 -w /tmp -e A=words")
    found = becomes(one, "healthy")["Log"][-1]["Output"]
    assert found.startswith("65534 /tmp words ")
    with open(f"/proc/{state(one)['pid']}/cgroup") as file:
        assert kept.place(one).name not in found and kept.place(one).name in file.read()


def test_what_it_says_is_cut_and_bounded(run):
    one = run("yes xxxxxxx | head -c 100000", "--health-timeout 20s")
    wait_for(lambda: health(one)["Log"])
    assert health(one)["Log"][0]["Output"] == "xxxxxxx\n" * 512 + "..."


def test_bytes_that_are_no_text(run):
    one = run('printf "\\\\377\\\\376"')
    wait_for(lambda: health(one)["Log"])
    assert health(one)["Log"][0]["Output"] == "\ufffd\ufffd"


def test_what_takes_too_long_is_killed_with_all_that_it_started(run):
    one = run(f"echo begun; sleep {LONG} & sleep {LONG}", "--health-timeout 50ms --health-retries 1")
    becomes(one, "unhealthy")
    said = "Health check exceeded timeout (50ms): begun\n"  # the last word is missing where a busy machine let it say nothing in time
    wait_for(lambda: any((each["ExitCode"], each["Output"]) == (-1, said) for each in health(one)["Log"]))
    place = kept.place(one)
    with kept.locked(place):
        ending.kill(kept.load(place))
    assert not [pid for pid in filter(str.isdigit, os.listdir("/proc")) if is_sleeping(pid)]


def is_sleeping(pid: str) -> bool:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return f"sleep\0{LONG}".encode() in file.read()
    except OSError:
        return False


def test_a_probe_that_leaves_somebody_behind_has_ended_all_the_same(run):
    one = run("sleep 1000 & echo done")
    assert becomes(one, "healthy")["Log"][0]["Output"] == "done\n"


def test_a_probe_that_cannot_run_has_failed(suitcase, lives):
    said = suitcase(f"run -d --network none --name box {OFTEN} --health-retries 1 --health-cmd x {BUSYBOX} sleep 1000")
    one = kept.load(kept.place(said.out.strip()))
    becomes(one, "unhealthy")
    assert health(one)["Log"][0]["ExitCode"] == 127, "the shell says so"
    suitcase("rm -f box")
    facts = lives.facts("sleep 1000")
    facts["config"]["healthcheck"] = {"Test": ["CMD", "nosuch"], "Interval": 20 * 10**6, "Retries": 1}
    one = made(lives, facts)
    found = becomes(one, "unhealthy")["Log"][0]
    assert found["ExitCode"] == -1 and "nosuch" in found["Output"]


def made(lives, facts: dict) -> dict:
    from lib.engine import lifecycle

    return lives.start(lifecycle.create(lives.library, facts, "box"))


# -- while it changes -------------------------------------------------------------------------------------------------


def test_nobody_asks_one_that_is_paused(suitcase, run):
    one = run("true")
    becomes(one, "healthy")
    suitcase("pause box")
    assert suitcase("ps --format {{.Status}}").out.endswith(" (Paused)\n")
    before = health(one)
    lives_on = run("true", name="other")
    wait_for(lambda: len(health(lives_on)["Log"]) == 5)
    assert health(one) == before
    suitcase("unpause box")
    wait_for(lambda: health(one) != before)
    assert health(one)["Status"] == "healthy"


def test_paused_in_the_middle_of_a_probe(suitcase, run):
    """It counts for nothing, and does not stay."""
    one = run("touch /begun; sleep 7655", "--health-retries 1 --health-timeout 10m")
    begun = f"/proc/{state(one)['pid']}/root/begun"
    wait_for(lambda: os.path.exists(begun))
    suitcase("pause box")
    suitcase("unpause box")
    os.unlink(begun)
    wait_for(lambda: os.path.exists(begun))
    assert health(one)["Log"] == [] and health(one)["Status"] == "starting"


def test_it_ends_in_the_middle_of_a_probe(suitcase, run):
    look = Look()
    one = run("touch /begun; sleep 1000", "--health-timeout 10m")
    begun = f"/proc/{state(one)['pid']}/root/begun"
    wait_for(lambda: os.path.exists(begun))
    assert suitcase("stop -t 0 box").code == 0 and state(one)["exit_code"] == 137
    found = json.loads(suitcase("inspect box").out)[0]["State"]["Health"]
    assert found == {"Status": "unhealthy", "FailingStreak": 0, "Log": []}, "as in Docker, of one that has ended"
    assert suitcase("rm box").code == 0 and not look.leaks()


def test_a_new_start_begins_anew(suitcase, run):
    one = run("false", "--health-retries 1")
    becomes(one, "unhealthy")
    suitcase("stop -t 0 box")
    assert suitcase("inspect -f {{.State.Health.Status}} box").out == "unhealthy\n"
    with kept.locked(kept.place(one)) as facts:
        facts["config"]["healthcheck"]["Test"] = ["CMD", "true"]
        kept.save(facts)
    suitcase("start box")
    becomes(one, "healthy")


def test_a_restart_policy_and_a_health_check(suitcase, run):
    one = run("true", "--restart always", "sh -c '[ -e /was ] || { touch /was; exit 1; }; sleep 1000'")
    wait_for(lambda: state(one)["status"] == "running" and state(one).get("tries"))
    becomes(one, "healthy")


@pytest.mark.parametrize("doomed", [("manager",), ("keeper",), ("keeper", "manager")], ids=" and ".join)
def test_whoever_is_killed_it_is_asked_on(run, doomed):
    """Nothing is forgotten of what was known, and an answer that nobody heard is no failure."""
    one = run("echo $$; test ! -e /ill", "--health-retries 3")
    becomes(one, "healthy")
    shoot(*doomed)
    if len(doomed) > 1:
        from lib.engine.daemons import calling

        calling.Manager.look(kept.place(one))
    log = health(one)["Log"]
    wait_for(lambda: health(one)["Log"][-1]["Start"] > log[-1]["End"])
    assert health(one)["Status"] == "healthy" and all(each["ExitCode"] == 0 for each in health(one)["Log"])
    touched(one, "ill")
    becomes(one, "unhealthy")


def test_however_often_somebody_looks_the_manager_keeps_one_moment(run):
    one = run("true", "--health-interval 1h")
    checks = checking.Checks(select.epoll(), lambda: None)
    for _ in range(100):
        checks.look(one)
    assert len(checks.next) == 1 and 3000 < checks.patience() <= 3600
    paused = {**one, "state": {**one["state"], "status": "paused"}}
    for _ in range(3):
        checks.look(paused)
        assert checks.patience() is None
        checks.look(one)
        assert 3000 < checks.patience() <= 3600


def test_a_full_memory_does_not_end_the_asking(run, monkeypatch):
    one = run("true")
    becomes(one, "healthy")
    place = run_folder(one["id"]) / known.NAME
    before = place.read_bytes()
    (place.parent / f".{known.NAME}").mkdir()  # in the way of the draft
    wait_for(lambda: pid_of("manager"))
    assert place.read_bytes()
    (place.parent / f".{known.NAME}").rmdir()
    wait_for(lambda: place.read_bytes() != before)


# -- what is asked ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--no-healthcheck --health-cmd x", "--no-healthcheck conflicts with --health-* options"),
        ("--health-interval -1s", "--health-interval cannot be negative"),
        ("--health-timeout -1s", "--health-timeout cannot be negative"),
        ("--health-retries -1", "--health-retries cannot be negative"),
        ("--health-start-period -1s", "--health-start-period cannot be negative"),
        ("--health-start-interval -1s", "--health-start-interval cannot be negative"),
        ("--health-interval x", 'invalid argument "x" for "--health-interval" flag: time: invalid duration "x"'),
        ("--health-cmd x --health-interval 1us", "Interval in Healthcheck cannot be less than 1ms"),
    ],
)
def test_words_that_cannot_be_meant(suitcase, lives, flags, words):
    said = suitcase(f"create {flags} {BUSYBOX} true")
    assert said.code != 0 and said.err.startswith(f"suitcase: {words}") and not kept.every()


SECOND = 10**9
IMAGE = {"Healthcheck": {"Test": ["CMD", "curl", "x"], "Interval": 5 * SECOND, "Retries": 2}, "Shell": ["/bin/bash", "-c"]}


@pytest.mark.parametrize(
    ("image", "wished", "argv", "wanted"),
    [
        ({}, {}, None, None),
        (IMAGE, {}, ["curl", "x"], Times(interval=5, retries=2)),
        (IMAGE, {"Test": ["NONE"]}, None, Times(interval=5, retries=2)),
        (IMAGE, {"Test": ["CMD-SHELL", "true"], "Retries": 7}, ["/bin/bash", "-c", "true"], Times(interval=5, retries=7)),
        (IMAGE, {"Interval": SECOND // 2, "Timeout": 0}, ["curl", "x"], Times(interval=0.5, retries=2)),
        ({}, {"Test": ["CMD-SHELL", "true"]}, ["/bin/sh", "-c", "true"], Times()),
        ({}, {"StartPeriod": SECOND, "StartInterval": 2 * SECOND}, None, Times(start_period=1, start_interval=2)),
        ({"Healthcheck": {"Test": ["NOSUCH", "x"]}}, {}, None, Times()),
        ({"Healthcheck": {"Test": ["CMD"]}}, {}, None, Times()),
    ],
)
def test_the_image_and_the_caller(image, wished, argv, wanted):
    found = {"config": {"healthcheck": laid_over(image, wished), "shell": image.get("Shell")}}
    assert command(found) == argv
    if wanted:
        assert times(found) == wanted


@pytest.mark.parametrize(
    "check", [7, {"Test": "true"}, {"Test": [7]}, {"Interval": "1s"}, {"Retries": -1}, {"Timeout": 1 << 70}, {"Interval": 1}]
)
def test_an_images_check_that_is_none(check):
    with pytest.raises(ValueError, match=r"no health check|no list of words|which makes no sense|cannot be less than 1ms"):
        laid_over({"Healthcheck": check}, {})


def test_that_of_an_image(suitcase, lives, tmp_path):
    (tmp_path / "Dockerfile").write_text(f"FROM {BUSYBOX}\nHEALTHCHECK --interval=20ms --retries=1 CMD echo asked; exit 1\n")
    assert suitcase(f"build -q -t checked:1 {tmp_path}").code == 0
    one = kept.load(kept.place(suitcase("run -d --network none --name box checked:1 sleep 1000").out.strip()))
    assert becomes(one, "unhealthy")["Log"][0]["Output"] == "asked\n"
    told = json.loads(suitcase("inspect box").out)[0]["Config"]["Healthcheck"]
    assert told == {"Test": ["CMD-SHELL", "echo asked; exit 1"], "Interval": 20 * 10**6, "Retries": 1}
    suitcase("run -d --network none --name none --no-healthcheck checked:1 sleep 1000")
    assert "Health" not in json.loads(suitcase("inspect none").out)[0]["State"]
    suitcase("rm -f box none")
    assert suitcase("rmi checked:1").code == 0
