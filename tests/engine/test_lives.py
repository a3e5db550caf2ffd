"""A container that outlives its caller: created, started, settled, started again, renamed, removed."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import Mock

import pytest
from helpers.lives import log, pid_of, printed, rows, state
from helpers.needs import requires
from helpers.waiting import wait_for

from lib import linux
from lib.engine import ending, finding, moments
from lib.engine.daemons import calling
from lib.engine.lifecycle import NameTaken
from lib.engine.pipes import run_folder
from lib.engine.vitality import alive
from lib.process import StepError
from lib.state import kept

pytestmark = requires("root", "overlay", "busybox")
ROOT = Path(__file__).parents[2]


class Killed(BaseException):
    """Stands for the end of the process: nothing is done after it."""


FOR_EVER = "while :; do sleep 1000; done"


@pytest.mark.v2
def test_created_started_settled_and_started_again(lives):
    one = lives.create("echo run; echo oh >&2; echo x >> /file; exit 3")
    assert one["state"]["status"] == "created" and one["state"]["started"] == moments.NEVER
    for count in (1, 2):
        began = lives.start(one)["state"]
        assert began["pid"] and began["started"] > one["created"]
        ended = lives.ended(one)
        assert (ended["status"], ended["exit_code"], ended["pid"], ended["error"]) == ("exited", 3, 0, "")
        assert ended["started"] == began["started"] <= ended["finished"]
        assert log(one) == b"run\n" * count and log(one, "stderr") == b"oh\n" * count
    assert (kept.place(one) / "upper/file").read_text() == "x\nx\n"
    assert not run_folder(one["id"]).exists(), "what only lives while it runs has gone"


@pytest.mark.v2
def test_it_outlives_its_caller(lives):
    """Another Python starts it, and is killed."""
    one = lives.create(f"echo here; {FOR_EVER}")
    code = (
        "import os, signal\nfrom lib.engine import lifecycle\nfrom lib.images import Library, Store\nfrom lib.state import kept\n"
        f"lifecycle.start(Library(Store()), kept.place({one['id']!r}))\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGKILL
    printed(one, b"here\n")
    lives.run("true")  # who starts something reaps what the dead have left
    now = kept.load(kept.place(one))
    assert alive(now) and now["state"]["status"] == "running"
    ending.stop(now, 0)
    assert state(one)["exit_code"] == 137


def test_starting_one_that_runs_changes_nothing(lives):
    one = lives.run(FOR_EVER)
    assert lives.start(one)["state"] == one["state"]


def test_starting_one_that_has_just_ended_starts_it(lives):
    """Its facts may say "running" until the manager has settled it."""
    one = lives.run("echo run")
    ending.ends(one)
    assert lives.start(one)["state"]["started"] != one["state"]["started"]
    lives.ended(one)
    assert log(one) == b"run\nrun\n"


# -- starts that fail -------------------------------------------------------------------------------------------------


@pytest.mark.v2
def test_one_that_cannot_start_stays_created_with_its_error(lives):
    one = lives.create(["/no/such/program"])
    with pytest.raises(StepError) as caught:
        lives.start(one)
    now = state(one)
    assert (now["status"], now["pid"], now["exit_code"]) == ("created", 0, 127)
    assert now["error"] == str(caught.value) and "/no/such/program" in now["error"]
    assert not run_folder(one["id"]).exists()
    wait_for(lambda: not children_of_keeper())
    with pytest.raises(StepError):
        lives.start(one)


def children_of_keeper() -> list[str]:
    return linux.read(f"/proc/{pid_of('keeper')}/task/{pid_of('keeper')}/children").split()


def test_one_that_had_run_stays_exited(lives):
    one = lives.run("exit 4")
    assert lives.ended(one)["exit_code"] == 4
    facts = kept.load(kept.place(one))
    with kept.locked(kept.place(one)):
        kept.save(facts | {"argv": ["/gone"]})
    with pytest.raises(StepError):
        lives.start(one)
    now = state(one)
    assert (now["status"], now["exit_code"], now["finished"]) == ("exited", 127, facts["state"]["finished"])


def test_a_terminal_of_one_that_cannot_start_is_not_held(lives):
    one = lives.create(["/no/such/program"], tty=True)
    with pytest.raises(StepError):
        lives.start(one)
    assert calling.Keeper.give(f"{one['id']}/terminal") == -1


# -- ends -------------------------------------------------------------------------------------------------------------


@pytest.mark.v2
def test_rm_at_the_end(lives):
    one = lives.run("echo hi", auto_remove=True)
    ending.ends(one)
    wait_for(lambda: not kept.place(one).exists())
    assert kept.every() == []


def test_stop_sends_its_signal_first(lives):
    one = lives.run(f"trap 'echo bye; exit 5' TERM; echo up; {FOR_EVER.replace('sleep 1000', 'sleep 0.05')}")
    printed(one, b"up\n")
    ending.stop(one)
    assert state(one)["exit_code"] == 5 and log(one) == b"up\nbye\n"
    ending.stop(kept.load(kept.place(one)))  # is stopped already


def test_they_have_ended_before_they_are_settled(lives):
    """What depends on their end alone need not wait for the rest."""
    those, ended = [lives.run(FOR_EVER) for _ in range(2)], []
    ended += ending.end_all(those, 0)
    assert [alive(one) for one in those] == [False, False]
    for one in ended:
        one.settle()
    assert [state(one)["status"] for one in those] == ["exited", "exited"]


def test_kill_and_its_conflict(lives):
    one = lives.run(FOR_EVER, "box")
    with pytest.raises(ValueError, match="invalid signal: NONSENSE"):
        ending.kill(one, "NONSENSE")
    ending.kill(one)
    assert ending.wait(one) == 137
    with pytest.raises(ending.Conflict, match=f"cannot kill container: box: container {one['id']} is not running"):
        ending.kill(kept.load(kept.place(one)))


def test_wait_knows_the_code_of_one_that_goes(lives, monkeypatch):
    one, ends = lives.run("until [ -e /over ]; do sleep 0.02; done; exit 6", auto_remove=True), ending.ends

    def now(facts: dict) -> bool:
        os.close(os.open(f"/proc/{one['state']['pid']}/root/over", os.O_CREAT, 0o600))
        return ends(facts)

    monkeypatch.setattr(ending, "ends", now)
    assert ending.wait(one) == 6


def test_remove_wants_it_stopped_or_force(lives):
    one = lives.run(FOR_EVER, "box")
    with pytest.raises(ending.Conflict, match='cannot remove container "box": container is running'):
        ending.remove(one)
    ending.remove(one, force=True)
    assert not kept.place(one).exists() and not run_folder(one["id"]).exists()


# -- names ------------------------------------------------------------------------------------------------------------


def test_names(lives):
    one, other = lives.create("true", "one"), lives.create("true")
    assert other["name"] and "_" in other["name"]
    with pytest.raises(NameTaken, match=f'"/one" is already in use by container "{one["id"]}"'):
        lives.create("true", "one")
    with pytest.raises(NameTaken):
        ending.rename(other, "one")
    with pytest.raises(ValueError, match="same name"):
        ending.rename(one, "/one")
    with pytest.raises(ValueError, match="Invalid container name"):
        ending.rename(one, "a b")
    ending.rename(one, "two")
    assert finding.find("two")["id"] == one["id"] == finding.find(one["id"][:5])["id"]
    with pytest.raises(finding.NoSuchContainer):
        finding.find("one")
    assert len(kept.every()) == 2


@pytest.mark.parametrize("name", ["shop", None], ids=["one name", "made-up names"])
def test_twenty_at_once_and_a_name_is_given_once(lives, monkeypatch, name):
    save = kept.save
    monkeypatch.setattr(kept, "save", lambda *of: time.sleep(0.02) or save(*of))  # long enough for another to get in between
    said = in_processes(20, lambda: created(lives, name))
    there = kept.every()
    if name:
        assert [one["name"] for one in there] == ["shop"]
        assert said.count(there[0]["id"]) == 1
        assert sum(f'"/shop" is already in use by container "{there[0]["id"]}"' in one for one in said) == 19
    else:
        assert len({one["name"] for one in there}) == 20 and {one["id"] for one in there} == set(said)


def created(lives, name) -> str:
    try:
        return lives.create("true", name)["id"]
    except NameTaken as error:
        return str(error)


def in_processes(count: int, deed) -> list[str]:
    """What each of so many processes, which begin at the same moment, has to say."""
    gate, opened = os.pipe()
    heard, say = os.pipe()
    pids = []
    for _ in range(count):
        if pid := os.fork():
            pids.append(pid)
            continue
        try:
            os.close(opened)
            os.read(gate, 1)
            os.write(say, deed().encode() + b"\n")
        finally:
            os._exit(0)
    for fd in (gate, opened, say):
        os.close(fd)
    with open(heard) as lines:
        said = lines.read().splitlines()
    for pid in pids:
        os.waitpid(pid, 0)
    return said


# -- streams ----------------------------------------------------------------------------------------------------------


def test_its_pipes_have_itself_as_a_reader(lives):
    """So it never dies of SIGPIPE, whoever reads or does not."""
    one = lives.run("echo up; read x < /never 2>/dev/null; " + FOR_EVER)
    printed(one, b"up\n")
    for number in (1, 2):
        place = f"/proc/{one['state']['pid']}/fd/{number}"
        assert stat.S_ISFIFO(os.stat(place).st_mode)
        flags = linux.read(f"/proc/{one['state']['pid']}/fdinfo/{number}")
        assert int(flags.split("flags:")[1].split()[0], 8) & os.O_ACCMODE == os.O_RDWR


def test_no_input_is_the_end_of_input(lives):
    one = lives.run("cat; echo over")
    assert lives.ended(one)["exit_code"] == 0 and log(one) == b"over\n"


def test_open_input_stays_open(lives):
    one = lives.run("cat; echo over", interactive=True)
    with open(run_folder(one["id"]) / "stdin", "wb", buffering=0) as sink:
        sink.write(b"words\n")
    printed(one, b"words\n")
    assert alive(one)


@pytest.mark.v2
def test_an_interrupt_of_its_removal_waits(lives, monkeypatch):
    """Half removed it would be in no list, and its folder would stay for ever."""
    one, rmtree = lives.create("true"), kept.rmtree

    def interrupted(path: str) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        rmtree(path)

    monkeypatch.setattr(kept, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ending.remove(one)
    assert not kept.place(one).exists()


def test_who_is_killed_while_he_removes_it_leaves_it_in_the_list(lives, monkeypatch):
    """What it is known by goes last."""
    one = lives.create("true")
    with monkeypatch.context() as there:
        there.setattr(kept, "rmtree", Mock(side_effect=[None, Killed]))
        with pytest.raises(Killed):
            ending.remove(one)
    [left] = kept.every()
    assert left["state"]["status"] == "removing"
    ending.remove(left)
    assert not kept.place(one).exists()


def test_a_terminal(lives):
    one = lives.run("test -t 0 && test -t 1 && test -t 2 && echo terminal; exit 2", tty=True)
    assert lives.ended(one)["exit_code"] == 2
    assert log(one) == b"terminal\r\n" and log(one, "stderr") == b""


def test_a_terminal_says_more_than_a_pipe_holds(lives):
    one = lives.run("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done", tty=True)
    assert lives.ended(one)["exit_code"] == 0
    assert log(one) == b"".join(b"line %d\r\n" % number for number in range(20000))


def test_what_it_writes_stays_its_own(lives):
    one = lives.run("touch /made")
    lives.ended(one)
    assert rows(one) == ["made"]


# -- an ordinary user -------------------------------------------------------------------------------------------------

USERS = """
import sys
from helpers.lives import Lives, log, rested, shoot, state
from helpers.waiting import wait_for
from lib.engine import ending
from lib.state import kept

