"""Whoever is killed, no container is lost, no line, no exit code that anybody can know; and the next command goes on."""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
import time
from contextlib import suppress

import pytest
from helpers.faults import Fault, ToldFault, doctored_manager, in_a_process
from helpers.lives import Lives, log, pid_of, printed, rested, shoot, standing_still, state
from helpers.needs import requires
from helpers.waiting import wait_for

from lib import linux
from lib import state as places
from lib.engine import ending
from lib.engine.daemons import calling, endings, standby
from lib.engine.pipes import run_folder
from lib.engine.vitality import alive
from lib.lab.doctor.leaks import Look
from lib.state import kept

pytestmark = requires("root", "overlay", "busybox")
FOR_EVER = "while :; do sleep 1000; done"
WAIT = "trap go=1 USR1; while [ -z $go ]; do sleep 0.01; done; "


def go(one: dict) -> None:
    """Let one that waits go on, when it does wait."""
    bit = 1 << signal.SIGUSR1 - 1
    wait_for(lambda: int(linux.read(f"/proc/{state(one)['pid']}/status").split("SigCgt:")[1].split()[0], 16) & bit)
    ending.kill(kept.load(kept.place(one)), "USR1")


def numbered(lines: int, more: str = "exit 7") -> str:
    return f"i=0; while [ $i -lt {lines} ]; do echo line $i; i=$((i+1)); done; {more}"


def numbers(lines: int, end: bytes = b"\n") -> bytes:
    return b"".join(b"line %d%b" % (number, end) for number in range(lines))


# -- the manager ------------------------------------------------------------------------------------------------------


def test_no_line_is_missing_when_the_manager_is_killed_again_and_again(lives):
    lines, kills, dice = 30000, 0, random.Random()
    those = [lives.run(numbered(lines), tty=tty) for tty in (False, False, True)]
    while any(alive(one) for one in those):
        time.sleep(dice.uniform(0, 0.02))
        shoot("manager")
        kills += 1
        calling.Manager.look(kept.place(those[0]))
    assert kills > 2
    for one in those:
        assert lives.ended(one)["exit_code"] == 7
        assert log(one) == numbers(lines, b"\r\n" if one["config"]["tty"] else b"\n")


def test_output_waits_for_the_next_manager(lives):
    one = lives.run(f"{WAIT}{numbered(2000, FOR_EVER)}")
    with standing_still("keeper"):
        shoot("manager")
        go(one)
        wait_for(lambda: waiting(one))
        assert log(one) == b"", "nobody is there to write it"
    calling.Manager.look(kept.place(one))
    printed(one, numbers(2000))


def waiting(one: dict) -> bool:
    fd = os.open(run_folder(one["id"]) / "stdout", os.O_RDWR | os.O_NONBLOCK)
    try:
        return linux.waiting_in(fd) == len(numbers(2000))
    finally:
        os.close(fd)


def test_what_ended_without_a_manager_is_settled_by_the_next_one(lives):
    one = lives.run(f"{WAIT}exit 9")
    gone = lives.run(f"{WAIT}exit 9", auto_remove=True)
    with standing_still("keeper"):
        shoot("manager")
        for each in (one, gone):
            go(each)
            assert ending.ends(each, 20)
        assert state(one)["status"] == "running", "nobody has seen to it"
    assert lives.ended(one)["exit_code"] == 9
    wait_for(lambda: not kept.place(gone).exists())


@pytest.mark.parametrize("tty", [False, True], ids=["pipes", "tty"])
@pytest.mark.parametrize("done", [1, 2, 3, 4])
def test_a_manager_killed_at_each_step_of_settling(lives, done, tty):
    """The next one goes on there: what the first ``done`` steps have left is played here."""
    one = lives.run(f"{WAIT}exit 3", tty=tty)
    facts = kept.load(kept.place(one))
    steps = [
        lambda: kept.save(facts | {"state": facts["state"] | {"ended": True, "exit_code": 3, "finished": "2026"}}),
        lambda: places.undo_all(next(record["undos"] for record in places.records() if record["id"] == one["id"][:12])),
        lambda: (places.runtime_dir() / f"{one['id'][:12]}.json").unlink(),
        lambda: calling.Keeper.drop(one["id"]),
    ]
    with standing_still("keeper"):
        shoot("manager")
        go(one)
        assert ending.ends(one, 20)
        for step in steps[:done]:
            step()
    calling.settled(facts)
    now = state(one)
    assert (now["status"], now["exit_code"], now["finished"], now["error"], "ended" in now) == ("exited", 3, "2026", "", False)


