"""``run`` and ``exec`` as programs in a pipeline or a script: bytes as they come, streams that have no end, signals, closed outputs."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.lives import BUSYBOX, log
from helpers.needs import requires
from helpers.waiting import wait_for

from lib.engine import ending, finding
from lib.state import kept

pytestmark = requires("root", "overlay", "busybox")
PROGRAM = [sys.executable, "-m", "lib.cli"]
ROOT = str(Path(__file__).parents[3])
WAITS = "echo ready; while :; do sleep 0.02; done"


@pytest.fixture(autouse=True)
def there(lives, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", ROOT)


def start(*words: str, **how) -> subprocess.Popen:
    how = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | how
    return subprocess.Popen([*PROGRAM, "run", "--rm", *words], **how)


def sh(words: str, *flags: str, **how) -> subprocess.Popen:
    return start(*flags, BUSYBOX, "sh", "-c", words, **how)


def script(line: str, **how) -> subprocess.CompletedProcess:
    """A line for bash, in which ``our [FLAG...] 'WORDS'`` runs a shell's words in a container."""
    flags = 'flags=(); while [ "${1#-}" != "$1" ]; do flags+=("$1"); shift; done'
    our = f'our() {{ {flags}; "${{program[@]}}" run --rm "${{flags[@]}}" {BUSYBOX} sh -c "$@"; }}'
    words = " ".join(map("'{}'".format, PROGRAM))
    return subprocess.run(["bash", "-c", f"program=({words}); {our}; {line}"], capture_output=True, timeout=60, **how)


# -- output -------------------------------------------------------------------------------------------------------------


def test_bytes_come_out_as_they_were_written():
    """All 256, no newline at the end, and in each stream its own."""
    words = 'i=0; while [ $i -lt 256 ]; do printf "\\\\$(printf %o $i)"; i=$((i+1)); done; printf err >&2'
    ended = sh(words).communicate(timeout=60)
    assert ended == (bytes(range(256)), b"err")


def test_in_the_order_in_which_they_were_written():
    """Where both streams go to one place, as in ``2>&1``."""
    with sh("for i in 1 2 3 4 5; do echo out $i; read x; echo err $i >&2; read x; done", "-i", stderr=subprocess.STDOUT) as running:
        for i in range(1, 6):
            for stream in ("out", "err"):
                assert running.stdout.readline() == f"{stream} {i}\n".encode()
                running.stdin.write(b"\n")
                running.stdin.flush()


def test_each_piece_when_it_comes():
    """No line is waited for, and none is kept back until the end."""
    with sh("printf part; read x; echo end", "-i") as running:
        assert os.read(running.stdout.fileno(), 100) == b"part"
        running.stdin.write(b"\n")
        running.stdin.flush()
        assert running.stdout.read() == b"end\n" and running.wait(30) == 0


def test_much_of_it_arrives_whole():
    out, _ = sh("seq 1 300000").communicate(timeout=60)
    assert out == b"".join(b"%d\n" % i for i in range(1, 300001))


def test_exec_prints_as_its_program_does(lives):
    lives.run("while :; do sleep 1000; done", "box")
    words = [*PROGRAM, "exec", "-i", "box", "sh", "-c", "cat; printf '\\377\\0' >&2; exit 4"]
    ended = subprocess.run(words, input=bytes(range(256)) * 4096, capture_output=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (4, bytes(range(256)) * 4096, b"\xff\0")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("our 'echo hi; exit 5' >&-", b""),
        ("our 'echo hi >&2; exit 5' 2>&-", b""),
        ("our 'echo hi; sleep 0.1; echo on; exit 5' > /dev/full", b"suitcase: write /dev/stdout: no space left on device\n"),
        ("exec 9> >(true); wait $!; our 'echo hi; sleep 0.1; echo hi; exit 5' >&9", b"suitcase: write /dev/stdout: broken pipe\n"),
        ("our 'cat; exit 5' <&-", b""),
        ("our -i 'cat; exit 5' <&-", b""),
    ],
)
def test_an_output_or_input_that_is_closed_or_full(line, said):
    """The container goes on, its exit code is the command's, and one line says what was lost, if there is somebody to tell."""
    ended = script(line)
    assert (ended.returncode, ended.stderr) == (5, said)


def test_the_log_has_what_nobody_took(lives):
    with subprocess.Popen([*PROGRAM, "run", "--name", "box", BUSYBOX, "sh", "-c", "echo one; echo two"], stdout=subprocess.PIPE) as running:
        running.stdout.close()
        assert running.wait(30) == 0
    assert log(finding.find("box")) == b"one\ntwo\n"


# -- input --------------------------------------------------------------------------------------------------------------


def test_without_an_end():
    limited = lambda: resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
    ended = script("yes | our -i 'head -n 1; head -c 20000000 | wc -c'", preexec_fn=limited)
    assert (ended.returncode, ended.stdout.split()) == (0, [b"y", b"20000000"])


