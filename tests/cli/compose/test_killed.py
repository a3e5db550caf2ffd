"""``up`` interrupted at any moment, and several commands for one project at a time: the next one goes on, and ``down`` leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from helpers.lives import BUSYBOX
from helpers.needs import requires
from helpers.waiting import wait_for

from lib import state
from lib.engine import volumes
from lib.engine.vitality import alive
from lib.state import kept

pytestmark = requires("root", "overlay", "busybox")
FILE = f"""
services:
  db: &box
    image: {BUSYBOX}
    stop_signal: SIGKILL
    command: sleep 1000
    volumes: ["data:/data"]
    healthcheck: {{test: "true", interval: 20ms}}
  api:
    <<: *box
    depends_on: {{db: {{condition: service_healthy}}}}
    scale: 2
  web:
    <<: *box
    depends_on: [api]
    ports: ["127.0.0.1:8080:80"]
    volumes: [/own]
volumes:
  data:
"""
ALL = [f"{name} running" for name in ("api", "api", "db", "web")]  # which numbers: that depends on who had been made


class Program:
    """``suitcase compose`` in a process of its own, with what it has printed."""

    def __init__(self, stack, line: str):
        self.log = stack.file.parent / f"log-{os.urandom(4).hex()}"
        command = [sys.executable, "-P", "-m", "lib.cli", "compose", "-f", str(stack.file), *line.split()]
        env = os.environ | {"PYTHONPATH": str(Path(state.__file__).parents[2])}
        with open(self.log, "w") as log:
            self.child = stack.host.place(subprocess.Popen, command, env=env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)

    def sees(self, words: str) -> None:
        wait_for(lambda: words in self.log.read_text() or self.child.poll() is not None)

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *error) -> None:
        self.child.kill()
        self.child.wait()


def goes_on(compose, expected: list[str] = ALL) -> None:
    with Program(compose, "up -d --wait") as one:  # a new one, as for anybody: it also clears up what a killed one has left
        assert one.child.wait(30) == 0, one.log.read_text()
    assert sorted(compose("ps -a --format '{{.Service}} {{.State}}'").out.splitlines()) == expected
    assert len(kept.every()) == len(expected), "and nothing besides"
    compose("down -v")
    state.gc()  # as the next one who starts something does, and these need not have
    there = [compose.host(line).out for line in ("ps -aq", "network ls -q --filter type=custom", "volume ls -q")]
    assert there == ["", "", ""] and volumes.every() == []


def test_the_next_up_goes_on_where_one_was_ended(compose):
    compose.write(FILE)
    moments = (
        "Network demo_default Creating",
        "Container demo-db-1 Created",
        "Container demo-db-1 Starting",
        "Container demo-api-2 Started",
    )
    for moment in moments:
        with Program(compose, "up -d") as one:
            one.sees(moment)
            one.child.send_signal(signal.SIGINT)
            one.child.wait(30)
        goes_on(compose)


def killed(compose, line: str, moment: str) -> None:
    with Program(compose, line) as one:
        one.sees(moment)
    assert moment in one.log.read_text()


@pytest.mark.parametrize(
    "moment",
    [
        "Network demo_default Creating",
        "Volume demo_data Created",
        "Container demo-db-1 Creating",
        "Container demo-web-1 Created",
        "Container demo-db-1 Starting",
        "Container demo-db-1 Healthy",
        "Container demo-api-2 Starting",
        "Container demo-web-1 Starting",
    ],
)
def test_the_next_up_goes_on_where_one_was_killed(compose, moment):
    compose.write(FILE)
    killed(compose, "up -d", moment)
    goes_on(compose)


@pytest.mark.parametrize(
    ("line", "moment"),
    [
        *(("up -d --force-recreate", f"Container demo-{what}") for what in ("web-1 Recreate", "db-1 Recreated", "api-1 Starting")),
        *(("down -v", what) for what in ("Container demo-web-1 Stopped", "Container demo-db-1 Removing", "Network demo_default Removing")),
    ],
)
def test_and_where_one_was_killed_after_it(compose, line, moment):
    compose.write(FILE)
    compose("up -d")
    killed(compose, line, moment)
    goes_on(compose)


HALF = """
import os, runpy, signal, sys
from lib.engine.daemons.calling import Manager
from lib.state import kept

def look(place, *words):
    os.kill(kept.load(place)["state"]["pid"], signal.SIGSTOP)
    os.kill(os.getpid(), signal.SIGKILL)

