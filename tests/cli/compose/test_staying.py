"""``up`` and ``logs -f`` in the foreground, as programs of their own: Ctrl-C stops all, a second one kills; who comes later is heard of."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.hosts import BUSYBOX
from helpers.needs import requires
from helpers.waiting import wait_for

from lib import state

pytestmark = [requires("root", "overlay", "busybox", "nft", "ip"), pytest.mark.timeout(120)]

FILE = f"""
services:
  gentle:
    image: {BUSYBOX}
    command: sh -c 'trap "echo bye; exit 7" TERM; echo here; while :; do sleep 0.02; done'
  stubborn:
    image: {BUSYBOX}
    command: sh -c 'trap "" TERM; echo here; while :; do sleep 0.02; done'
    stop_grace_period: 1h
    profiles: [stubborn]
"""


class Program:
    """``suitcase compose`` with what it has printed."""

    def __init__(self, stack, *words: str):
        env = os.environ | {"PYTHONPATH": str(Path(state.__file__).parents[2])}
        self.log = stack.file.parent / f"log-{os.urandom(4).hex()}"
        with open(self.log, "w") as log:
            line = [sys.executable, "-P", "-m", "lib.cli", "compose", "-f", str(stack.file), *words]
            self.child = stack.host.place(subprocess.Popen, line, env=env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)

    @property
    def told(self) -> str:
        return self.log.read_text()

    def see(self, words: str) -> None:
        wait_for(lambda: words in self.told)

    def interrupt(self) -> None:
        self.child.send_signal(signal.SIGINT)

    def ends(self) -> int:
        return self.child.wait(30)


@pytest.fixture
def start(compose) -> Iterator:
    compose.write(FILE)
    programs = []

    def begin(*words: str) -> Program:
        programs.append(Program(compose, *words))
        return programs[-1]

    yield begin
    for one in programs:
        one.child.kill()
        one.child.wait()
    compose.host("rm -f demo-stubborn-1 demo-gentle-1", None)


def states(compose) -> list[str]:
    return compose("ps -a --format {{.Name}}:{{.State}}:{{.ExitCode}}").out.split()


def test_ctrl_c_stops_all_and_waits_for_them(start, compose):
    one = start("up")
    one.see("gentle-1  | here")
    one.interrupt()
    assert one.ends() == 130
    assert "Gracefully Stopping... press Ctrl+C again to force" in one.told
    assert (
        one.told.index("gentle-1  | bye") < one.told.index("gentle-1 exited with code 7") and "Container demo-gentle-1 Stopped" in one.told
    )
    assert states(compose) == ["demo-gentle-1:exited:7"]


def test_a_second_ctrl_c_kills_them(start, compose):
    one = start("up", "stubborn")
    one.see("| here")
    one.interrupt()
    one.see("press Ctrl+C again to force")
    one.interrupt()
    assert one.ends() == 130
    assert states(compose) == ["demo-stubborn-1:exited:137"]


def test_sigterm_is_as_ctrl_c(start, compose):
    one = start("up")
    one.see("| here")
    one.child.terminate()
    assert one.ends() == 130 and states(compose) == ["demo-gentle-1:exited:7"]


def test_who_is_started_meanwhile_is_heard_of(start, compose):
    """As long as somebody is there: when the last one has ended, so has this."""
    compose.write(f"{FILE}  other: {{image: {BUSYBOX}, command: sleep 1000, stop_grace_period: 0s}}\n")
    one = start("up")
    one.see("gentle-1  | here")
    compose("up -d --scale gentle=2 gentle")
    one.see("gentle-2  | here")
    compose("restart -t 0 gentle")
    wait_for(lambda: one.told.count("gentle-1  | here") == 2)
    wait_for(lambda: one.told.count("gentle-2  | here") == 2)
    compose("stop")
    assert one.ends() == 0 and one.told.count("exited with code") == 5


def test_logs_are_followed_until_the_last_one_has_ended(start, compose):
    compose("up -d --scale gentle=2")
    one = start("logs", "-f")
    one.see("gentle-2  | here")
    compose("stop gentle")
    assert one.ends() == 0
    assert sorted(one.told.splitlines()) == sorted(f"gentle-{number}  | {word}" for number in (1, 2) for word in ("here", "bye"))


def test_ctrl_c_while_logs_are_followed_stops_nobody(start, compose):
    compose("up -d")
    one = start("logs", "-f", "-n", "1")
    one.see("| here")
    one.interrupt()
    assert one.ends() == 130 and states(compose) == ["demo-gentle-1:running:0"]


def test_interrupted_while_it_comes_up_it_leaves_nothing_half_made(start, compose):
    compose.write(FILE.replace("image:", 'healthcheck: {test: "false", interval: 1h}\n    image:', 1))
    one = start("up", "--wait", "gentle")
    one.see("demo-gentle-1 Waiting")
    one.interrupt()
    assert one.ends() == 130 and "Traceback" not in one.told
    assert states(compose) == ["demo-gentle-1:running:0"]


SLOW = f"""
services:
  db:
    image: {BUSYBOX}
    command: sh -c 'echo from db; while [ ! -e /go ]; do sleep 0.02; done; touch /ok; exec sleep 1000'
    healthcheck: {{test: test -e /ok, interval: 100ms, retries: 1000}}
    stop_grace_period: 0s
  web: {{image: {BUSYBOX}, command: echo from web, depends_on: {{db: {{condition: service_healthy}}}}}}
"""


def test_what_is_printed_while_others_wait_is_seen_then(start, compose):
    compose.write(SLOW)
    one = start("up")
    one.see("db-1   | from db")
    one.see("demo-db-1 Waiting")
    assert states(compose) == ["demo-db-1:running:0", "demo-web-1:created:0"]
    compose("exec -T db touch /go")
    one.see("web-1 exited with code 0")
    assert one.told.index("demo-db-1 Healthy") < one.told.index("web-1  | from web") and "Attaching to db-1, web-1\n" in one.told
    one.interrupt()
    assert one.ends() == 130 and states(compose) == ["demo-db-1:exited:137", "demo-web-1:exited:0"]


def test_ctrl_c_while_it_comes_up_starts_nobody_more(start, compose):
    compose.write(SLOW)
    one = start("up")
    one.see("demo-db-1 Waiting")
    one.interrupt()
    assert one.ends() == 130 and "Gracefully Stopping" in one.told and "Traceback" not in one.told and " Error " not in one.told
    assert states(compose) == ["demo-db-1:exited:137", "demo-web-1:created:0"]


def test_what_cannot_come_up_is_told_and_the_rest_runs_on(start, compose):
    compose.write(SLOW.replace("test -e /ok, interval: 100ms, retries: 1000", '"false", interval: 100ms, retries: 1'))
    one = start("up")
    assert one.ends() == 1
    assert "from db" in one.told and "suitcase: dependency failed to start: container demo-db-1 is unhealthy" in one.told
    assert states(compose) == ["demo-db-1:running:0", "demo-web-1:created:0"]


def test_it_may_take_so_long_and_no_longer(start, compose):
    compose.write(SLOW)
    one = start("up", "--wait-timeout", "1")
    assert one.ends() == 1 and "suitcase: application not healthy after 1s" in one.told


def test_of_one_that_is_made_anew_only_the_new_one_is_heard(start, compose):
    compose("up -d")
    one = start("up", "--force-recreate")
    one.see("gentle-1  | here")
    assert "bye" not in one.told and "exited" not in one.told and "demo-gentle-1 Recreated" in one.told
    one.interrupt()
    assert one.ends() == 130
