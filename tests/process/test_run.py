"""The engine through and through: output, exit codes, time limits, create and start, exec, terminals."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import subprocess
import threading
import time
from contextlib import ExitStack

import pytest
from helpers.needs import requires
from helpers.steps import Steps
from helpers.waiting import wait_for

import lib
from lib import linux, state
from lib.ingredients import Namespaces, RootFS
from lib.process import LIVE, Plan, Starter, Step, StepError, TimeLimit
from lib.process.line import Line
from lib.process.messages import say

pytestmark = requires("root", "overlay", "busybox")


def run(*command, **options):
    return lib.run("busybox", list(command), **{"show": False, "timeout": 30} | options)


def sh(script, **options):
    return run("sh", "-c", script, **options)


# -- exit codes -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script, code", [("exit 0", 0), ("exit 1", 1), ("exit 3", 3), ("exit 125", 125), ("exit 255", 255), ("kill -9 $$", 0)]
)
def test_exit_codes(script, code):
    assert sh(script).code == code  # PID 1 does not get its own SIGKILL: `kill -9 1` from inside does nothing


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGINT, signal.SIGHUP])
def test_128_and_the_signal(number):
    done = Plan(["sh", "-c", f"kill -{int(number)} $$"]).run(show=False)
    assert (done.code, done.signal) == (128 + number, number)
    assert number.name in done.reason


def test_127_not_found_and_126_not_executable_and_125_ours(tmp_path):
    with pytest.raises(StepError) as error:
        run("no-such-program")
    assert error.value.exit_code == 127 and "in none of the folders of PATH" in str(error.value)
    with pytest.raises(StepError) as error:
        run("/etc/passwd")
    assert error.value.exit_code == 126 and "execute permission" in str(error.value)
    with pytest.raises(StepError) as error:
        run("true", volumes=[f"{tmp_path}/missing:/data"])
    assert error.value.exit_code == 125 and "does not exist on the host" in str(error.value)


# -- output -----------------------------------------------------------------------------------


def test_output_and_errors_come_apart():
    done = sh("echo out; echo err >&2")
    assert (done.output, done.errors) == (b"out\n", b"err\n")


def test_stdin_reaches_the_program():
    assert run("wc", "-c", stdin=b"x" * 300_000).text.strip() == "300000"


def test_output_is_shown_while_it_runs(capsys):
    """A line is there while the process still waits for our answer: no clock is asked."""
    seen = []

    class Watch:
        def write(self, text):
            seen.append(text)
            if "ready" in text:
                os.write(writer, b"go\n")

        def flush(self):
            pass

    reader, writer = os.pipe()
    import sys

    before, sys.stdout = sys.stdout, Watch()
    try:
        fifo = Steps(Step("prepare", "mkdir", (path := f"/dev/shm/live-{os.getpid()}",), "for a pipe", undo=(("rmtree", path),)))
        os.mkfifo(fifo_path := f"/dev/shm/live-{os.getpid()}.fifo")
        thread = threading.Thread(target=lambda: open(fifo_path, "wb").write(os.read(reader, 3)))
        thread.start()
        done = Plan(["sh", "-c", f"echo ready; read answer < {fifo_path}; echo $answer"], [fifo]).run(timeout=20)
        thread.join()
    finally:
        sys.stdout = before
        os.unlink(fifo_path)
        os.close(reader), os.close(writer)
    assert "".join(seen) == "ready\ngo\n" and done.text == "ready\ngo\n"


def test_ten_megabytes_come_through_whole():
    done = sh("head -c 10000000 /dev/zero | tr '\\0' x")
    assert len(done.output) == 10_000_000 and set(done.output) == {ord("x")}


def test_of_more_than_it_keeps_the_last_bytes_are_kept():
    from lib.process import KEEP

    done = sh(f"head -c {KEEP + 1000} /dev/zero; printf end")
    assert len(done.output) == KEEP and done.output.endswith(b"\0end")


def test_binary_output_is_kept_byte_by_byte_and_shown_with_marks(capsys):
    done = sh(r"printf '\377\000\303'; printf '\303\244'", show=True)
    assert done.output == b"\xff\0\xc3\xc3\xa4"
    assert capsys.readouterr().out == "\ufffd\0\ufffdä"


def test_half_a_character_at_the_end_is_shown(capsys):
    sh(r"printf 'a\303'", show=True)
    assert capsys.readouterr().out == "a\ufffd"


def test_a_character_in_two_halves_is_one(capsys):
    sh(r"printf '\303'; sleep 0.05; printf '\244'", show=True)
    assert capsys.readouterr().out == "ä"


def test_a_process_that_outlives_its_parent_does_not_hold_us_up():
    """It holds the pipe open for ever; without a PID namespace nobody else would end it."""
    done = Plan(["sh", "-c", "(sleep 1000; echo late) & echo early"]).run(show=False, timeout=20)
    assert done.output == b"early\n"


def test_a_writer_in_a_session_of_its_own_does_not_hold_us_up_either():
    with lib.start("busybox", ["sleep", "100"]) as box:
        done = box.exec(["sh", "-c", "setsid yes & echo early"], show=False, timeout=20)
        assert b"early" in done.output


# -- a terminal -------------------------------------------------------------------------------


def test_a_real_terminal():
    done = sh("tty; stty size; test -t 0 && test -t 1 && test -t 2 && echo all", tty=True)
    assert done.text.replace("\r\n", "\n") == "/dev/pts/0\n24 80\nall\n"


def test_typing_at_a_terminal():
    done = run("cat", tty=True, stdin=b"hello\n\x04")
    assert done.code == 0 and done.text.count("hello") == 2  # the echo, and cat's answer


def test_ctrl_c_typed_at_a_terminal_reaches_the_program():
    with lib.start("busybox", ["sh", "-c", "echo up; exec sleep 100"], tty=True, init=True) as box:
        assert os.read(box.process.master, 100).startswith(b"up")
        os.write(box.process.master, b"\x03")
        assert box.wait(20).code == 130


def test_nobody_can_type_more_than_a_terminal_keeps():
    with pytest.raises(ValueError, match="at a terminal"):
        run("cat", tty=True, stdin=b"x" * 5000)


# -- time -------------------------------------------------------------------------------------


def test_time_limit_kills_and_keeps_the_output():
    for limit in (1, 10, 60):  # on a busy machine a second may pass before it prints
        with pytest.raises(TimeLimit, match="killed") as error:
            sh("echo before; sleep 1000", timeout=limit)
        if error.value.output:
            break
    assert error.value.output == b"before\n"


def test_a_time_limit_also_for_what_ignores_sigterm_and_forks():
    with pytest.raises(TimeLimit):
        Plan(["sh", "-c", "trap '' TERM INT; sleep 1000 & sleep 1000 & wait"]).run(show=False, timeout=0.3)


@pytest.mark.parametrize("limit", [0, -1, float("nan")])
def test_where_no_time_is_left_nothing_is_started(limit, tmp_path):
    with pytest.raises(TimeLimit, match="no time is left"):
        sh("touch /data/ran", timeout=limit, volumes=[f"{tmp_path}:/data"])
    assert not list(tmp_path.iterdir())


def test_a_limit_that_is_no_number_ends_the_waiting():
    with lib.start("busybox", ["sleep", "100"]) as box, pytest.raises(TimeoutError):
        box.wait(float("nan"))


@pytest.mark.parametrize("limit", [0.0005, 0.004])
def test_a_limit_however_short_is_the_programs(limit):
    """A machine may be so busy that the making alone takes longer; that is no reason to kill the starter, which others use too."""
    before = Starter.current()
    for _ in range(8):
        with pytest.raises(TimeLimit, match=f"still running after {limit} s"):
            run("sleep", "100", timeout=limit)
    assert Starter.current() is before


@pytest.mark.parametrize("joins", [False, True], ids=["run", "exec"])
def test_no_zombie_stays_of_whom_the_limit_met_unborn(joins, monkeypatch):
    """Cloned already, but not yet heard of: it is waited for, and so is its go-between."""

    def too_late(line):
        monkeypatch.undo()
        linux.readable([line.birth.fileno()], 60)
        raise TimeLimit(0.01, words="no process was made within 0.01 s")

    with lib.start("busybox", ["sleep", "100"]) as box:
        monkeypatch.setattr(Line, "meet", too_late)
        with pytest.raises(TimeLimit, match="no process was made"):
            box.exec(["true"], show=False) if joins else run("true")
        box.kill()
        box.wait(60)


def test_a_start_that_hangs_names_its_stage(tmp_path):
    """Opening a named pipe waits for a writer, for ever: as a dead network file system would."""
    os.mkfifo(tmp_path / "pipe")
    hang = Steps(Step("mounts", "open", (str(tmp_path / "pipe"),), "hangs"))
    for limit in (2, 20):  # on a busy machine two seconds may pass before that
        with pytest.raises(TimeLimit) as error:
            Plan(["true"], [hang]).run(timeout=limit)
        if "in stage 'mounts'" in str(error.value):
            break
    assert "in stage 'mounts'" in str(error.value)


# -- create, start, exec ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "how, words",
    [
        ({"workdir": "foo"}, "the working directory 'foo' is invalid, it needs to be an absolute path"),
        ({"workdir": "/a\0b"}, "the working directory .* has a NUL in it"),
        ({"workdir": b"/"}, "the working directory b'/' is no text"),
        ({"name": ".."}, r"Invalid container name \(\.\.\), only \[a-zA-Z0-9\]"),
        ({"name": "a/b"}, "Invalid container name"),
        ({"cpus": 100_000}, "range of CPUs is from 0.01 to .*.00, as there are only .* CPUs available"),
        ({"cpus": float("inf")}, "range of CPUs"),
        ({"cpus": float("nan")}, "range of CPUs"),
        ({"cpus": -1}, "range of CPUs"),
        ({"memory": float("inf")}, "invalid size"),
        ({"command": []}, "no command specified"),
        ({"command": "ls"}, "is one text"),
        ({"command": [b"ls"]}, "is no text"),
        ({"env": {"": "x"}}, "invalid environment variable"),
    ],
)
def test_a_wrong_word_gets_its_sentence_and_leaves_nothing(how, words):
    before = sorted(state.runtime_dir().glob("*"))
    for verb in (lib.run, lib.start, lib.create):
        with pytest.raises(ValueError, match=words):
            verb("busybox", **{"command": ["true"]} | how)
    assert sorted(state.runtime_dir().glob("*")) == before, "no record either, nor the draft of one"


def test_exec_is_as_particular():
    with lib.start("busybox", ["sleep", "100"]) as box:
        for command, how in (([], {}), ("ls", {}), (["ls"], {"workdir": "tmp"}), (["ls"], {"env": {"A": None}})):
            with pytest.raises(ValueError):
                box.exec(command, **how)


def test_a_fact_that_no_record_can_hold_leaves_no_draft():
    with pytest.raises(TypeError):
        state.new_record("x", (), strange=b"bytes")
    assert not list(state.runtime_dir().glob("*.new"))


def test_an_error_of_pythons_in_a_step_is_no_input_output_error():
    for stage in ("prepare", "mounts"):
        with pytest.raises(StepError, match=r"failed: EINVAL, ValueError: embedded null") as caught:
            Plan(["true"], [Steps(Step(stage, "open", ("/a\0b",)))]).run(show=False)
        assert caught.value.exit_code == 125
    with pytest.raises(StepError, match=r"cannot run '': '' is in none of the folders of PATH") as caught:
        run("")
    assert caught.value.exit_code == 127


def test_a_signal_in_real_time_has_its_name():
    with lib.start("busybox", ["sh", "-c", "trap 'exit 9' 37; echo up; while :; do read -t 1 x < /dev/zero; done"]) as box:
        wait_for(box.logs)
        box.kill(37)
        assert box.wait(20).code == 9
    with Plan(["sleep", "100"]).start() as process:
        process.signal(37)
        assert str(process.wait(60)) == "exit 165: ended by signal 37 (SIGRTMIN+3)"


def test_create_and_start_are_two_steps(tmp_path):
    with lib.create("busybox", ["touch", "/data/ran"], volumes=[f"{tmp_path}:/data"]) as box:
        assert box.state == "created" and linux.read(f"/proc/{box.pid}/comm") == "suitcase:wait\n"
        assert not (tmp_path / "ran").exists()
        box.start()
        assert box.wait(60).code == 0 and box.state == "stopped"
    assert (tmp_path / "ran").exists() and box.state == "removed"


def test_it_cannot_be_started_twice():
    with lib.start("busybox", ["sleep", "100"]) as box, pytest.raises(RuntimeError, match="cannot start: the process is running"):
        box.process.start()


def test_removed_before_it_was_started():
    box = lib.create("busybox", ["true"])
    box.remove()
    box.remove()
    assert box.state == "removed"


def test_a_program_that_is_missing_is_told_at_start():
    with lib.create("busybox", ["nothing"]) as box, pytest.raises(StepError, match="cannot run 'nothing'"):
        box.start()


def test_logs_of_a_container_in_the_background():
    with lib.start("busybox", ["sh", "-c", "echo one; echo two >&2"]) as box:
        box.wait(60)
        assert sorted(box.logs().split()) == ["one", "two"]


def test_exec_is_in_the_same_namespaces_and_limits():
    with lib.start("busybox", ["sleep", "100"], memory="64m") as box:
        names = "for n in pid mnt uts ipc net cgroup; do readlink /proc/self/ns/$n; done; cat /proc/self/cgroup; hostname"
        seen = box.exec(["sh", "-c", names], show=False, timeout=20).text
        for kind in ("pid", "mnt", "uts", "ipc", "net", "cgroup"):
            assert os.readlink(f"/proc/{box.pid}/ns/{kind}") in seen
        assert box.hostname in seen
        listed = box.exec(["ps", "-o", "pid,comm"], show=False, timeout=20).text
        assert re.search(r"^\s*1 sleep$", listed, re.M)


def test_exec_counts_against_the_same_limit():
    with lib.start("busybox", ["sleep", "100"], pids_limit=3) as box:
        done = box.exec(["sh", "-c", "sleep 9 & sleep 9 & sleep 9 & sleep 9 & wait"], show=False, timeout=20)
        assert re.search(b"(can't|Cannot) fork", done.errors)  # busybox's words differ by release


def test_exec_gets_its_environment_folder_and_terminal():
    with lib.start("busybox", ["sleep", "100"], env={"COLOR": "blue"}) as box:
        done = box.exec(
            ["sh", "-c", "echo $COLOR $TASTE $PWD; tty"], env={"TASTE": "sweet"}, workdir="/tmp", tty=True, show=False, timeout=20
        )
        assert done.text.split() == ["blue", "sweet", "/tmp", "/dev/pts/0"]


def test_exec_into_a_paused_container_is_refused_and_removing_it_does_not_hang():
    with lib.start("busybox", ["sleep", "100"]) as box:
        box.cgroup.freeze()
        with pytest.raises(RuntimeError, match="paused"):
            box.exec(["true"])


def test_killing_a_paused_container_does_not_hang():
    with lib.start("busybox", ["sleep", "100"]) as box:
        box.cgroup.freeze()
        assert box.process.kill().code == 137


def test_stop_waits_then_kills():
    with lib.start("busybox", ["sleep", "100"]) as box:  # PID 1 without a handler: SIGTERM does nothing
        assert box.stop(timeout=0.2).code == 137
    with lib.start("busybox", ["sh", "-c", "echo up; exec sleep 100"], init=True) as box:
        wait_for(box.logs)  # before that, nobody listens yet (as in Docker)
        assert box.stop(timeout=20).code == 143


def test_a_signal_too_late_is_no_error():
    with lib.start("busybox", ["true"]) as box:
        box.wait(60)
        box.kill()
        assert box.process.poll().code == 0


def test_an_exit_code_that_somebody_else_took():
    """``os.wait()`` in a notebook cell takes any child's exit code, also ours."""
    with Plan(["true"]).start() as process:
        linux.readable([process.pidfd], 60)
        os.waitpid(process.pid, 0)
        ended = process.wait(60)
        assert ended.code == 0 or "another part of this program" in ended.reason, "since Linux 6.15 the kernel remembers it"


