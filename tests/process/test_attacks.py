"""Containers that fight back, images that lie, machines that are full: nothing hangs, leaks, or reaches the host."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import threading

import pytest
from helpers.needs import requires
from helpers.steps import Steps

import lib
from lib import linux, oci, state
from lib.ingredients import Join, Namespaces, RootFS
from lib.process import Plan, Step, StepError

pytestmark = requires("root", "overlay", "busybox")


def when_it_says(box, word: bytes) -> None:
    ended = None
    while word not in box.process.logs():
        assert ended is None, box.process.logs()
        ended = box.process.poll()  # before the next look at what it says
        linux.readable([], 0.01)


def python(code: str, **env) -> str:
    """Run a small program of its own; what it printed."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=os.environ | env)
    return done.stdout + done.stderr


# -- exec into what has ended -------------------------------------------------------------------------


@pytest.mark.parametrize("waited", [False, True])
def test_exec_into_an_ended_container_does_not_run_on_the_host(waited, tmp_path):
    with lib.start("busybox", ["true"]) as box:
        linux.readable([box.process.pidfd], 60)
        if waited:
            box.wait()
        with pytest.raises(RuntimeError, match="is not running: there is nothing to join"):
            box.exec(["touch", f"{tmp_path}/on-the-host"], show=False)
    assert not os.listdir(tmp_path)
    with pytest.raises(RuntimeError, match="is not running"):
        box.exec(["true"])


def test_a_plan_of_an_exec_that_is_carried_out_too_late(tmp_path):
    with lib.start("busybox", ["sleep", "100"]) as box:
        late = box.exec_plan(["touch", f"{tmp_path}/on-the-host"])
    with pytest.raises(ProcessLookupError, match="has ended"):
        late.run(show=False)
    assert not os.listdir(tmp_path)


def test_joining_a_pid_that_another_process_has_by_now():
    with Plan(["sleep", "100"], [Namespaces("uts")]).start() as process:
        join = Join(process.pid)
        join.start_time -= 1
        with pytest.raises(ProcessLookupError, match="has ended"):
            join.steps()


def test_exec_while_the_container_ends():
    """At whatever moment it ends: an exit code, or one clear error."""
    for pause in (0.0, 0.001, 0.002, 0.004, 0.006, 0.008, 0.012):
        with lib.start("busybox", ["sleep", "100"]) as box:
            killer = threading.Timer(pause, box.kill)
            killer.start()
            try:
                done = box.exec(["readlink", "/proc/self/exe"], show=False, timeout=20)
                assert done.code == 137 or done.text == "/bin/busybox\n"
            except StepError as error:
                assert error.advice, error
            except (ProcessLookupError, RuntimeError, ConnectionError) as error:
                assert "has ended" in str(error) or "is not running" in str(error) or "SIGKILL" in str(error), error
            killer.join()


# -- what a container can do to its own removal --------------------------------------------------------------


def test_a_tree_deeper_than_python_recurses_and_longer_than_a_path_may_be():
    half = "mkdir /{0}; cd /{0}; for i in $(seq 15); do mkdir -p $p; cd $p; done; touch x; "  # 1,500 levels, and again below them
    script = "p=$(printf 'd/%.0s' $(seq 100)); " + half.format("a") + half.format("b") + "mv /a . && echo deep"
    assert lib.run("busybox", ["sh", "-c", script], show=False, timeout=50).text == "deep\n"


def test_an_undo_goes_on_after_any_error(tmp_path, monkeypatch):
    monkeypatch.setitem(state.UNDOS, "strange", lambda: 1 / 0)
    (tmp_path / "x").touch()
    with pytest.raises(ExceptionGroup):
        state.undo_all([("unlink", str(tmp_path / "x")), ("strange",)])
    assert not os.listdir(tmp_path)


