"""Who keeps a process from ending, or us from hearing of it: tracers, and children of ours that we never made. See ptrace(2), clone(2)."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers.needs import requires
from helpers.waiting import ends, wait_for

import lib
from lib import state
from lib.ingredients import RunAs
from lib.oci import lifecycle
from lib.process import TimeLimit, waiting
from lib.process.line import Line

pytestmark = requires("root", "overlay", "busybox")

ROOT = Path(__file__).parents[2]
PYTHON = os.path.realpath(sys.executable)
VOLUMES = [f"{path}:{path}:ro" for path in {"/usr", "/lib", "/lib64", sys.base_prefix} if os.path.exists(path)]
ZOMBIE, ON_ITS_WAY_OUT = 0, 0x40  # where it is held: PTRACE_O_TRACEEXIT stops it before it is dead

# A process whose child traces it, and never looks after it. (PR_SET_PTRACER: it agrees, where Yama asks for that.)
TRACED = """
import ctypes, os, sys, time
libc = ctypes.CDLL(None)
libc.prctl(0x59616D61, ctypes.c_ulong(-1), 0, 0, 0)
told, tell = os.pipe()
if os.fork() == 0:
    os.setsid()
    os.write(tell, b"%d" % libc.ptrace(0x4206, os.getppid(), None, ctypes.c_void_p(int(sys.argv[1]))))
    time.sleep(600)
print("seized" if os.read(told, 9) == b"0" else "refused", flush=True)
time.sleep(float(sys.argv[2]))
sys.exit(7)
"""


def traced(held: int, seconds: float) -> list[str]:
    return [PYTHON, "-c", TRACED, str(held), str(seconds)]


def answer(deed):
    """What it returns or raises; where it does not end, the attacker is ended, so that the test fails and does not hang."""
    found = []

    def collect():
        try:
            found.append(deed())
        except Exception as error:
            found.append(error)

    if not ends(collect):
        for facts in state.records():
            state.kill_groups(facts["undos"])
        pytest.fail("it does not end")
    return found[0]


def test_a_second_command_that_is_traced_ends_all_the_same():
    """As a zombie it is its tracer's alone to wait for: our pidfd tells that it has ended, and waitid(2) has no end."""
    with lib.start("busybox", ["sleep", "600"], volumes=VOLUMES) as box:
        assert answer(lambda: box.exec(traced(ZOMBIE, 0), show=False)).code == 7


@pytest.mark.v2
@pytest.mark.parametrize("held", [ZOMBIE, ON_ITS_WAY_OUT])
def test_a_time_limit_holds_for_a_second_command_that_is_traced(held):
    with lib.start("busybox", ["sleep", "600"], volumes=VOLUMES) as box:
        assert type(answer(lambda: box.exec(traced(held, 600), timeout=2, show=False))) is TimeLimit


@contextmanager
def traced_pid_1():
    with lib.start("busybox", traced(ON_ITS_WAY_OUT, 600), volumes=VOLUMES) as box:
        wait_for(lambda: "seized" in box.logs())
        yield box


@pytest.mark.v2
def test_pid_1_that_is_traced_is_killed():
    """Before it is dead it stops, and the kernel has not killed the rest of its PID namespace yet, nor its tracer."""
    with traced_pid_1() as box:
        box.kill(9)
        wait_for(lambda: box.process.poll())
    with traced_pid_1() as box:
        assert box.process.kill().code == 137


def test_pid_1_that_is_traced_is_killed_by_gc_and_by_an_oci_runtime():
    """Without the help of a cgroup: not everybody has one."""
    for kill in (lambda about: lifecycle.kill(about["id"], "KILL"), state.kill_recorded):
        with traced_pid_1() as box:
            about = {**box.process.record.facts, "id": "traced", "undos": []}
            folder = lifecycle.place("traced")
            folder.mkdir()
            (folder / "state.json").write_text(json.dumps(about))
            try:
                kill(about)
                wait_for(lambda: box.process.poll())
            finally:
                state.rmtree(str(folder))


LISTENED_TO = """
import sys
from lib.state import reaping
reaping.kill_listener(sys.argv[1])
print("still here")
"""


@requires("unshare")
def test_a_daemon_that_has_no_number_here_is_not_killed_and_nor_are_we(tmp_path):
    """It listens in another PID namespace, and the kernel calls it 0: to kill(2), that is everybody in our process group."""
    argv = ["unshare", "--pid", "--fork", sys.executable, "-c", LISTENED_TO, str(tmp_path / "door")]
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
        door.bind(str(tmp_path / "door"))
        door.listen()
        done = subprocess.run(argv, cwd=ROOT, start_new_session=True, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "still here\n"), done


