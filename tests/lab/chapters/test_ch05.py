"""Chapter 5's engine: apart from the machine's, watched, shot at; and what a killed kernel leaves of it goes with the next one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.facts import facts, living
from helpers.needs import requires
from helpers.waiting import wait_for

from lib import state
from lib.engine.daemons import calling
from lib.lab.chapters.ch05 import byhand, daemons, growing, projects, tasks, watching, world
from lib.lab.chapters.exercises import NotYet
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


def test_people_are_told_what_programs_are_spared(begun):
    line = "run -d --network none db"
    assert world.at_a_terminal(line).startswith("NOTE: the image keeps /data in a volume")
    assert world.at_a_terminal(line.replace("db", "-v orders:/data db")) == "" == world.at_a_terminal("ps")


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
    wait_for(lambda: "manager" in daemons.plumbing("shop")["who else has it open"])
    assert daemons.plumbing("shop")["the shop's descriptor 1"] == "a named pipe, stdout"


def test_health_is_watched_from_its_start_on(begun):
    asked = "--health-cmd 'test -e /tmp/open' --health-interval 100ms --health-start-period 5s --health-start-interval 100ms"
    world.up(f"--name db -e OPENS=2 {asked} db")
    found = watching.watch_health("db", until="healthy", longer=0.3)
    assert [status for _, status in found.statuses] == ["starting", "healthy"]
    assert found.period == 5 and found.count("forgiven") and not found.count("failed")
    world.heard("exec db rm /tmp/open")
    later = watching.watch_health("db", until="unhealthy")
    assert later.since("unhealthy") > later.since("healthy") and later.count("failed") >= 3, "forgiven no more, once it was healthy"
    assert later.answers[-1][0] == 1 and later.since("nosuch") is None


def test_what_a_busy_machine_let_nobody_see_is_no_time_that_was_waited(monkeypatch):
    """Nor is it held against the reader that nobody noticed meanwhile."""
    now, turns = [0.0], iter([0.05, 4.0, 0.05])
    monkeypatch.setattr(watching, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=lambda _: now.append(now.pop() + next(turns))))
    monkeypatch.setattr(watching.finding, "current", lambda name: facts(state=living("2026-11-29T04:00:00Z"), config={"healthcheck": {}}))
    monkeypatch.setattr(watching, "happenings", lambda ident: [])
    monkeypatch.setattr(watching.known, "of", lambda facts: {"Status": "starting", "Log": []})
    found = watching.watch_health("db", until="healthy", seconds=0.09 + watching.LONGEST)
    assert next(turns, None) is None and found.stood == pytest.approx(4 - watching.LONGEST)
    found.statuses.append((2 + 5, "healthy"))
    tasks.judge_start(found, 2)
    found.stood = 0
    with pytest.raises(NotYet, match=r"called healthy only after 7\.0 s"):
        tasks.judge_start(found, 2)


def test_a_verdict_that_is_told_a_moment_later_is_waited_for(monkeypatch):
    told = iter([[], [], [{"Action": "health_status: healthy", "timeNano": 3e9}]])
    monkeypatch.setattr(watching.finding, "current", lambda name: facts(state=living("1970-01-01T00:00:00Z"), config={"healthcheck": {}}))
    monkeypatch.setattr(watching, "happenings", lambda ident: next(told))
    monkeypatch.setattr(watching.known, "of", lambda facts: {"Status": "healthy", "Log": []})
    assert watching.watch_health("db", until="healthy").since("healthy") == 3


def test_lives_are_told_from_the_first_start(begun):
    world.up("--name shop --restart on-failure:2 box false")
    found = watching.lives("shop", ends=3)
    assert len(found) == 3 and found[0][0] == 0
    assert all(begin <= end for begin, end in found) and all(found[n][1] + 0.1 * 2**n <= found[n + 1][0] for n in range(2))


@pytest.mark.parametrize(("policy", "end", "then"), [("always", "done", "started again"), ("on-failure", "done", "stays down")])
def test_what_becomes_of_it_depends_on_the_policy(begun, policy, end, then):
    assert world.comes_back(policy, end) == then
    assert world.comes_back(policy, "stopped") == "stays down"


# -- the second part: projects ------------------------------------------------------------------------------------------

composed = requires("nft", "ip")
RACE = """
services:
  db:
    image: box
    command: sleep 100
    healthcheck: {test: test -e /tmp/open, interval: 100ms, retries: 1000}
  shop:
    image: box
    command: sh -c 'exit 3'
    depends_on: [db]
