"""``up`` interrupted at any moment, and several commands for one project at a time: the next one goes on, and ``down`` leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.lives import BUSYBOX
from helpers.needs import requires
from helpers.waiting import wait_for

from lib import state
from lib.engine import volumes

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
ALL = [f"demo-{name} running" for name in ("api-1", "api-2", "db-1", "web-1")]


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


def goes_on(compose) -> None:
    compose("up -d --wait")
    assert sorted(compose("ps -a --format '{{.Name}} {{.State}}'").out.splitlines()) == ALL
    compose("down -v")
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


@pytest.mark.parametrize("other", ["up -d", "down -v"])
def test_two_commands_at_a_time_get_in_each_others_way_and_no_more(compose, other):
    compose.write(FILE)
    with Program(compose, "up -d") as one:
        one.sees("Container demo-db-1 Created")
        with Program(compose, other) as two:
            assert one.child.wait(30) in (0, 1) and two.child.wait(30) in (0, 1), one.log.read_text() + two.log.read_text()
    goes_on(compose)