lives = Lives()
one = lives.create("echo mine; id -u; echo oh >&2; exit 3", "same")
for _ in range(2):
    lives.start(one)
    print(lives.ended(one)["exit_code"], log(one), log(one, "stderr"))
    shoot("keeper", "manager")
long = lives.run("echo up; while :; do sleep 1000; done")
ending.stop(long, 0)
print(state(long)["exit_code"], [each["name"] for each in kept.every()] == [long["name"], "same"])
lives.clean()
wait_for(rested)
"""


@requires("userns")
def test_an_ordinary_user_beside_root(lives, tmp_path):
    """With a store and daemons of his own; a name that root has, too."""
    mine = lives.run(FOR_EVER, "same")
    home = tempfile.mkdtemp()
    try:
        os.chown(home, 4711, 4711)
        env = {"HOME": home, "PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{ROOT}/tests", "SUITCASE_RUN": f"{home}/run"}
        done = subprocess.run(
            [sys.executable, "-c", USERS], user=4711, group=4711, extra_groups=[], cwd="/", env=env, capture_output=True, text=True
        )
        assert done.stdout.splitlines() == [
            r"3 b'mine\n0\n' b'oh\n'",
            r"3 b'mine\n0\nmine\n0\n' b'oh\noh\n'",
            "137 True",
        ], done
    finally:
        shutil.rmtree(home)
    assert alive(mine) and [each["id"] for each in kept.every()] == [mine["id"]]