"""


def test_a_project_is_a_folder_whose_old_files_are_gone(begun):
    place = projects.project("one", "services: {a: {image: box}}", **{".env": "X=1"})
    assert (place / "compose.yaml").read_text().startswith("services") and (place / ".env").exists()
    place = projects.project("one", "services: {b: {image: box}}")
    assert list(projects.read(place).project.services) == ["b"] and not (place / ".env").exists()
    projects.edit(place, "b:", "c:")
    assert list(projects.read(place).project.services) == ["c"]
    with pytest.raises(ValueError, match="has no 'nosuch'"):
        projects.edit(place, "nosuch", "")


def test_a_complaint_is_told_without_the_folder_and_a_copy_is_another_project(begun):
    place = projects.project("one", "services: {a: {imgae: box}}", **{".env": "X=1"})
    assert projects.complaint(place, "config").startswith("compose.yaml:1:")
    projects.edit(place, "imgae", "image")
    assert projects.complaint(place, "config") == ""
    for _ in range(2):
        other = projects.copied(place, "two")
    assert projects.read(other).project.name == "two" and (other / ".env").exists() and place.exists()


def test_each_value_has_its_line_and_its_variable(begun):
    place = projects.project("one", "services:\n  a:\n    image: box\n    environment: {X: $X}\n", **{".env": "X=1"})
    assert projects.origins(place, "a") == [
        ("image", "box", "compose.yaml:3"),
        ("environment.X", "1", "compose.yaml:4 (X from .env:1)"),
    ]
    assert projects.origins(place, "a", X="2")[1][1] == "2", "the shell's wins"


@composed
def test_a_project_is_told_by_its_services_and_their_moments(begun):
    place = projects.project("race", RACE)
    assert growing.waits(place) == {"db": {}, "shop": {"db": "started"}}
    projects.told(place, "up -d")
    wait_for(lambda: growing.states(place)["shop"] == "exited (3)")
    assert growing.states(place)["db"] == "starting"
    world.heard("exec race-db-1 touch /tmp/open")
    wait_for(lambda: growing.states(place)["db"] == "healthy")
    wait_for(lambda: [what for _, what in growing.lives(place, 0.0)["shop"]] == ["created", "started", "failed"])
    wait_for(lambda: [what for _, what in growing.lives(place, 0.0)["db"]] == ["created", "starting", "healthy"])
    projects.edit(place, "exit 3", "exit 0")
    projects.told(place, "up -d")
    wait_for(lambda: growing.states(place)["shop"] == "exited (0)")
    wait_for(lambda: [what for _, what in growing.lives(place, 0.0)["shop"]] == ["created", "started", "done"])


@composed
def test_whoever_is_watching_sees_it_come_up(begun, monkeypatch):
    drawn = []
    monkeypatch.setattr(growing, "display", drawn.append)
    place = projects.project("race", RACE)
    growing.up_live(place)
    [panel] = drawn
    assert repr(panel) == "The services as they start: db, shop. It moves in JupyterLab."
    assert "not there" in panel._repr_mimebundle_()["image/svg+xml"], "where it can't move, it is drawn as it was before"
    assert "race" not in panel.children[0].value and "<svg" in panel.children[0].value
    assert not [one for one in threading.enumerate() if one.name == growing.PAINTER]


@composed
def test_a_shell_s_variable_is_there_for_one_command_only(begun):
    place = projects.project("one", "services: {a: {image: box, command: echo $WORD}}")
    assert projects.told(place, "run -T --rm a", WORD="hello") == "hello" and "WORD" not in os.environ


@composed
@requires("mmdebstrap")
def test_the_shop_takes_orders_and_keeps_them(begun):
    here = projects.shop()
    projects.told(here, "up -d")
    assert set(growing.states(here).values()) == {"healthy", "running"}
    assert projects.page().endswith(": 0 orders") and projects.page("/teapot", method="POST") == "thank you"
    wait_for(lambda: projects.page().endswith(": 1 order"))
    assert projects.volume_at("/data", here) == "shop_orders"


def test_by_hand_each_service_is_a_line_and_each_key_a_flag():
    lines = byhand.lines(projects.SHOP)
    assert lines[:2] == ["docker network create shop_default", "docker volume create shop_orders"]
    names = [line.split("--name ")[1].split()[0] for line in lines[2:]]
    assert names[-1] == "shop-web-1" and len(names) == 5 and max(map(len, "\n".join(lines).splitlines())) <= byhand.WIDE + 3
    keys = {key: words for key, words, _ in byhand.keys(projects.SHOP)}
    assert keys.keys() == byhand.DONE_BY.keys() and keys["ports"] == "--publish 8080:80/tcp"
    assert all((Path(byhand.__file__).parents[3] / module).exists() for module in byhand.DONE_BY.values())