# -- the keeper -------------------------------------------------------------------------------------------------------


def test_containers_outlive_their_keeper(lives):
    one = lives.run(f"{WAIT}echo on; {FOR_EVER}")
    still = lives.run("cat; echo over", interactive=True)
    shell = lives.run("read line; echo said $line", tty=True)
    shoot("keeper")
    go(one)
    printed(one, b"on\n")
    assert lives.ended(lives.run("exit 3"))["exit_code"] == 3, "a new keeper, for the next one"
    assert alive(one) and alive(still) and alive(shell)
    calling.Manager.look(kept.place(shell))
    master = calling.Keeper.give(f"{shell['id']}/terminal")
    os.write(master, b"words\n")
    os.close(master)
    wait_for(lambda: b"said words" in log(shell))
    ending.stop(one, 0)
    assert state(one)["exit_code"] == 137


def test_the_code_of_what_ended_while_the_keeper_was_gone(lives):
    """The kernel knows it: of a zombie, or (Linux 6.15) by the manager's pidfd."""
    one = lives.run(f"{WAIT}exit 11")
    shoot("keeper")
    go(one)
    ended = lives.ended(one)
    known = (11, ""), (endings.UNKNOWN, "exit code unknown: nobody was there to see it end")
    assert (ended["exit_code"], ended["error"]) in known[: 1 if kernel_tells() else 2]


def kernel_tells() -> bool:
    major, minor, *_ = os.uname().release.split(".")
    return (int(major), int(minor)) >= (6, 15)


def test_an_end_that_nobody_saw_is_unknown(lives):
    one = lives.run(f"{WAIT}exit 11")
    shoot("keeper", "manager")
    go(one)
    assert ending.ends(one, 20)
    with kept.locked(kept.place(one)) as facts:  # somebody has waited for it, and another process has its number
        kept.save(facts | {"state": facts["state"] | {"pid": os.getpid()}})
    calling.settled(one)
    ended = state(one)
    assert (ended["status"], ended["exit_code"]) == ("exited", 255)
    assert ended["error"] == "exit code unknown: nobody was there to see it end"
    go(lives.start(one))
    assert lives.ended(one)["exit_code"] == 11 and state(one)["error"] == ""


def test_a_keeper_that_stands_still_at_an_end_is_waited_for(lives):
    """It will write the code, so nobody may call it unknown."""
    one, other = (lives.run(f"{WAIT}exit 11") for _ in range(2))
    with standing_still("keeper"):
        for each in (one, other):
            go(each)
            assert ending.ends(each, 20)
    assert lives.ended(one)["exit_code"] == lives.ended(other)["exit_code"] == 11


# -- both -------------------------------------------------------------------------------------------------------------


def test_both_killed_at_once_under_load(lives):
    lines = 30000
    those = [lives.run(numbered(lines, f"echo done; {FOR_EVER}")) for _ in range(3)]
    for _ in range(3):
        time.sleep(random.uniform(0, 0.03))
        shoot("keeper", "manager")
        assert lives.ended(lives.run("exit 1"))["exit_code"] == 1
    for one in those:
        printed(one, b"done\n")
        assert log(one) == numbers(lines) + b"done\n" and alive(one)


# -- the command, or another, at every message ------------------------------------------------------------------------


def started_with(fault: Fault, lives, one: dict) -> bool:
    """Start it while somebody is shot; whether there was such a message."""
    if fault.victim == "command":

        def deed() -> None:
            with fault:
                lives.start(one)

        return not in_a_process(deed)
    with fault, suppress(OSError):
        lives.start(one)
    return fault.left < 0


