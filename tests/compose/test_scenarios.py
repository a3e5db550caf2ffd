"""Scenarios of Compose, one a file: played by ours, and by the real Docker Compose, so that the expectations are checked, too.

A scenario has an ``intent``, the ``files`` of the folder ``demo``, and ``steps``. A step is a line to ``run``, or several at the same time:
``compose …``, ``docker …``. It may have variables ``given`` by the shell, files to ``write`` first, another ``folder``, words that it is
``interrupted_at``, an ``exit`` code other than 0; and it says what is ``then`` true (see ``helpers.scenarios.Then``).

``containers``, ``networks`` and ``volumes`` are all that there are. What a step does not mention is as it was: the same ones, untouched.

Where the real one differs, the step says so: ``theirs``, with a ``because``. When that is no longer so, the scenario fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import sides
from helpers.hosts import Host, host
from helpers.needs import requires
from helpers.scenarios import Play, Scenario

from lib.lab import peers

__all__ = ["host"]

pytestmark = requires("root", "overlay", "busybox", "nft", "ip")
SCENARIOS = [pytest.param(path, id=path.stem) for path in sorted((Path(__file__).parent / "scenarios").glob("*.yaml"))]


@pytest.fixture
def ours(host: Host) -> Iterator[sides.Ours]:
    side = sides.Ours(host)
    yield side
    side.clear()


@pytest.fixture(scope="module")
def daemon() -> Iterator[sides.Theirs]:
    try:
        with sides.theirs() as side:
            yield side
    except peers.Missing as reason:
        pytest.skip(f"no docker to compare with: {reason}")


@pytest.fixture
def theirs(daemon: sides.Theirs) -> Iterator[sides.Theirs]:
    yield daemon
    daemon.clear()


@pytest.mark.parametrize("path", SCENARIOS)
def test_ours(path: Path, ours, tmp_path):
    Play(Scenario.read(path), ours, tmp_path).whole()


@requires("docker", "compose")
@pytest.mark.parametrize("path", SCENARIOS)
def test_theirs(path: Path, theirs, tmp_path):
    Play(Scenario.read(path), theirs, tmp_path).whole()


# -- a scenario that is wrong itself --------------------------------------------------------------------------------------

GOOD = """
intent: One container, made anew.
files:
  compose.yaml: |
    services:
      web:
        image: localhost/busybox:static
        command: sleep 1000
        stop_signal: SIGKILL
        network_mode: none
        environment: {LETTER: "${LETTER:-a}"}
steps:
  - run: compose up -d
    then:
      containers: {demo-web-1: running}
      environ: {demo-web-1: {LETTER: a}}
  - run: compose up -d
    given: {LETTER: b}
    then:
      containers: {demo-web-1: "running, made anew"}
"""
BROKEN = [
    ("intent:", "intend:", "intend"),
    ("    given:", "    gives:", "gives"),
    ("      environ:", "      environment:", "environment"),
    ("        command:", "        comand:", "step 1, compose up -d: exit code 1, not 0"),
    ("environ: {demo-web-1:", "environ: {demo-web-2:", "there is no container demo-web-2"),
    ("LETTER: a}", "LETTER: c}", "LETTER in demo-web-1 is 'a', not 'c'"),
    ("environ: {demo-web-1: {LETTER: a}}", "started: [demo-web-2]", "there is no container demo-web-2"),
    ("environ:", "networks: [demo_default]\n      environ:", "networks: there are"),
    ("{demo-web-1: running}", "{demo-web-1: running, demo-web-2: running}", "containers: there are"),
    ('{demo-web-1: "running, made anew"}', "{demo-web-1: running}", "'running, made anew'}, and there were to be"),
    ("given: {LETTER: b}", "given: {LETTER: a}", "'running'}, and there were to be"),
    ("run: compose up -d\n    given", "run: docker exec demo-web-2 true\n    given", "step 2, docker exec demo-web-2 true: exit code 1"),
    ("    given:", "    interrupted_at: nonsense\n    given:", "it never said 'nonsense'"),
    ("    given:", "    theirs: {because: it is no better}\n    given:", "does not differ any more"),
    ("    given:", "    theirs: {then: {containers: {}}}\n    given:", "because"),
]


@pytest.mark.parametrize(("old", "new", "words"), BROKEN)
def test_a_broken_one_fails(old: str, new: str, words: str, ours, tmp_path):
    assert GOOD.count(old) == 1
    ours.name = "theirs"
    (tmp_path / "broken.yaml").write_text(GOOD.replace(old, new))
    with pytest.raises((AssertionError, ValueError)) as error:
        Play(Scenario.read(tmp_path / "broken.yaml"), ours, tmp_path, patience=0.5).whole()
    assert words in str(error.value)
