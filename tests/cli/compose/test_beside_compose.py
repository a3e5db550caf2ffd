"""Beside the real Docker Compose on a Docker daemon: the same file, the same lines, and what both say and do."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from helpers.commands import at_once, given_to
from helpers.hosts import BUSYBOX, Host
from helpers.needs import COMPOSE, requires
from helpers.waiting import wait_for

from lib.engine import volumes
from lib.lab import peers

pytestmark = [requires("root", "overlay", "busybox", "nft", "ip", "docker", "compose"), pytest.mark.timeout(180)]

FILE = f"""
services:
  db:
    image: {BUSYBOX}
    command: sh -c 'trap "echo bye; exit 0" TERM; touch /ok; echo ready; while :; do sleep 0.05; done'
    healthcheck: {{test: test -e /ok, interval: 1s}}
    volumes: ["data:/data"]
  web:
    image: {BUSYBOX}
    command: sh -c 'echo hello; trap "exit 3" TERM; while :; do sleep 0.05; done'
    depends_on: {{db: {{condition: service_healthy}}}}
    ports: ["127.0.0.1:18080:80"]
    environment: {{A: b}}
  once:
    image: {BUSYBOX}
    command: sh -c 'echo one; exit 4'
  late: {{profiles: [late], image: {BUSYBOX}, command: sh -c 'echo late; sleep 3; exit 5'}}
  tool:
    profiles: [x]
    image: {BUSYBOX}
    command: echo tool
  ill:
    profiles: [fails]
    image: {BUSYBOX}
    command: sleep 1000
    healthcheck: {{test: "false", interval: 1s, retries: 1}}
  waits:
    profiles: [fails]
    image: {BUSYBOX}
    depends_on: {{ill: {{condition: service_healthy}}}}
  ends: {{profiles: [fails], image: {BUSYBOX}, command: sh -c 'exit 3'}}
  follows:
    profiles: [fails]
    image: {BUSYBOX}
    depends_on: {{ends: {{condition: service_completed_successfully}}}}
  anyway:
    profiles: [fails]
    image: {BUSYBOX}
    depends_on: {{ill: {{condition: service_healthy, required: false}}}}
  nothere: {{profiles: [fails], image: {BUSYBOX}, command: nothere}}