@requires("cgroup1", "freezer")
def test_cgroups_made_and_frozen_inside_go_with_the_container():
    script = (
        "mkdir /m; mount -t cgroup -o freezer none /m && mkdir /m/sub /m/sub/sub; (echo 0 > /m/sub/sub/tasks; exec sleep 1000) & "
        "until grep -q . /m/sub/sub/tasks; do sleep 0.05; done; echo FROZEN > /m/sub/freezer.state; echo ready; sleep 1000"
    )
    box = lib.start("busybox", ["sh", "-c", script], privileged=True)  # else it may not mount
    when_it_says(box, b"ready")
    thread = threading.Thread(target=box.remove, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive(), "remove hangs"


def test_a_fork_bomb_during_its_removal():
    with lib.start("busybox", ["sh", "-c", "echo up; b() { b | b & }; b & exec sleep 100"], pids_limit=60, init=True) as box:
        when_it_says(box, b"up")


def test_it_stops_itself():
    with pytest.raises(TimeoutError, match="killed"):
        Plan(["sh", "-c", "kill -STOP $$"]).run(timeout=2, show=False)
    with Plan(["sh", "-c", "trap '' TERM; echo up; kill -STOP $$"]).start() as process:
        while b"up" not in process.logs():
            linux.readable([], 0.01)
        assert process.stop(0.2).code == 137


def test_real_time_signals_are_passed_on_by_init():
    """systemd's word for "halt" is SIGRTMIN+3, and Docker sends it to images that say so (STOPSIGNAL)."""
    with lib.start("busybox", ["sh", "-c", "trap 'exit 3' 37; echo up; while :; do sleep 0.05; done"], init=True) as box:
        when_it_says(box, b"up")
        box.kill(37)
        assert box.wait(60).code == 3


def test_two_stop_it_and_a_third_removes_it():
    for _ in range(5):
        with lib.start("busybox", ["sleep", "100"]) as box:
            threads = [threading.Thread(target=box.stop, args=(0.1,)) for _ in range(2)] + [threading.Thread(target=box.remove)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(20)
                assert not thread.is_alive()


# -- long and strange words ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [100_000, 300_000])
def test_a_path_longer_than_a_message(size):
    with pytest.raises(StepError) as error:
        Plan(["/" + "x" * size]).run(show=False)
    assert error.value.errno in (errno.ENAMETOOLONG, errno.E2BIG)


def test_a_path_variable_longer_than_a_message():
    with pytest.raises(StepError, match="in none of the folders of PATH"):
        Plan(["nonesuch"], [], {"PATH": "/x" * 60_000}).run(show=False)


def test_a_layer_whose_name_ends_like_a_mount_option(busybox, tmp_path):
    low = tmp_path / "low,ro"
    low.mkdir()
    (low / "file").write_text("x")
    root = RootFS([str(low), busybox], str(tmp_path / "rw"))
    assert Plan(["/bin/sh", "-c", "cat /file; echo > /new && echo y"], [root], {"PATH": "/bin"}).run(show=False).text == "xy\n"


def test_the_words_between_commas():
    assert linux.split_options("ro,a=1\\,ro,b=\\\\,nosuid") == (3, "a=1\\,ro,b=\\\\")


def test_a_step_of_the_go_between_with_wrong_arguments():
    with pytest.raises(StepError, match="TypeError"):
        Plan(["true"], [Steps(Step("join", "mkdir"))]).run(show=False)


@pytest.mark.parametrize("what", ["file", "fifo", "none"])
def test_an_image_whose_proc_is_no_folder(what, busybox, tmp_path):
    image = tmp_path / "image"
    shutil.copytree(busybox, image, symlinks=True)
    (image / "proc").rmdir()
    {"file": (image / "proc").touch, "fifo": lambda: os.mkfifo(image / "proc"), "none": lambda: None}[what]()
    plan = Plan(["/bin/ls", "/proc/self/exe"], [RootFS([str(image)], str(tmp_path / "rw"))], {})
    if what == "none":
        assert plan.run(show=False, timeout=20).code == 0
    else:
        with pytest.raises(StepError, match="ENOTDIR"):
            plan.run(show=False, timeout=20)


MODES = """
import os, lib
os.umask(0o077)
paths = "/", "/bin", "/tmp", "/etc/passwd", "/etc/hosts", "/etc/resolv.conf", "/made", "/mounted"
print(lib.run("busybox", ["stat", "-c", "%a", *paths], workdir="/made/here", volumes=["/etc:/mounted/there"], show=False).text.split())
"""


def test_a_cautious_umask_does_not_reach_into_a_container(tmp_path):
    modes = python(MODES, SUITCASE_STORE=str(tmp_path / "store"))
    assert modes == f"{['755', '755', '1777', '644', '644', '644', '755', '755']}\n", "who is not root there reads them, too"


# -- a machine that is full, records that lie -----------------------------------------------------------------


FULL = """
from lib import linux
linux.unshare("mnt"); linux.mount(None, "/", None, "rprivate")
import os, lib
from lib import state
lib.run("busybox", ["true"], show=False)
place = str(state.runtime_dir())
before = sorted(os.listdir("/proc/self/fd"))
os.makedirs(place + "/full"); linux.mount("t", place + "/full", "tmpfs", "size=8k")
os.environ["SUITCASE_RUN"] = place + "/full"
state.Owner.current()
open(place + "/full/ballast", "wb").write(bytes(4096))
for _ in range(2):
    try:
        lib.run("busybox", ["true", "x" * 20000], show=False)
    except OSError as error:
        print(error.errno, error.strerror)
    print(sorted(name for name in os.listdir(place + "/full") if not name.endswith(".owner")), state.records(), flush=True)
os._exit(0)
"""


def test_no_half_record_when_the_memory_for_records_is_full(tmp_path):
    assert python(FULL, SUITCASE_RUN=str(tmp_path)) == "28 No space left on device\n['ballast'] []\n" * 2


def test_records_of_somebody_else_are_not_obeyed(tmp_path):
    """Who can put a folder where our records are looked for must not get others' files removed by our gc."""
    precious, run = tmp_path / "precious", tmp_path / "run"
    precious.mkdir(), run.mkdir()
    (run / "dead.owner").touch()
    facts = {"id": "x", "owner": "dead", "maker": "dead", "pid": 0, "undos": [["rmtree", str(precious)]]}
    (run / "x.json").write_text(json.dumps(facts))
    os.chown(run, 12345, 12345)
    for code in ("from lib import state; state.gc()", "import lib; lib.run('busybox', ['true'])"):
        assert "belongs to uid 12345, not to uid 0: remove it, or set SUITCASE_RUN" in python(code, SUITCASE_RUN=str(run))
    assert precious.exists()


def test_the_callers_folder_is_gone(tmp_path):
    code = "import os; os.mkdir('x'); os.chdir('x'); os.rmdir('../x'); import lib; print(lib.run('busybox', ['pwd'], show=False).text)"
    assert python(f"import os; os.chdir({str(tmp_path)!r}); {code}") == "/\n\n"


def test_oci_create_keeps_no_descriptor(tmp_path, busybox):
    shutil.copytree(busybox, tmp_path / "rootfs", symlinks=True)  # its /dev gets nodes: never in the base that all tests share
    before = len(os.listdir("/proc/self/fd"))
    config = {"process": {"args": ["sleep", "100"], "cwd": "/"}, "root": {"path": "rootfs"}, "linux": {"namespaces": [{"type": "mount"}]}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    oci.create("st-fds", str(tmp_path))
    after = len(os.listdir("/proc/self/fd"))
    oci.delete("st-fds", force=True)
    assert after <= before, "its own pidfd too is let go"


FEW = """
import os, resource, lib
from lib.lab.doctor.leaks import Look
lib.run("busybox", ["true"], show=False)
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
look, free, codes = Look(), len(os.listdir("/proc/self/fd")) - 1, []
for more in range(14):
    for tty in (False, True):
        resource.setrlimit(resource.RLIMIT_NOFILE, (free + more, hard))
        try:
            codes.append(lib.run("busybox", ["true"], memory="32m", show=False, timeout=20, tty=tty).code)
        except OSError as error:
            codes.append(f"E{error.errno}")
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert len(os.listdir("/proc/self/fd")) - 1 == free, (more, tty)
print(sorted(set(map(str, codes))), look.leaks(2))
"""


def test_descriptors_run_out_at_every_moment_of_a_start():
    assert python(FEW) == "['0', 'E24'] {}\n"


FORK = """
import os, signal, lib
from lib import state
from lib.process import Starter
lib.run("busybox", ["true"], show=False)
locks = Starter._making, state.Owner._making, state.Record._naming  # as if another thread held them just now
[lock.acquire() for lock in locks]
if pid := os.fork():
    print(os.waitpid(pid, 0)[1])
else:
    signal.alarm(20)
    os._exit(lib.run("busybox", ["true"], show=False).code)
"""


def test_a_fork_while_another_thread_starts_something():
    assert python(FORK) == "0\n"


@pytest.mark.parametrize(("program", "after"), [("sleep 99", "None"), ("true", "exit 255: exit code unknown")])
def test_a_forked_child_asks_how_its_parents_process_fares(program, after):
    """It is not its own child: no waiting without an end, neither for one that lives nor for one whose parent has not looked yet."""
    code = f"""
import os, signal, lib
from lib import linux
box = lib.start("busybox", {program.split()})
if "sleep" not in {program!r}:
    linux.readable([box.process.pidfd], 20)
if pid := os.fork():
    os.waitpid(pid, 0)
    box.remove()
else:
    signal.alarm(20)
    print(box.process.poll(), flush=True)
    os._exit(0)
"""
    assert python(code).startswith(after)


def test_what_a_removed_process_wrote_has_gone_with_it():
    box = lib.start("busybox", ["echo", "hello"])
    box.wait()
    assert box.logs() == "hello\n"
    box.remove()
    with pytest.raises(RuntimeError, match="has been removed, and what it wrote went with it"):
        box.logs()


def test_what_we_hold_of_a_process_is_handed_on_to_nobody():
    before = set(os.listdir("/proc/self/fd"))
    with lib.start("busybox", ["sleep", "99"]) as box, box.exec_plan(["sleep", "99"], tty=True).start() as guest:
        ours = {int(fd) for fd in set(os.listdir("/proc/self/fd")) - before if os.path.exists(f"/proc/self/fd/{fd}")}
        assert {box.process.pidfd, guest.pidfd, guest.master} <= ours
        assert not [os.readlink(f"/proc/self/fd/{fd}") for fd in ours if os.get_inheritable(fd)]


def test_the_same_plan_twice_at_the_same_time_has_two_records():
    plan = Plan(["sleep", "100"])
    with plan.start() as one, plan.start() as two:
        assert {one.pid, two.pid} <= {facts["pid"] for facts in state.records()}


def test_what_could_not_be_undone_stays_on_record(monkeypatch):
    process = Plan(["sleep", "100"], [Steps(Step("provide", "makedirs", ("/tmp",), undo=(("strange",),)))]).start()
    monkeypatch.setitem(state.UNDOS, "strange", lambda: 1 / 0)
    with pytest.raises(ExceptionGroup):
        process.remove()
    assert process.plan.name in {facts["id"] for facts in state.records()}
    process.record.remove()


def test_everything_is_removed_while_other_threads_run_and_wait():
    results = []

    def work():
        try:
            results.append(lib.run("busybox", ["yes"], show=False, timeout=20).code)
        except (OSError, RuntimeError, ValueError) as error:  # it may also hit a moment before the start: that is told
            results.append(137 if "SIGKILL" in str(error) or "the process is removed" in str(error) else repr(error))

    for pause in range(12):
        thread = threading.Thread(target=work)
        thread.start()
        linux.readable([], pause * 0.004)
        while thread.is_alive():
            lib.process.remove_all()
        thread.join()
    assert results == [137] * 12


WORDS = [f"{n}" + "x" * 100_000 for n in range(10)]  # more than a socket's buffer holds


def test_a_request_larger_than_a_sockets_buffer():
    assert Plan(["true", *WORDS]).run(show=False).code == 0


def test_a_store_on_a_read_only_file_system_says_the_way_out(tmp_path, monkeypatch):
    linux.mount("tmpfs", str(tmp_path), "tmpfs", "ro")
    monkeypatch.setenv("SUITCASE_STORE", str(tmp_path))
    try:
        with pytest.raises(OSError, match=r"Read-only file system.*SUITCASE_STORE"):
            lib.run("busybox", ["true"])
    finally:
        linux.umount(str(tmp_path))
