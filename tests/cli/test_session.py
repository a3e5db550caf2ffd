"""Streams and signals between the command and a container, for which a shell of this machine stands."""

from __future__ import annotations

import io
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from helpers import attached
from helpers.waiting import wait_for

from lib.cli.attached import outputs, relay, session
from lib.cli.attached.inputs import HELD, Input
from lib.cli.attached.relay import Relay
from lib.cli.attached.session import Session
from lib.cli.attached.sources import PipeSource

PROGRAM = [sys.executable, str(Path(attached.__file__))]
ROOT = str(Path(session.__file__).parents[3])
WAITS = "echo ready; while kill -0 $PPID; do sleep 0.05; done"  # not longer than the command, or it would be left behind


@pytest.fixture(autouse=True)
def found(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", ROOT)


def start(*words: str, **how) -> subprocess.Popen:
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | how
    return subprocess.Popen([*PROGRAM, *words], **streams)


def done(*words: str, **how) -> subprocess.CompletedProcess:
    return subprocess.run([*PROGRAM, *words], **({"capture_output": True, "timeout": 60} | how))


def through_a_shell(line: str) -> subprocess.CompletedProcess:
    """``our`` in the line is the program."""
    quoted = " ".join(f"'{word}'" for word in PROGRAM)
    return subprocess.run(["bash", "-c", f'our() {{ {quoted} "$@"; }}; {line}'], capture_output=True, timeout=60)


# output


def test_bytes_come_out_as_they_are():
    every = bytes(range(256))
    ended = done("-i", "cat; cat /dev/stdin >&2; exit 3", input=every)
    assert (ended.returncode, ended.stdout) == (3, every)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-16"])
def test_whatever_the_callers_encoding(encoding, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    assert done("printf '\\303\\244\\377'").stdout == b"\xc3\xa4\xff"


def test_each_stream_comes_out_where_it_belongs_in_its_order():
    ended = done("for i in 1 2 3; do echo out $i; echo err $i >&2; done")
    assert ended.stdout == b"out 1\nout 2\nout 3\n" and ended.stderr == b"err 1\nerr 2\nerr 3\nended\n"


def test_much_output_is_whole(tmp_path):
    """Into a file, into a pipe, and into one that somebody has made non-blocking and reads slowly."""
    much = 5_000_000
    words = f"head -c {much} /dev/zero | tr '\\0' x; exit 5"
    with open(tmp_path / "out", "wb") as file:
        assert done(words, capture_output=False, stdout=file).returncode == 5
    assert (tmp_path / "out").stat().st_size == much
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with start(words, stdout=writer, stdin=subprocess.DEVNULL) as running:
        os.close(writer)
        with open(reader, "rb") as file:
            wait_for(lambda: running.poll() is None)
            assert len(file.read()) == much
    assert running.returncode == 5


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("our 'echo hi; exit 5' >&-", b""),
        ("our 'echo hi; exit 5' >&- 2>&- <&-", b""),
        ("our -i 'cat; exit 5' <&-", b""),
        ("our 'echo hi >&2; exit 5' 2>&-", b""),
        ("our 'echo hi >&2; exit 5' 2> /dev/full", b""),
        ("our 'echo hi; sleep 0.1; echo ho; exit 5' > /dev/full", b"suitcase: write /dev/stdout: no space left on device\n"),
        ("our 'echo hi; exit 5' > /dev/full 2>&1", b""),
        ("exec 9> >(true); wait $!; our 'echo hi; echo ho; exit 5' >&9", b"suitcase: write /dev/stdout: broken pipe\n"),
    ],
)
def test_an_output_that_takes_nothing(line, said):
    """The container goes on, its exit code is the command's, and one line says what was lost, if there is somebody to tell."""
    ended = through_a_shell(line)
    assert (ended.returncode, ended.stderr.replace(b"ended\n", b"")) == (5, said)


def test_a_closed_output_is_no_door_into_a_file(tmp_path):
    """The lowest free number would be given to the next file that is opened."""
    ended = through_a_shell(f"our 'echo hi; exit 5' >&-; cd {tmp_path}; ls -A")
    assert ended.stdout == b""


def test_who_is_left_behind_does_not_hold_the_session():
    """It has the pipes open still, and writes to them."""
    ended = done("(while sleep 0.02; do echo left; done) & echo mine; exit 4")
    assert ended.returncode == 4 and b"mine\n" in ended.stdout


def test_who_closes_its_output_is_still_waited_for():
    """And signals still reach it."""
    with start("exec >&- 2>&-; trap 'exit 6' USR1; while :; do kill -USR1 $PPID; sleep 0.05; done") as running:
        assert running.wait(30) == 6