volumes: {{data: {{}}}}
"""

# One after the other, in the same way in both hands; a ``#`` names what is tried.
PLAY = """
# nothing is there yet
ps
images nosuch
stats nosuch --no-stream
top nosuch
ls -q
down
up --nosuch
up -d nosuch
up --no-recreate --force-recreate
up -d --abort-on-container-exit
up --exit-code-from nosuch
up -d --scale nosuch=1
exec web true
port web 80
logs nosuch
config --services
config --volumes
config --images
config --profiles
config --networks
config --format json
# it comes up, and stays as it is
up -d
ENDED
up -d web
HELLO
ps --format '{{.Name}} {{.Image}} {{.Service}} {{.State}} {{.Health}} {{.Ports}} {{.Project}} {{.Names}} {{.Networks}} {{.ExitCode}}'
ps -a --format '{{.Name}} {{.Service}} {{.State}} {{.ExitCode}}'
ps --services
ps --services --status exited
ps --filter status=exited --format {{.Name}}
ps --filter nope=1
ps nosuch
ls --format json
ls -aq
ls --filter nope=1
images --format nonsense
port web 80
port web
port web 81
port --index 2 web 80
logs --no-log-prefix db
logs -n 1 web
logs once
logs --index 1 web
volumes
volumes -q
# within
exec -T web sh -c 'echo $A; exit 7'
exec -T web sh -c 'env | sort | grep -v HOSTNAME'
exec -T once true
exec -T nosuch true
exec -T --index 3 web true
exec -T -u nobody -w /tmp -e X=y web sh -c 'id -un; pwd; echo $X'
exec -T db sh -c 'mount | grep -c " /data "'
exec -T web sh -c 'nslookup db | grep -c Address:'
exec -T web sh -c 'ping -c1 -W5 demo-db-1 > /dev/null && echo reached'
run --rm -T --no-deps web sh -c 'echo from run; exit 5'
run --rm -T -e A=c -e B web sh -c 'echo $A; env | grep -c ^B='
run --rm -T --entrypoint 'echo with words' once
run --rm -T once
run --rm -T tool
run nosuch
run -d --name apart db
ps -a --format '{{.Name}} {{.Service}} {{.State}}'
attach once
cp nosuch:/x .
cp a b
cp --index 3 FILE db:/x
# made anew, and started again
up -d --force-recreate --no-deps web
up -d --force-recreate
up -d --wait db
restart
restart -t 0 web
ENDED
up -d
ENDED
start
ENDED
# stop, start, and so on
pause web
pause web
ps --format '{{.Name}} {{.State}}'
unpause web
unpause web
stop web
stop nosuch
start web
restart nosuch
kill -s NONSENSE once
kill once
kill web
KILLED
ps -a --format '{{.Name}} {{.State}} {{.ExitCode}}' web
rm -f web
rm -f web
wait nosuch
scale nope=2
scale once
scale db=2
ps --format {{.Name}}
up -d --scale db=1
wait once
--profile late up --exit-code-from late late db web
--profile late rm -f late
ps --format {{.Name}}
up -d --wait db
# and goes
down --rmi nonsense
up -d tool
down -v
ps -a --format {{.Name}}
down
down --remove-orphans
ps -a --format {{.Name}}
--profile x down -v
ps -a --format {{.Name}}
up -d db
down -t 0
up -d db
down -t 0 -v --rmi local
# what cannot be
up -d waits
up -d follows
start waits
run waits true
up -d anyway
run --rm nothere
run --rm -T once /etc/passwd
run --rm -T once sh -c 'exit 126'
--profile fails down -t 0
"""
# In both, lower case: what is left out or made the same, and why.
WORDS = (
    ("[0-9a-f]{64}", "ID", "each container has its own"),
    (r"\n?\n\x1b\[k", "\n", "theirs clears a line that was never there"),
    (r"/\S*/(mine|theirs)/demo", "/FOLDER", "each has a folder of its own"),
    (": (parsing failed|there is .*)", "", "ours says what there is"),
    (r" \(suitcase logs .*\)", "", "ours says where to look"),
    (r"failed to create shim task: .* exec: \"(.*?)\": .*", r"cannot run '\1'", "each says it in its own words"),
    (r"(cannot run '.*?'): .*", r"\1", "each says it in its own words"),
    ("suitcase: |error response from daemon: ", "", "who says it"),
)


class Theirs:
    """``docker compose``, in a network of its own, with a Docker of its own."""

    def __init__(self, place, socket: str, folder):
        self.place, self.folder = place, folder
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("COMPOSE_")} | {"DOCKER_HOST": socket}

    def __call__(self, line: str):
        command = f"{COMPOSE} -f {self.folder}/compose.yaml {line} < /dev/null"
        done = self.place(subprocess.run, ["sh", "-c", command], capture_output=True, text=True, timeout=60, env=self.env, cwd=self.folder)
        return type("Said", (), {"code": done.returncode, "out": done.stdout, "err": done.stderr})


class Mine:
    """``suitcase compose``."""

    def __init__(self, host: Host, folder):
        self.host, self.folder = host, folder

    def __call__(self, line: str):
        return self.host(f"compose -f {self.folder}/compose.yaml {line}", None)


@pytest.fixture
def both(host, tmp_path, monkeypatch) -> Iterator[tuple[Mine, Theirs]]:
    for name in ("mine", "theirs"):
        (tmp_path / name / "demo").mkdir(parents=True)
        (tmp_path / name / "demo/compose.yaml").write_text(FILE)
    place = host.arena.place("theirs")
    place.ip("link set lo up")
    with ExitStack() as undo:
        try:
            with place:
                docker = undo.enter_context(peers.dockerd(network=True))
        except peers.Missing as reason:
            pytest.skip(f"no docker to compare with: {reason}")
        given_to(docker, host.suitcase, tmp_path, BUSYBOX)
        mine, theirs = Mine(host, tmp_path / "mine/demo"), Theirs(place, docker.socket, tmp_path / "theirs/demo")
        yield mine, theirs
        for hand in (mine, theirs):
            hand("down -t 0 -v --remove-orphans")
    volumes.prune(every=True)


def lines(hand, line: str) -> tuple[int, list[str], str, set[str]]:
    """Exit code, what was printed, the first words of what is wrong, and what has become of what."""
    found = hand(line.replace("FILE", f"{hand.folder}/compose.yaml"))
    out = normal(found.out)
    wrong = [one for one in normal(found.err).splitlines() if one.strip() and not PROGRESS.match(one)] if found.code else []
    return (
        found.code,
        sorted(out.splitlines()) if UNORDERED & set(line.split()) else out.splitlines(),
        wrong[0] if wrong else "",
        told(found.err),
    )


NEEDLESS = ("(once|late)-1 (Stopping|Stopped)$",)  # of one that has ended long ago


def told(err: str) -> set[str]:
    """Both do as much as they can at a time, so the order is nobody's business but that of who depends on whom."""
    found = {re.sub("-run-[0-9a-f]{12}", "-run-ID", one.strip()) for one in err.splitlines() if SAID.match(one)}
    return {one for one in found if not re.search("|".join(NEEDLESS), one)}


SAID = re.compile(" (Container|Network|Volume) ")
PROGRESS = re.compile(r"^ (container|network|volume|image|compose) |^\S+ +\| ")
UNORDERED = {"config", "images", "up", "logs"}  # theirs come as they come


def normal(text: str) -> str:
    text = text.lower().replace("\r\n", "\n")
    for pattern, instead, _ in WORDS:
        text = re.sub(pattern, instead, text)
    return text


# Lines whose answers differ, and why they may.
OTHERWISE = {
    "config --images": "theirs tells an image as often as there are services that have it",
}


# Lines that wait for a state, not played: when the one that ends has ended; when the other one is dead, or has said what is wanted later.
WAITS = {
    "ENDED": lambda hand: "exited" in hand("ps -a --format {{.State}} once").out,
    "KILLED": lambda hand: "exited" in hand("ps -a --format {{.State}} web").out,
    "HELLO": lambda hand: "hello" in hand("logs web").out,
}


def answer(hand, line: str) -> tuple | None:
    """None to a line that only waits."""
    if question := WAITS.get(line):
        wait_for(lambda: question(hand))
        return None
    return lines(hand, line)


def test_each_verb_says_and_does_the_same(both):
    play = [line for line in PLAY.splitlines() if line and not line.startswith("#")]
    answers = at_once(*(lambda hand=hand: [answer(hand, line) for line in play] for hand in both))
    differ = [told for told in zip(play, *answers, strict=True) if told[1] != told[2]]
    assert {line for line, *_ in differ} == OTHERWISE.keys(), "\n".join(map(str, differ))