Manager.look = staticmethod(look)
runpy.run_module("lib.cli", run_name="__main__")
"""


def test_what_was_only_to_be_started_when_up_was_killed_does_not_run(compose):
    """Its process is there, and waits for a word that nobody will say any more. Here it stands still, so it cannot end by itself."""
    compose.write(f"services: {{one: {{image: {BUSYBOX}, command: sleep 1000, stop_signal: SIGKILL}}}}")
    assert ended_in(compose, HALF, "up -d") == -signal.SIGKILL
    (half,) = kept.every()
    assert half["state"]["status"] == "running"
    with Program(compose, "up -d") as one:
        wait_for(lambda: one.child.poll() is not None or waits_for(one.child.pid, "/begun"))
        os.kill(half["state"]["pid"], signal.SIGCONT)
        assert one.child.wait(30) == 0
    assert "Container demo-one-1 Started" in one.log.read_text()
    (now,) = kept.every()
    assert now["id"] == half["id"] and now["state"]["pid"] != half["state"]["pid"] and alive(now)


def test_the_container_of_a_hook_goes_if_nobody_waits_for_it_any_more(compose):
    text = f"services: {{one: {{image: {BUSYBOX}, command: sleep 1000, stop_signal: SIGKILL, pre_start: [{{command: HOOK}}]}}}}"
    compose.write(text.replace("HOOK", "sleep 1000"))
    with Program(compose, "up -d"):
        wait_for(lambda: [one for one in kept.every() if one["compose"]["oneoff"] and alive(one)])
    compose.write(text.replace("HOOK", "'true'"))
    goes_on(compose, ["one running"])


AT_A_NAME = """
import os, runpy, signal, sys
from lib.state import kept
kept.naming = lambda: os.kill(os.getpid(), signal.SIGKILL)
runpy.run_module("lib.cli", run_name="__main__")
"""


def test_a_volume_without_a_name_goes_with_the_container_that_came_to_nothing(compose):
    compose.write(f"services: {{one: {{image: {BUSYBOX}, command: sleep 1000, stop_signal: SIGKILL, volumes: [/own]}}}}")
    assert ended_in(compose, AT_A_NAME, "up -d") == -signal.SIGKILL
    assert len(volumes.every()) == 1 and kept.every() == []
    with Program(compose, "up -d") as one:
        assert one.child.wait(30) == 0
    (there,), (facts,) = volumes.every(), kept.every()
    assert [one["name"] for one in facts["mounts"]] == [there.name]


def ended_in(compose, program: str, line: str) -> int:
    """The exit code of the command, called by another program."""
    env = os.environ | {"PYTHONPATH": str(Path(state.__file__).parents[2])}
    words = [sys.executable, "-P", "-c", program, "compose", "-f", str(compose.file), *line.split()]
    return compose.host.place(subprocess.run, words, env=env, capture_output=True).returncode


def waits_for(pid: int, name: str) -> bool:
    """Has it a file open that is called so?"""
    with suppress(OSError):
        return any(os.readlink(one).endswith(name) for one in Path(f"/proc/{pid}/fd").iterdir())
    return False


@pytest.mark.parametrize("other", ["up -d", "down -v"])
def test_two_commands_at_a_time_get_in_each_others_way_and_no_more(compose, other):
    compose.write(FILE)
    with Program(compose, "up -d") as one:
        one.sees("Container demo-db-1 Created")
        with Program(compose, other) as two:
            assert one.child.wait(30) in (0, 1) and two.child.wait(30) in (0, 1), one.log.read_text() + two.log.read_text()
    goes_on(compose)


OTHERWISE = "networks: {default: {labels: {letter: b}}}\n"
RENAMED = "networks: {default: {name: shop}}\n"
WEB = FILE[: FILE.index("  db:")] + FILE[FILE.index("  db:") : FILE.index("  api:")].replace("db:", "web:")
WEB += FILE[FILE.index("volumes:\n  data") :]


@pytest.mark.parametrize(
    ("change", "moment", "number"),
    [
        (OTHERWISE, "Container demo-web-1 Stopped", signal.SIGINT),
        (OTHERWISE, "Network demo_default Removed", signal.SIGKILL),
        (OTHERWISE, "Container demo-web-1 Starting", signal.SIGKILL),
        (RENAMED, "Network shop Created", signal.SIGKILL),
        (RENAMED, "Container demo-web-1 Reconnected", signal.SIGINT),
        (RENAMED, "Network demo_default Removing", signal.SIGKILL),
    ],
)
def test_a_reconnection_that_was_broken_off_goes_on(compose, change, moment, number):
    compose.write(WEB)
    compose("up -d")
    compose.write(WEB + change)
    with Program(compose, "up -d") as one:
        one.sees(moment)
        one.child.send_signal(number)
        one.child.wait(30)
    assert moment in one.log.read_text()
    goes_on(compose, ["web running"])


def test_two_of_them_at_a_time_leave_it_on_the_new_network(compose):
    compose.write(WEB)
    compose("up -d")
    compose.write(WEB + OTHERWISE)
    with Program(compose, "up -d") as one, Program(compose, "up -d") as two:
        assert (one.child.wait(30), two.child.wait(30)) == (0, 0), one.log.read_text() + two.log.read_text()
    assert compose.host("network inspect -f '{{.Labels.letter}} {{len .Containers}}' demo_default").out == "b 1\n"
    goes_on(compose, ["web running"])
