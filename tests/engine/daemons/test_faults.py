"""A full disk, no descriptor left, no process left, a log that somebody removes: told in words, and nothing is lost."""

from __future__ import annotations

import errno
import os
import resource
import select
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.faults import full_table, limited
from helpers.lives import Lives, log, pid_of, printed, rested, state
from helpers.needs import requires
from helpers.waiting import wait_for

from lib import linux
from lib.engine import ending, moments
from lib.engine.daemons import calling, standby, watched
from lib.engine.pipes import run_folder
from lib.engine.vitality import alive
from lib.process import StepError
from lib.state import kept

pytestmark = requires("root", "overlay", "busybox")
FOR_EVER = "while :; do sleep 1000; done"


# -- a full disk ------------------------------------------------------------------------------------------------------


class Disk:
    """The containers' folders on a small disk of their own."""

    def __init__(self, place: Path):
        self.place = place
        linux.mount("tmpfs", str(place), "tmpfs", "size=1m,mode=700")

    def resize(self, size: str) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size}", self.place], check=True)

    def fill(self) -> None:
        """To the last byte."""
        with open(self.place / ".filler", "wb", buffering=0) as file:
            for piece in (bytes(4096), b"x"):
                with pytest.raises(OSError):
                    while True:
                        file.write(piece)

    def leave(self, pages: int) -> None:
        os.truncate(self.place / ".filler", os.path.getsize(self.place / ".filler") // 4096 * 4096 - pages * 4096)

    def free(self) -> None:
        (self.place / ".filler").unlink()


@pytest.fixture
def small(monkeypatch, tmp_path):
    """An engine with a small disk: (lives, disk)."""
    monkeypatch.setenv("SUITCASE_RUN", str(tmp_path / "run"))
    monkeypatch.setenv("SUITCASE_STORE", str(tmp_path / "store"))
    lives = Lives()
    lives.ended(lives.run("true"))  # its layers are unpacked, on the larger disk
    lives.clean()
    disk = Disk(kept.containers())
    try:
        yield lives, disk
    finally:
        lives.clean()
        wait_for(rested)
        linux.umount(str(disk.place))


def test_output_waits_for_room_and_nothing_is_lost(small):
    lives, disk = small
    lines = 200000
    one = lives.run(f"i=0; while [ $i -lt {lines} ]; do echo line $i; i=$((i+1)); done; exit 3")
    wait_for(lambda: os.statvfs(disk.place).f_bavail == 0)
    assert alive(one), "it waits at a full pipe"
    disk.resize("16m")
    assert lives.ended(one)["exit_code"] == 3
    assert log(one) == b"".join(b"line %d\n" % number for number in range(lines))


def test_last_words_wait_for_room_too(small):
    lives, disk = small
    one = lives.run("read line; i=0; while [ $i -lt 3000 ]; do echo last words; i=$((i+1)); done; exit 4", interactive=True)
    disk.fill()
    disk.leave(3)  # enough for the facts, not for the words
    with open(run_folder(one["id"]) / "stdin", "wb") as sink:
        sink.write(b"\n")
    assert ending.ends(one, 20)
    with pytest.raises(OSError) as caught:
        calling.settled(one)
    assert caught.value.errno == errno.ENOSPC and "cannot be written down" in str(caught.value) and "make room" in str(caught.value)
    disk.free()
    assert lives.ended(one)["exit_code"] == 4
    assert log(one).count(b"last words") == 3000


@pytest.mark.parametrize(
    ("number", "taken"), [(errno.ENOSPC, False), (errno.EDQUOT, False), (errno.EMFILE, False), (errno.EAGAIN, True), (errno.EIO, True)]
)
def test_who_waits_for_room_waits_for_ever(monkeypatch, printing, number, taken):
    """Not so who waits for a reader that stands still, or for a disk that is broken."""
    monkeypatch.setattr(watched, "PATIENCE", 0.1)
    printing.put(b"last words")

    def take(*_):
        raise OSError(number, os.strerror(number))

    one = watched.Watched.__new__(watched.Watched)
    one.place, one.master, one.why_not, one.writer = printing.place, -1, 0, SimpleNamespace(take=take)
    one.pipes = {printing.pipes["stdout"]: "stdout"}
    assert one.drain() is taken and one.why_not == number
    one.place = printing.place / "removed"
    assert one.drain() is True, "what has been removed needs no room"


def test_rm_makes_room_on_a_full_disk(small):
    lives, disk = small
    one, gone = lives.run(f"dd if=/dev/zero of=/big bs=4096 count=50 2>/dev/null; echo up; {FOR_EVER}"), lives.run("true")
    printed(one, b"up\n")
    lives.ended(gone)
    disk.fill()
    ending.remove(kept.load(kept.place(gone)))
    ending.remove(one, force=True)
    assert kept.every() == []
    disk.free()


def test_nothing_is_half_made_on_a_full_disk(small):
    lives, disk = small
    one = lives.create("exit 5")
    disk.fill()
    with pytest.raises(OSError) as caught:
        lives.create("true")
    assert caught.value.errno == errno.ENOSPC
    with pytest.raises(OSError):
        lives.start(one)
    disk.free()
    assert [each["id"] for each in kept.every()] == [one["id"]] and state(one)["status"] == "created"
    assert sorted(os.listdir(kept.containers())) == [".names", kept.place(one).name]
    assert lives.ended(lives.start(one))["exit_code"] == 5


def test_one_that_is_started_again_waits_for_room(small):
    lives, disk = small
    one = lives.create(f"echo up; {FOR_EVER}")
    with kept.locked(kept.place(one)) as facts:  # as if it had ended
        facts["state"] |= {"status": "restarting", "tries": {"count": 1, "delay": 0.1}, "finished": moments.now()}
        kept.save(facts | {"restart": {"name": "always", "most": 0}})
    disk.fill()
    calling.Manager.look(kept.place(one))
    for _ in range(2):
        wait_for(lambda: "suitcase:again" in titles())
        wait_for(lambda: "suitcase:again" not in titles())
    assert state(one)["status"] == "restarting" and log(one) == b""
    disk.free()
    printed(one, b"up\n")
    assert state(one)["tries"]["count"] == 1


def titles() -> set[str]:
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            found.add(linux.read(f"/proc/{pid}/comm").strip())
    return found


# -- no descriptor left -----------------------------------------------------------------------------------------------


def test_a_keeper_without_descriptors_says_so(lives):
    runs, one = lives.run(f"echo up; {FOR_EVER}"), lives.create("exit 2")
    with limited("keeper"):
        with pytest.raises(StepError) as caught:
            lives.start(one)
        assert caught.value.errno == errno.EMFILE and "the keeper" in caught.value.advice and "ulimit -Hn" in caught.value.advice
        now = state(one)
        assert now["status"] == "created" and "the keeper" in now["error"] and now["exit_code"]
        assert alive(runs)
    assert lives.ended(lives.start(one))["exit_code"] == 2


def test_output_waits_for_a_manager_without_descriptors(lives):
    lives.run(FOR_EVER)
    with limited("manager"):
        one, other = lives.run(f"echo words; {FOR_EVER}"), lives.run(f"echo words; {FOR_EVER}")
        assert alive(one) and alive(other)
        assert log(other) == b""
    for each in (one, other):
        printed(each, b"words\n")


def test_a_daemon_without_room_for_a_caller_does_not_ask_without_a_pause(tmp_path, monkeypatch):
    pauses, (soft, hard) = [], resource.getrlimit(resource.RLIMIT_NOFILE)
    monkeypatch.setattr(standby.time, "sleep", pauses.append)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as guest:
        door.bind(str(tmp_path / "door"))
        door.listen()
        callers = standby.Callers(door, select.poll())
        guest.connect(str(tmp_path / "door"))
        os.close(free := os.dup(0))
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
        try:
            callers.let_in()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert pauses == [standby.PAUSE] and not callers
        callers.let_in()
        assert len(pauses) == 1 and len(callers) == 1
        callers.part_with(*callers.values())


# -- no process left --------------------------------------------------------------------------------------------------


@requires("cgroup1", "pids")
def test_a_keeper_that_can_make_no_process_says_so(lives):
    lives.ended(lives.run("true"))
    one = lives.create("exit 6")
    with full_table(pid_of("keeper")):
        with pytest.raises(StepError) as caught:
            lives.start(one)
        assert caught.value.errno == errno.EAGAIN and "pids limit" in caught.value.advice
        assert state(one)["status"] == "created" and "pids limit" in state(one)["error"]
    assert lives.ended(lives.start(one))["exit_code"] == 6


@requires("cgroup1", "pids")
def test_a_manager_that_can_make_no_thread_settles_later(lives):
    runs, one = lives.run(f"echo up; {FOR_EVER}"), lives.run("read line; exit 7", interactive=True)
    with full_table(pid_of("manager")):
        with open(run_folder(one["id"]) / "stdin", "wb") as sink:
            sink.write(b"\n")
        assert ending.ends(one, 20)
        printed(runs, b"up\n")
        assert state(one)["status"] == "running" and pid_of("manager")
    assert lives.ended(one)["exit_code"] == 7


@requires("cgroup1", "pids")
def test_a_caller_that_can_start_no_daemon_says_so(lives):
    one = lives.create("exit 8")
    wait_for(rested)
    hear, say = os.pipe()
    gate, opened = os.pipe()
    if (pid := os.fork()) == 0:
        try:
            os.read(gate, 1)
            lives.start(one)
        except OSError as error:
            os.write(say, str(error).encode())
        finally:
            os._exit(0)
    with full_table(pid):
        os.write(opened, b"!")
        os.close(say)
        said = os.read(hear, 10000).decode()
        os.waitpid(pid, 0)
    for fd in (hear, gate, opened):
        os.close(fd)
    assert "cannot be started" in said and "pids limit" in said, said
    assert state(one)["status"] == "created" and "pids limit" in state(one)["error"]
    assert lives.ended(lives.start(one))["exit_code"] == 8


def test_a_daemon_that_cannot_start_says_why(lives, monkeypatch, tmp_path):
    """And is not tried again and again for a minute."""
    broken = tmp_path / "manager.py"
    broken.write_text("raise SystemExit('7 no reason at all')")
    monkeypatch.setattr(calling, "HERE", tmp_path)
    one = lives.create("true")
    with pytest.raises(OSError, match="the manager cannot be started: no reason at all"):
        calling.Manager.look(kept.place(one))


# -- the log ----------------------------------------------------------------------------------------------------------


def test_a_log_that_is_removed_under_its_writer(lives):
    one = lives.run(f"echo one; read line; echo two; {FOR_EVER}", interactive=True)
    printed(one, b"one\n")
    os.unlink(kept.place(one) / "log")
    with open(run_folder(one["id"]) / "stdin", "wb") as sink:
        sink.write(b"\n")
    printed(one, b"two\n")
    assert log(one) == b"two\n"