def test_in_a_notebook_it_is_text(monkeypatch):
    said = {"stdout": io.StringIO(), "stderr": io.StringIO()}
    for name, stream in said.items():
        monkeypatch.setattr(sys, name, stream)
    places = outputs.outputs()
    for byte in "grün".encode() + b"\xff!":
        assert places["stdout"].write(bytes([byte])) == b""
    assert said["stdout"].getvalue() == "grün\ufffd!" and said["stderr"].getvalue() == ""


class Looked:
    """A source that poll knows nothing of, as a log that is followed without inotify."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def fileno(self) -> int:
        return -1

    def read(self):
        return self.answers.pop(0)


def test_a_source_that_must_be_looked_at(capsys):
    looked = Looked([], [("stdout", b"one ")], [], [("stdout", b"two"), ("stderr", b"three")], None)
    assert Session([looked], Relay(False), None).run() == "ended"
    assert capsys.readouterr() == ("one two", "three")


# input


def test_endless_input_ends_with_the_container():
    ended = through_a_shell("yes | our -i 'head -n 1'")
    assert (ended.returncode, ended.stdout) == (0, b"y\n")


def test_lines_arrive_while_it_runs():
    with start("-i", "while read x; do echo got $x; done; exit 7") as running:
        for line in (b"one", b"two"):
            running.stdin.write(line + b"\n")
            running.stdin.flush()
            assert running.stdout.readline() == b"got " + line + b"\n"
        running.stdin.close()
        assert running.wait(30) == 7


def test_the_end_of_input_is_not_the_end_of_output():
    assert done("-i", "cat > /dev/null; sleep 0.2; echo after; exit 8", input=b"x").stdout == b"after\n"


def test_input_that_nobody_reads_holds_up_nothing():
    """It waits where it comes from: here is only so much of it."""
    with start("-i", f"trap 'echo done; exit 2' USR1; {WAITS}") as running:
        assert running.stdout.readline() == b"ready\n"
        os.set_blocking(running.stdin.fileno(), False)
        taken = 0
        deadline = time.monotonic() + 0.3
        while time.monotonic() < deadline:
            taken += running.stdin.raw.write(bytes(1 << 16)) or 0
        assert taken < 1 << 20
        running.send_signal(signal.SIGUSR1)
        assert running.stdout.read() == b"done\n" and running.wait(30) == 2


def test_who_closes_its_input_writes_on():
    assert done("-i", "exec < /dev/null; sleep 0.2; echo on", input=bytes(1 << 20)).stdout == b"on\n"


def test_input_is_a_stream_and_no_file_of_ours():
    assert done("-i", "read x; cat /dev/stdin", input=b"a\nb\n").stdout == b"b\n"


def test_input_that_cannot_be_read_is_at_its_end(tmp_path):
    """A folder, say, or a terminal that has hung up."""
    folder, (reader, sink) = os.open(tmp_path, os.O_RDONLY), os.pipe()
    Input(sink, source=folder).step({folder: 1})
    assert os.read(reader, 1) == b""
    os.close(folder)
    os.close(reader)


def test_without_i_nothing_is_read():
    """What follows in a script on the command's standard input is not eaten."""
    assert through_a_shell("printf 'a\\nb\\n' | { our 'cat'; cat; }").stdout == b"a\nb\n"


def test_memory_stays_small_with_endless_input():
    limited = lambda: resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    with open("/dev/zero", "rb") as endless:
        assert done("-i", "head -c 50000000 | wc -c", stdin=endless, preexec_fn=limited).stdout.strip() == b"50000000"


def test_a_full_sink_is_not_written_to_and_its_source_not_read():
    reader, sink = os.pipe()
    source, writer = os.pipe()
    there = Input(sink, source=source)
    for _ in range(64):
        if source not in there.wanted():
            break
        os.write(writer, bytes(1 << 15))
        there.step({source: 1})
    assert HELD <= len(there.waiting) < 2 * HELD and list(there.wanted()) == [sink]
    os.close(reader)
    there.step({sink: 1})
    assert there.sink == -1, "nobody reads it any more: that is its end"
    os.close(writer)
    os.close(source)


# signals


PASSED = "TERM HUP QUIT INT USR1 USR2 ALRM TSTP CONT VTALRM PROF IO PWR RTMAX"