# Children that are the parent's: they end at once, and one of them is PID 1 of a namespace below.
SIBLINGS = """
import ctypes, os, struct
libc = ctypes.CDLL(None)
libc.unshare(0x10000000)
for flags in (0x8000, 0x8000, 0x20008000):
    pid = libc.syscall(435, struct.pack("=8Q", flags, *[0] * 7), ctypes.c_size_t(64))
    if pid == 0:
        os._exit(0)
    print("made" if pid > 0 else "refused", flush=True)
"""


@pytest.mark.v2
@pytest.mark.parametrize("how", ["wait", "kill"])
def test_children_of_ours_that_we_never_made_do_not_keep_a_container_from_ending(how):
    """PID 1 ends when everybody in its PID namespace was waited for; and whoever has joined it is our child, and may make siblings."""
    with lib.start("busybox", ["sleep", "600"], volumes=VOLUMES) as box:
        assert box.exec([PYTHON, "-c", SIBLINGS], show=False).text.split()[:2] == ["made", "made"]
        if how == "wait":
            os.kill(box.pid, signal.SIGKILL)  # somebody else does
        assert answer(box.wait if how == "wait" else box.process.kill).code == 137


@pytest.mark.parametrize("room", [0, 1])
def test_a_second_command_for_which_no_descriptor_is_left_leaves_no_zombie(room, monkeypatch):
    """Another thread takes the last ones, just when its go-between (or it) is born: nobody would ever wait for it."""
    born, limits = Line.be_born, resource.getrlimit(resource.RLIMIT_NOFILE)

    def be_born(self, streams):
        free = os.open("/dev/null", os.O_RDONLY)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free + room, limits[1]))
        try:
            born(self, streams)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    with lib.start("busybox", ["sleep", "600"]) as box:
        monkeypatch.setattr(Line, "be_born", be_born)
        with pytest.raises(OSError, match="no descriptor is left"):
            box.exec(["true"])
        assert state.contained_children(os.getpid()) == {box.pid}


AGREES = """
import ctypes, os, time
ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_ulong(-1), 0, 0, 0)
os.fork()
print("here", flush=True)
time.sleep(600)
"""
TRACES = """
import ctypes, sys, time
print(ctypes.CDLL(None).ptrace(0x4206, int(sys.argv[1]), None, ctypes.c_void_p(int(sys.argv[2]))), flush=True)
time.sleep(600)
"""


@contextmanager
def traced_from_outside(whom: str, held: int, uid: int):
    """A container of uid 4711, whose PID 1 or a child of it is traced by a process of the machine's."""
    somebody = RunAs(4711, 4711, (4711,), "/")
    with lib.start("busybox", [PYTHON, "-c", AGREES], volumes=VOLUMES, user=somebody) as box:
        wait_for(lambda: box.logs().count("here") == 2)
        child = Path(f"/proc/{box.pid}/task/{box.pid}/children").read_text().strip()
        argv = [PYTHON, "-c", TRACES, str(box.pid) if whom == "PID 1" else child, str(held)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd="/", user=uid, group=uid, extra_groups=[]) as tracer:
            try:
                assert tracer.stdout.readline() == "0\n"
                yield box, tracer
            finally:
                tracer.kill()


@pytest.mark.v2
@pytest.mark.parametrize("held", [ZOMBIE, ON_ITS_WAY_OUT])
@pytest.mark.parametrize("whom", ["PID 1", "a child"])
def test_who_has_a_containers_uid_outside_does_not_keep_it_from_ending(whom, held):
    """The kernel lets him trace it. He must not keep root waiting."""
    with traced_from_outside(whom, held, uid=4711) as (box, _):
        assert answer(box.process.kill).code == 137


def test_ones_own_debugger_is_left_alone(monkeypatch):
    """It stands at its prompt, say; our waiting has an end all the same."""
    monkeypatch.setattr(waiting, "UNKILLABLE", 0.2)
    with traced_from_outside("PID 1", ZOMBIE, uid=0) as (box, tracer):
        assert "did not end within" in str(answer(box.process.kill))
        assert tracer.poll() is None


def test_a_second_command_that_stands_still_while_it_is_made_does_not_prolong_a_wait():
    """Root in the container stops it; the thread that makes it holds its lock until it has lost its patience."""
    with lib.start("busybox", ["sleep", "600"]) as box, box.exec_plan(["sleep", "600"]).start() as guest, guest.lock:
        assert "still running" in str(answer(lambda: box.wait(0.1)))


def test_a_debugger_in_a_container_may_go_on_debugging():
    """Nobody has asked for the end of whom it traces."""
    with lib.start("busybox", traced(ON_ITS_WAY_OUT, 600), volumes=VOLUMES) as box:
        wait_for(lambda: "seized" in box.logs())
        with pytest.raises(TimeoutError):
            box.wait(1)
        assert "TracerPid:\t0\n" not in Path(f"/proc/{box.pid}/status").read_text()