@pytest.mark.parametrize("tty", [False, True], ids=["pipes", "tty"])
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("victim", ["command", "keeper", "manager"])
def test_killed_at_every_message(lives, victim, late, tty):
    look, at = Look(), 1
    while True:
        one = lives.create("echo out; sleep 0.02; exit 5", "box", tty=tty, interactive=True)
        more = started_with(Fault(at, late, victim), lives, one)
        places.gc()  # as the next one does who starts something
        assert [each["id"] for each in kept.every()] == [one["id"]], (at, "it is still there")
        now = lives.ended(lives.start(one))
        if victim == "command" and now["exit_code"] == 125:  # it was about to run, nobody said "start", and so it ended
            now = lives.ended(lives.start(one))
        assert (now["status"], now["exit_code"], now["error"]) == ("exited", 5, ""), (at, now)
        assert log(one).count(b"out") in (1, 2), at  # it may have run once before
        assert not run_folder(one["id"]).exists(), at
        ending.remove(kept.load(kept.place(one)))
        if not more:
            break
        at += 1
    assert at > 4
    assert not look.leaks()


@pytest.mark.parametrize("tty", [False, True], ids=["pipes", "tty"])
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("victim", ["command", "keeper"], ids=["manager", "keeper"])
def test_killed_at_every_message_of_the_managers(lives, victim, late, tty):
    """``command`` is who sends, so here the manager itself. The next one goes on, and a new keeper too."""
    look, at, (told, telling), shot = Look(), 0, os.pipe2(os.O_NONBLOCK), True
    while shot:
        at += 1
        wait_for(rested)
        one = lives.create("echo out; exit 5", "box", tty=tty, interactive=True)
        pid = doctored_manager(ToldFault(at, late, victim, telling))
        try:
            now = lives.ended(lives.start(one))
            assert (now["status"], now["exit_code"], now["error"]) == ("exited", 5, ""), (at, now)
            assert log(one).count(b"out") == 1 and not run_folder(one["id"]).exists(), at
            ending.remove(kept.load(kept.place(one)))
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        shot = bool(linux.readable([told], 0)) and bool(os.read(told, 16))
    os.close(told)
    os.close(telling)
    assert at > 3
    assert not look.leaks()


def test_killed_while_it_is_created(lives, monkeypatch):
    """Before each step that leaves something on the disk: it is there, or nothing is."""
    for number in range(1, 30):
        before = {one["id"] for one in kept.every()}
        if in_a_process(lambda number=number: created_until(lives, number)):
            break
        assert len(kept.every()) - len(before) in (0, 1)
        places.gc()  # as the next one does who starts something
    assert number > 4
    for one in kept.every():
        ending.remove(one)
    assert os.listdir(kept.containers()) == [".names"]


def created_until(lives, number: int) -> None:
    """In a process: SIGKILL before the so many'th of these calls."""
    left = number

    def counted(original):
        def call(*args, **how):
            nonlocal left
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*args, **how)

        return call

    for name in ("mkdir", "replace", "rename", "open", "unlink"):
        setattr(os, name, counted(getattr(os, name)))
    lives.create("true")


# -- two engines, and the next day ------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(monkeypatch, tmp_path):
    """Another engine on this machine: goes there, and back."""

    def go(run: str | None, store: str | None) -> Lives:
        for word, folder in (("SUITCASE_RUN", run), ("SUITCASE_STORE", store)):
            if folder:
                monkeypatch.setenv(word, str(tmp_path / folder))
        return Lives()

    yield go
    monkeypatch.undo()


@pytest.mark.parametrize(("run", "store"), [("run", "store"), (None, "store")], ids=["two of each", "one run folder"])
def test_two_engines_do_not_collide(lives, elsewhere, monkeypatch, run, store):
    mine = lives.run(f"echo mine; {FOR_EVER}", "same")
    daemons = pid_of("keeper"), pid_of("manager")
    other = elsewhere(run, store)
    try:
        theirs = other.run(f"echo theirs; {FOR_EVER}", "same")
        printed(theirs, b"theirs\n")
        assert not {pid_of("keeper"), pid_of("manager")} & set(daemons)
        assert [one["id"] for one in kept.every()] == [theirs["id"]]
        shoot("keeper", "manager")
    finally:
        other.clean()
        wait_for(rested)
        monkeypatch.undo()
    assert (pid_of("keeper"), pid_of("manager")) == daemons
    assert [one["id"] for one in kept.every()] == [mine["id"]] and alive(mine) and log(mine) == b"mine\n"