@pytest.mark.parametrize("name", PASSED.split())
def test_signals_go_along(name):
    number = getattr(signal, f"SIG{name}")
    with start(f"trap 'echo heard; exit 7' {int(number)}; {WAITS}") as running:
        assert running.stdout.readline() == b"ready\n"
        running.send_signal(number)
        assert running.stdout.read() == b"heard\n" and running.wait(30) == 7


def test_signals_go_along_from_a_shells_background():
    """A shell's ``&`` makes a command ignore SIGINT and SIGQUIT: a choice of the shell's, and none of the user's."""
    words = f"trap 'exit 9' INT; {WAITS}"
    line = 'coproc "$@"; read x <&${COPROC[0]}; kill -INT $COPROC_PID; wait $COPROC_PID'
    ended = subprocess.run(["bash", "-c", line, "-", *PROGRAM, words], timeout=60)
    assert ended.returncode == 9


@pytest.mark.parametrize("name", ["WINCH", "CHLD", "URG", "PIPE"])
def test_signals_of_our_own_do_not(name):
    number = getattr(signal, f"SIG{name}")
    with start(f"trap 'echo heard; exit 7' {int(number)}; trap 'exit 8' USR1; {WAITS}") as running:
        assert running.stdout.readline() == b"ready\n"
        running.send_signal(number)
        running.send_signal(signal.SIGUSR1)
        assert running.stdout.read() == b"" and running.wait(30) == 8


def test_what_is_ignored_stays_so():
    """nohup."""
    ignored = lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with start(f"trap 'exit 7' HUP; trap 'exit 8' USR1; {WAITS}", preexec_fn=ignored) as running:
        running.stdout.readline()
        running.send_signal(signal.SIGHUP)
        running.send_signal(signal.SIGUSR1)
        assert running.wait(30) == 8


def test_a_signal_is_passed_on_though_nobody_takes_the_output():
    """The pipe behind us is full: that must not hold up anything else."""
    reader, writer = os.pipe()
    with start("trap 'exit 7' TERM; yes & wait", stdout=writer) as running:
        os.close(writer)
        wait_for(lambda: len(os.read(reader, 1)))
        time.sleep(0.3)
        running.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        with open(reader, "rb") as file:
            while file.read(1 << 16):
                pass
        assert running.wait(30) == 7


def test_the_third_time_the_command_goes_alone():
    """As Docker's does: whatever the container makes of it, the user gets away."""
    with start(f"trap '' INT; trap 'echo heard' TERM; {WAITS}") as running:
        assert running.stdout.readline() == b"ready\n"
        running.send_signal(signal.SIGTERM)
        assert running.stdout.readline() == b"heard\n"  # of two that come at once, the kernel keeps one
        running.send_signal(signal.SIGINT)
        assert running.poll() is None
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == 1
        assert running.stderr.read() == b"\ngot 3 SIGTERM/SIGINTs, forcefully exiting\n"


def test_without_a_proxy_signals_are_the_commands_own():
    with start("--no-proxy", f"trap 'exit 7' TERM; {WAITS}") as running:
        running.stdout.readline()
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == -signal.SIGTERM


@pytest.fixture
def own(monkeypatch):
    """As in a program of its own; here, the test's output is somewhere else."""
    monkeypatch.setattr(relay, "ours", lambda: True)


def test_a_relay_gives_everything_back(own):
    reader, writer = os.pipe2(os.O_NONBLOCK)
    numbers = [number for number in signal.valid_signals() if number not in (signal.SIGKILL, signal.SIGSTOP)]
    former = signal.set_wakeup_fd(writer)
    try:
        before = [signal.getsignal(number) for number in numbers]
        with Relay() as there:
            signal.raise_signal(signal.SIGUSR1)
            signal.raise_signal(signal.SIGINT)
            assert there.take() == [signal.SIGUSR1, signal.SIGINT] and there.take() == []
        assert [signal.getsignal(number) for number in numbers] == before
    finally:
        assert signal.set_wakeup_fd(former) == writer
        os.close(reader)
        os.close(writer)


def test_in_a_notebook_the_kernel_keeps_its_signals():
    before = signal.getsignal(signal.SIGINT)
    with Relay() as there:
        assert there.fileno() == -1 and signal.getsignal(signal.SIGINT) is before


def test_what_came_before_the_session_is_passed_on_by_it(own):
    """While the container was being started, say."""
    heard = []
    with Relay() as there:
        signal.raise_signal(signal.SIGTERM)
        reader, writer = os.pipe()
        os.close(writer)
        with closing(os.fdopen(reader, "rb")):
            Session([PipeSource(reader)], there, heard.append, outputs={}).run()
    assert heard == [signal.SIGTERM]
