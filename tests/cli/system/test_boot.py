"""``system boot``: who is started after a boot, by his policy; and the unit that has it done. ``completion``: what a shell asks."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.lives import state
from helpers.needs import requires
from helpers.waiting import wait_for

from lib.engine import booting, ending
from lib.state import kept

pytestmark = requires("root", "overlay", "busybox")
ROOT = Path(__file__).parents[3]


def with_policy(lives, name: str, policy: str) -> dict:
    one = lives.create("sleep 600", name)
    with kept.locked(kept.place(one)) as facts:
        kept.save(facts | {"restart": {"name": policy, "most": 0}})
    return one


@pytest.mark.v2
@pytest.mark.parametrize(("policy", "starts"), [("always", True), ("unless-stopped", False), ("on-failure", False), ("no", False)])
def test_one_that_somebody_had_stopped(suitcase, lives, policy, starts):
    one = with_policy(lives, "box", policy)
    ending.stop(lives.start(one), 0)
    assert suitcase("system boot").out == ("box\n" if starts else "")
    assert (state(one)["status"] == "running") == starts


@pytest.mark.parametrize(("policy", "starts"), [("always", True), ("unless-stopped", True), ("no", False)])
def test_one_that_ran_when_the_machine_went_down(suitcase, lives, policy, starts):
    """Its facts say that it runs, and of an earlier boot: the manager sees to its end, and goes by its policy."""
    one = with_policy(lives, "box", policy)
    ending.stop(lives.start(one), 0)
    with kept.locked(kept.place(one)) as facts:
        facts["state"] |= {"status": "running", "pid": 1, "start_time": 1, "boot": "another", "by_hand": False}
        kept.save(facts)
    assert suitcase("system boot").code == 0
    wait_for(lambda: state(one)["boot"] != "another" if starts else state(one)["status"] == "exited")
    assert not starts or state(one)["status"] == "running"


def test_what_cannot_be_started_is_told_and_the_others_are(suitcase, lives):
    for name in ("one", "two"):
        ending.stop(lives.start(with_policy(lives, name, "always")), 0)
    with kept.locked(kept.place(next(one for one in kept.every() if one["name"] == "one"))) as facts:
        kept.save(facts | {"argv": ["/no/such"]})
    said = suitcase("system boot")
    assert (said.code, said.out) == (1, "two\n") and "/no/such" in said.err


# -- the unit ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def unit(tmp_path, monkeypatch):
    monkeypatch.setattr(booting, "place", lambda: tmp_path / "system" / booting.NAME)
    return tmp_path / "system" / booting.NAME


def test_the_unit_calls_the_command_and_leaves_alone_what_it_has_begun(monkeypatch):
    monkeypatch.setenv("SUITCASE_STORE", "/srv/my store")
    monkeypatch.setenv("SUITCASE_IMAGES", "/srv/100%")
    found = configparser.ConfigParser(strict=False, interpolation=None)
    found.optionxform = str
    found.read_string(booting.unit())
    service = found["Service"]
    assert (service["Type"], service["RemainAfterExit"], service["KillMode"]) == ("oneshot", "yes", "process")
    assert 'Environment="SUITCASE_STORE=/srv/my store"' in booting.unit() and 'Environment="SUITCASE_IMAGES=/srv/100%%"' in booting.unit()
    assert found["Install"]["WantedBy"] == "multi-user.target"
    words = service["ExecStart"].split()
    assert words[-2:] == ["system", "boot"] and words[0] == sys.executable
    shown = subprocess.run([*words[:-1], "--help"], capture_output=True, text=True, env={"PATH": os.environ["PATH"]})
    assert "boot" in shown.stdout, shown.stderr


def test_words_that_systemd_would_read_otherwise():
    assert booting.escaped("/a b/100%/$x") == '"/a b/100%%/$$x"' and booting.escaped("/plain") == "/plain"


@requires("systemd-analyze")
def test_systemd_takes_the_unit(unit):
    booting.install()
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True)
    assert done.returncode == 0 and booting.NAME not in done.stderr, done.stderr


def test_it_is_written_and_taken_away(suitcase, unit):
    said = suitcase("system boot --install")
    assert said.code == 0 and said.out.startswith(f"written: {unit}\n")
    assert unit.read_text() == booting.unit() == suitcase("system boot --print").out and unit.stat().st_mode & 0o777 == 0o644
    if not os.path.isdir("/run/systemd/system"):
        assert f"systemctl enable {booting.NAME}" in said.out
    assert f"removed: {unit}\n" in suitcase("system boot --remove").out and not unit.exists()
    assert f"there is no {unit}\n" in suitcase("system boot --remove").out
    assert suitcase("system boot --install --remove").code == 1


# -- completion -------------------------------------------------------------------------------------------------------


def completed(*words: str) -> list[str]:
    env = {**os.environ, "COMP_WORDS": " ".join(["suitcase", *words]), "COMP_CWORD": str(len(words)), "_SUITCASE_COMPLETE": "bash_complete"}
    done = subprocess.run([sys.executable, "-P", "-m", "lib.cli"], env={**env, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.stderr == ""
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_a_shell_completes_verbs_flags_and_names(lives):
    lives.create("true", "shop-db")
    lives.create("true", "shop-web")
    assert completed("sto") == ["stop"] and "ls" in completed("container", "")
    assert completed("run", "--memory-s") == ["--memory-swap", "--memory-swappiness"]
    assert completed("stop", "shop-") == ["shop-db", "shop-web"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(suitcase, shell):
    said = suitcase(f"completion {shell}")
    assert said.code == 0 and "_SUITCASE_COMPLETE" in said.out and said.out.startswith("# To use it: ")
    if shell == "bash":
        assert subprocess.run(["bash", "-n"], input=said.out, text=True).returncode == 0


def test_a_shell_that_we_do_not_know(suitcase):
    assert suitcase("completion csh").err == "suitcase: there is no completion for 'csh', but for bash, fish, zsh\n"
