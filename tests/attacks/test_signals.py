"""A command that is told to end takes along what it has started: no container stays without an owner."""

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

pytestmark = requires("root", "overlay")


def command(*words: str, **how) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-m", "lib.cli", *words], stdin=subprocess.DEVNULL, **how)


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


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_run_ends_its_container(site, number):
    ends(command("run", "base", "sleep", "100"), number)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
@pytest.mark.parametrize("stages", [1, 2])
def test_build_ends_its_commands(site, number, stages):
    site.write("Dockerfile", "FROM base AS a\nRUN sleep 100\n" + "FROM base\nRUN sleep 101\nCOPY --from=a / /\n" * (stages - 1))
    ends(command("build", "-q", str(site.context)), number)
    assert site.leftovers() == []


def test_one_in_the_background_of_a_script_too(site):
    """There SIGINT is ignored, so that Ctrl-C ends only what is in the foreground."""
    ignored = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        child = command("run", "base", "sleep", "100")
    finally:
        signal.signal(signal.SIGINT, ignored)
    wait_for(running)
    child.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert child.poll() is None
    ends(child, signal.SIGTERM)


def test_nohup_stays_nohup(site):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        child = command("run", "base", "sleep", "100")
    finally:
        signal.signal(signal.SIGHUP, before)
    wait_for(running)
    child.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert child.poll() is None
    ends(child, signal.SIGTERM)


def test_the_terminal_closes(site):
    """As when an ssh connection ends: SIGHUP, and nowhere to write to any more."""
    pid, master = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-m", "lib.cli", "run", "base", "sleep", "100"])
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