def test_a_caller_whose_code_was_updated_meanwhile(lives, monkeypatch):
    """A notebook that runs for days: the daemons that it starts find each other, though the files on the disk are newer than its key."""
    monkeypatch.setattr(calling, "key", lambda: "0123456789")
    try:
        one = lives.run(f"echo words; {FOR_EVER}", tty=True)
        printed(one, b"words")
        master = calling.Keeper.give(f"{one['id']}/terminal")
        assert master >= 0
        os.close(master)
    finally:
        lives.clean()
        wait_for(rested)


def test_after_the_machine_was_started_anew(elsewhere, monkeypatch):
    """All processes gone, nothing left in memory: the list is whole, and each can be started again."""
    lives = elsewhere("run", "store")
    try:
        created, ran, ended = lives.create("exit 1", "created"), lives.run(f"echo up; {FOR_EVER}", "ran"), lives.run("exit 4", "ended")
        gone = lives.run(FOR_EVER, "gone", auto_remove=True)
        lives.ended(ended)
        printed(ran, b"up\n")
        switch_off(ran, gone)
        assert {one["name"]: alive(one) for one in kept.every()} == dict.fromkeys(("created", "ran", "ended", "gone"), False)
        for one in (created, ran, ended, gone):
            calling.settled(one)
        wait_for(lambda: not kept.place(gone).exists())
        states = {one["name"]: (one["state"]["status"], one["state"]["exit_code"]) for one in kept.every()}
        assert states == {"created": ("created", 0), "ran": ("exited", 255), "ended": ("exited", 4)}
        assert "unknown" in state(ran)["error"]
        assert lives.ended(lives.start(created))["exit_code"] == 1
        lives.start(ran)
        wait_for(lambda: log(ran) == b"up\nup\n")
    finally:
        lives.clean()
        wait_for(rested)


def switch_off(*running: dict) -> None:
    shoot("keeper", "manager")
    for one in running:
        os.kill(one["state"]["pid"], signal.SIGKILL)
        assert ending.ends(one, 20)
        with kept.locked(kept.place(one)) as facts:
            kept.save(facts | {"state": facts["state"] | {"boot": "an earlier one"}})
    for record in places.records():
        places.undo_all(record["undos"])  # cgroups are in memory, too
    places.rmtree(str(places.runtime_dir()))


@pytest.mark.parametrize("times", [1, 5])
def test_the_door_of_one_who_is_dying_still_takes_in_callers(lives, times):
    """The kernel closes what a killed process held one by one. Who is hung up on asks again, until the next one is there."""
    wait_for(rested)
    one = lives.create("echo out", "box")
    folder = str(places.our_runtime_dir())
    door, lock = dying_manager(folder)
    ending_slowly = threading.Thread(target=hang_up, args=(door, lock, times), daemon=True)
    ending_slowly.start()
    lives.ended(lives.start(one))
    ending_slowly.join()
    assert log(one) == b"out\n"


def dying_manager(folder: str) -> tuple[socket.socket, int]:
    """The manager's door, and its lock."""
    there = set(os.listdir("/proc/self/fd"))
    door = standby.listen(folder, calling.door("manager"))
    lock = next(fd for fd in map(int, set(os.listdir("/proc/self/fd")) - there - {str(door.fileno())}) if is_lock(fd))
    door.setblocking(True)
    return door, lock


def is_lock(fd: int) -> bool:
    with suppress(OSError):
        return os.readlink(f"/proc/self/fd/{fd}").endswith(".lock")
    return False


def hang_up(door: socket.socket, lock: int, times: int) -> None:
    for _ in range(times):
        door.accept()[0].close()
    door.close()
    os.close(lock)