def test_line_by_line_while_it_runs():
    with sh("while read x; do echo got $x; done; exit 7", "-i") as running:
        for line in (b"one", b"two"):
            running.stdin.write(line + b"\n")
            running.stdin.flush()
            assert running.stdout.readline() == b"got " + line + b"\n"
        running.stdin.close()
        assert running.wait(30) == 7


def test_its_end_is_not_the_end_of_output():
    with sh("cat > /dev/null; sleep 0.2; echo after; exit 8", "-i") as running:
        running.stdin.write(b"x")
        running.stdin.close()
        assert running.stdout.read() == b"after\n" and running.wait(30) == 8


def test_whoever_does_not_read_is_not_waited_for():
    ended = script("yes | our -i 'exec < /dev/null; sleep 0.2; echo on; exit 3'; exit ${PIPESTATUS[1]}")
    assert (ended.returncode, ended.stdout) == (3, b"on\n")


def test_without_i_what_follows_in_a_script_is_its_own():
    assert script("printf 'a\\nb\\n' | { our 'cat'; cat; }").stdout == b"a\nb\n"
    assert script("printf 'a\\nb\\n' | { our -i 'cat'; cat; }").stdout == b"a\nb\n"


def test_what_comes_out_of_one_goes_into_the_next():
    ended = script("our 'seq 1 1000' | our -i 'sort -rn' | our -i 'head -n 2'; exit ${PIPESTATUS[2]}")
    assert (ended.returncode, ended.stdout) == (0, b"1000\n999\n")


# -- signals ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["TERM", "HUP", "INT", "QUIT", "USR1", "USR2", "ALRM", "TSTP"])
def test_they_go_along(name):
    number = getattr(signal, f"SIG{name}")
    with sh(f"trap 'echo heard; exit 7' {int(number)}; {WAITS}") as running:
        assert running.stdout.readline() == b"ready\n"
        running.send_signal(number)
        assert running.stdout.read() == b"heard\n" and running.wait(30) == 7
    assert kept.every() == []


def test_one_that_comes_while_it_is_being_started_goes_along():
    """Wherever it meets the command: the container has heard of it, or was never made, or the command ended in order before."""
    for moment in range(8):
        running = sh(f"trap 'exit 7' TERM; {WAITS}")
        time.sleep(0.03 * moment)
        running.send_signal(signal.SIGTERM)
        if running.stdout.readline():  # the shell in there may have set no trap before: PID 1 hears of nothing that it does not ask for
            running.send_signal(signal.SIGTERM)
        _, err = running.communicate(timeout=30)
        assert running.returncode in (7, 128 + signal.SIGTERM, -signal.SIGTERM) and b"Traceback" not in err, (moment, err)
        wait_for(lambda: not kept.every())


def test_without_a_proxy_they_end_the_command_alone():
    with subprocess.Popen(
        [*PROGRAM, "run", "--sig-proxy=false", "--name", "box", BUSYBOX, "sh", "-c", f"trap 'exit 7' TERM; {WAITS}"], stdout=subprocess.PIPE
    ) as running:
        assert running.stdout.readline() == b"ready\n"
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) in (128 + signal.SIGTERM, -signal.SIGTERM)
    assert finding.now(finding.find("box"))["state"]["status"] == "running"


def test_three_times_and_the_command_goes_alone():
    with subprocess.Popen(
        [*PROGRAM, "run", "--name", "box", BUSYBOX, "sh", "-c", f"trap '' INT; trap 'echo heard' TERM; {WAITS}"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as running:  # fmt: skip
        assert running.stdout.readline() == b"ready\n"
        running.send_signal(signal.SIGTERM)
        assert running.stdout.readline() == b"heard\n"  # of two that come at once, the kernel keeps one
        running.send_signal(signal.SIGINT)
        assert running.poll() is None
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == 1 and running.stderr.read() == b"\ngot 3 SIGTERM/SIGINTs, forcefully exiting\n"
    assert finding.now(finding.find("box"))["state"]["status"] == "running"


def test_nohup_and_the_background():
    """SIGHUP is ignored; the container hears nothing of it, and of others it does."""
    ignored = lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with sh(f"trap 'exit 7' HUP; trap 'exit 8' USR1; {WAITS}", preexec_fn=ignored) as running:
        running.stdout.readline()
        running.send_signal(signal.SIGHUP)
        running.send_signal(signal.SIGUSR1)
        assert running.wait(30) == 8
    line = "coproc our \"trap 'exit 9' INT; echo ready; while :; do sleep 0.02; done\"; read x <&${COPROC[0]}; "
    ended = script(line + "kill -INT $(pgrep -P $COPROC_PID || echo $COPROC_PID); wait $COPROC_PID")
    assert ended.returncode == 9, ended


def test_stopped_by_another_command_the_code_is_the_containers():
    with sh(f"trap 'exit 7' TERM; {WAITS}", "--name", "box") as running:
        assert running.stdout.readline() == b"ready\n"
        ending.stop(finding.find("box"))
        assert running.wait(30) == 7


def test_removed_under_it_the_command_ends_too():
    with sh(WAITS, "--name", "box") as running:
        assert running.stdout.readline() == b"ready\n"
        ending.remove(finding.find("box"), force=True)
        assert running.wait(30) == 137
