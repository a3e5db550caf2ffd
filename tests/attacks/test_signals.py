"""A command that is told to end takes along what is its own; a container that outlives it hears of the signal, and decides itself."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time

import pytest
from helpers.needs import requires
from helpers.sites import Site
from helpers.waiting import wait_for

from lib import state
from lib.cli import signals
from lib.engine import ending
from lib.state import kept

pytestmark = requires("root", "overlay")

HEEDS = "trap 'exit 7' HUP INT TERM; echo ready; while :; do sleep 0.05; done"


def command(*words: str, **how) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-m", "lib.cli", *words], stdin=subprocess.DEVNULL, **how)


def at_a_terminal(*words: str) -> tuple[int, int]:
    """The same at a terminal of its own: its pid, and our end of the terminal."""
    pid, master = pty.fork()
    if pid == 0:
        try:
            os.execv(sys.executable, [sys.executable, "-m", "lib.cli", *words])
        finally:  # else a second pytest would go on here
            os._exit(127)
    return pid, master


def running() -> list[dict]:
    """The records of processes that live in containers."""
    return [facts for facts in state.records() if facts["pid"]]


def gone(pids: list[int]) -> bool:
    return not any(os.path.exists(f"/proc/{pid}") for pid in pids)


@pytest.fixture
def site(tmp_path, monkeypatch):
    made = Site(tmp_path)
    monkeypatch.setenv("SUITCASE_IMAGES", str(made.library.store.place))
    return made


def ends(child: subprocess.Popen, number: int) -> None:
    """Once it runs in there, the signal comes: soon nothing is left, not even for gc."""
    wait_for(running)
    time.sleep(0.3)
    pids = [facts["pid"] for facts in running()]
    child.send_signal(number)
    try:
        assert child.wait(20) == 128 + number
        assert gone(pids) and not state.records()
    finally:
        child.kill()
        child.wait()
        state.gc()


# -- a container that was started by ``run`` -----------------------------------------------------------------------------


def attached(words: str, **how) -> subprocess.Popen:
    """``run --rm``, when its program is ready."""
    child = command("run", "--rm", "base", "sh", "-c", words, stdout=subprocess.PIPE, **how)
    assert child.stdout.readline() == b"ready\n"
    return child


def passed_on(child: subprocess.Popen, number: int) -> None:
    """Its program ends by it, in its own way; then nothing is left of either."""
    with child:
        child.send_signal(number)
        assert child.wait(20) == 7
    assert not kept.every() and not state.records()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_run_passes_it_on_to_its_container(site, number):
    passed_on(attached(HEEDS), number)


def test_a_container_outlives_its_command(site):
    """SIGKILL cannot be passed on."""
    with attached("echo ready; exec sleep 100") as child:
        child.kill()
    (facts,) = kept.every()
    assert facts["state"]["status"] == "running" and not ending.ends(facts, 0.1)
    ending.remove(facts, force=True)
    assert not state.records()


def test_one_in_the_background_of_a_script_too(site):
    """There SIGINT is ignored, so that Ctrl-C ends only what is in the foreground; who sends it to this command means the container."""
    ignored = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        child = attached(HEEDS)
    finally:
        signal.signal(signal.SIGINT, ignored)
    passed_on(child, signal.SIGINT)


def test_nohup_stays_nohup(site):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        child = attached(HEEDS)
    finally:
        signal.signal(signal.SIGHUP, before)
    child.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert child.poll() is None
    passed_on(child, signal.SIGTERM)


def test_the_terminal_closes(site):
    """As when an ssh connection ends: SIGHUP, which the container hears of, and nowhere to write to any more."""
    pid, master = at_a_terminal("run", "--rm", "base", "sh", "-c", HEEDS)
    while b"ready" not in os.read(master, 1000):
        pass
    os.close(master)
    code = wait_for(lambda: (found := os.waitpid(pid, os.WNOHANG))[0] and (found[1] + 1))  # 0 is no answer
    assert os.waitstatus_to_exitcode(code - 1) == 7
    assert not kept.every() and not state.records()


# -- the processes of a build -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
@pytest.mark.parametrize("stages", [1, 2])
def test_build_ends_its_commands(site, number, stages):
    site.write("Dockerfile", "FROM base AS a\nRUN sleep 100\n" + "FROM base\nRUN sleep 101\nCOPY --from=a / /\n" * (stages - 1))
    ends(command("build", "-q", str(site.context)), number)
    assert site.leftovers() == []


@pytest.mark.parametrize("ignored", [signal.SIGINT, signal.SIGHUP])
def test_a_build_in_the_background_or_with_nohup_stays_there(site, ignored):
    """In the background of a script SIGINT is ignored, so that Ctrl-C ends only what is in the foreground."""
    site.write("Dockerfile", "FROM base\nRUN sleep 100\n")
    before = signal.signal(ignored, signal.SIG_IGN)
    try:
        child = command("build", "-q", str(site.context))
    finally:
        signal.signal(ignored, before)
    wait_for(running)
    child.send_signal(ignored)
    time.sleep(0.3)
    assert child.poll() is None
    ends(child, signal.SIGTERM)


def test_the_terminal_of_a_build_closes(site):
    """As when an ssh connection ends: SIGHUP, and nowhere to write to any more."""
    site.write("Dockerfile", "FROM base\nRUN sleep 100\n")
    pid, master = at_a_terminal("build", str(site.context))
    try:
        wait_for(running)
        time.sleep(0.3)
        pids = [facts["pid"] for facts in running()]
        os.close(master)
        code = wait_for(lambda: (found := os.waitpid(pid, os.WNOHANG))[0] and (found[1] + 1))  # 0 is no answer
        assert os.waitstatus_to_exitcode(code - 1) == 128 + signal.SIGHUP
        assert gone(pids) and not state.records()
    finally:
        state.gc()


def test_a_caller_that_ignores_sigchld_hands_that_on_and_the_command_lets_go_of_it():
    """Some programs start all others so; then nobody could wait for a child, and a credential helper's failure would look like success."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with signals.ended_in_order():
            assert subprocess.run(["sh", "-c", "exit 3"]).returncode == 3
        assert signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN, "a notebook's kernel is as it was"
    finally:
        signal.signal(signal.SIGCHLD, before)