IGNORES = """
import signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
import lib
from lib.process import Plan
for _ in range(10):
    print(lib.run("busybox", ["sh", "-c", "exit 3"], show=False, timeout=30))
with lib.start("busybox", ["sleep", "100"]) as box:
    print(box.exec(["sh", "-c", "exit 4"], show=False, timeout=30))
    box.kill()
    print(box.wait(60))
print(Plan(["sh", "-c", "sleep 1000 & exit 5"]).run(show=False))
"""


def test_a_caller_that_ignores_sigchld_hears_the_exit_codes():
    """Nobody can wait for the children of such a caller: the kernel takes each away when it ends. Nor may what one started stay behind."""
    done = subprocess.run([os.sys.executable, "-c", IGNORES], capture_output=True, text=True, timeout=60)
    told = ["exit 3"] * 10 + ["exit 4", "exit 137: ended by signal 9 (SIGKILL)", "exit 5"]
    assert (done.stdout.splitlines(), done.stderr) == (told, "") or done.stdout.count("this program ignores SIGCHLD") == len(told)


# -- output -----------------------------------------------------------------------------------


def test_an_exit_says_how_much_of_the_output_it_has_not():
    done = sh("head -c 18000000 /dev/zero; echo oops >&2; exit 4")
    assert len(done.output) + done.cut == 18_000_000 and done.cut > 0 and done.errors == b"oops\n"
    assert str(done) == "exit 4: of its output the first 1.22MB were not kept"
    assert (sh("echo short").cut, str(sh("echo short"))) == (0, "exit 0")


def test_more_descriptors_than_select_can_count():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))  # on most machines a program begins with 1024
        for _ in range(1100):
            stack.callback(os.close, os.open("/dev/null", os.O_RDONLY))
        assert sh("echo many").text == "many\n"


# -- what the program finds around it -----------------------------------------------------------


def test_no_descriptor_and_no_signal_setting_of_ours_reaches_the_program():
    fd = os.open("/etc/passwd", os.O_RDONLY)
    os.set_inheritable(fd, True)
    try:
        assert run("ls", "/proc/self/fd").text.split() == ["0", "1", "2", "3"]  # 3 is the folder that ls itself reads
    finally:
        os.close(fd)
    status = run("cat", "/proc/self/status").text
    assert signals(status, "SigIgn") == signals(status, "SigBlk") == 0


def signals(status: str, name: str) -> int:
    """A set of signals from ``/proc/PID/status``, without 32 and 33: the C library keeps those, and make(1) passes them on ignored."""
    value = next(line.split()[1] for line in status.splitlines() if line.startswith(name))
    return int(value, 16) & ~(0b11 << 31)


def test_nohup_of_the_caller_is_not_the_containers(tmp_path):
    code = "from lib import run; print(run('busybox', ['grep', 'SigIgn', '/proc/self/status'], show=False).text)"
    done = subprocess.run(["nohup", os.sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert signals(done.stdout, "SigIgn") == 0


def test_environment_is_only_what_was_given(monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_HOST", "x")
    assert sh("env", env={"A": "b"}).text.count("\n") == 6 and "SECRET" not in sh("env").text


def test_the_host_is_out_of_sight(tmp_path):
    assert sh("set -- /proc/[0-9]*; echo $#").text == "1\n"
    assert sh(f"ls {tmp_path}").code == 1


def test_the_mount_tables_of_host_and_starter_do_not_grow():
    Starter.current()
    tables = lambda: [linux.read(f"/proc/{pid}/mountinfo") for pid in ("self", Starter._current.process.pid)]
    before = tables()
    with lib.start("busybox", ["sleep", "100"]):
        assert tables() == before


def test_ingredients_can_be_used_alone(busybox):
    assert Plan(["sh", "-c", "echo $$"], [Namespaces("pid")]).run(show=False).text == "1\n"
    bare = RootFS([busybox], bare=True)
    assert Plan(["/bin/ls", "/proc"], [bare]).run(show=False).output == b""


def test_nothing_is_held_after_a_run():
    sh("true")
    assert not LIVE


def test_show_false_shows_nothing(capsys):
    sh("echo quiet")
    assert capsys.readouterr().out == ""


def test_a_failing_stdout_of_the_caller_removes_the_container(monkeypatch):
    import sys

    class Broken:
        def write(self, text):
            raise BrokenPipeError("gone")

    monkeypatch.setattr(sys, "stdout", Broken())
    with pytest.raises(BrokenPipeError):
        sh("echo x; sleep 100", show=True)


def test_time_of_a_run_is_told():
    started = time.monotonic()
    assert 0 <= sh("true").seconds <= time.monotonic() - started


def test_what_it_said_last_is_heard_though_it_never_read_what_it_was_told():
    """A child that fails at once, while its caller is slow: its end cuts the line, and must not take its words along."""
    line = Line([], 1.0)
    line.socket, childs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with line.socket, childs:
        say(childs, {"created": True})
        line.tell(b"mapped")
        childs.close()
        assert line.next(line.socket)[0]["created"] is True
        assert line.next(line.socket) is None
