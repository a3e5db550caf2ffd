"""``attach exec`` and ``start -a -i``: to come to a container that runs. What needs a terminal of its own is in ``test_terminals``."""

from __future__ import annotations

import json
import os
import signal
import threading
from contextlib import contextmanager

import pytest
from helpers.lives import BUSYBOX, log, state
from helpers.needs import requires
from helpers.waiting import wait_for

from lib.cli.attached import following, staying
from lib.engine import ending, finding, joining, typists
from lib.engine.daemons.calling import Keeper
from lib.state import kept
from lib.state.record import Record

pytestmark = requires("root", "overlay", "busybox")
FOR_EVER = "while :; do sleep 1000; done"
COUNTS = "trap 'exit 6' USR1; echo up; while :; do sleep 0.02; done"


@pytest.fixture
def box(lives):
    return lives.run(FOR_EVER, "box")


@contextmanager
def typed(data: bytes = b"", ends: bool = True):
    """Within this block these bytes can be read at our own 0, and then the end; gives what to write more to, if there is to be none yet."""
    before, (reader, writer) = os.dup(0), os.pipe()
    os.write(writer, data)
    os.dup2(reader, 0)
    os.close(reader)
    try:
        if ends:
            os.close(writer)
        yield writer
    finally:
        os.dup2(before, 0)
        os.close(before)
        if not ends:
            os.close(writer)


# -- exec ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "out", "err"),
    [
        ("box echo hi", 0, "hi\n", ""),
        ("box sh -c 'echo out; echo err >&2; exit 9'", 9, "out\n", "err\n"),
        ("box sh -c 'kill -9 $$'", 137, "", ""),
        ("-w /tmp box pwd", 0, "/tmp\n", ""),
        ("-u nobody box id -un", 0, "nobody\n", ""),
        ("-u 1000:50 box sh -c 'id -u; id -g'", 0, "1000\n50\n", ""),
        ("-e A=1 -e OURS -e NOWHERE box sh -c 'echo $A $OURS; env | grep -c NOWHERE; true'", 0, "1 here\n0\n", ""),
        ("box sh -c 'echo $HOME'", 0, "/root\n", ""),
        ("-t box tty", 0, "/dev/pts/0\r\n", ""),
        ("-t box sh -c 'echo hi; exit 4'", 4, "hi\r\n", ""),
        ("box cat", 0, "", ""),
        ("box sh -c 'printf \"\\\\377\\\\0\" | od -An -tx1'", 0, " ff 00\n", ""),
    ],
)
def test_exec(suitcase, box, monkeypatch, words, code, out, err):
    monkeypatch.setenv("OURS", "here")
    with typed(b"not for it\n"):
        said = suitcase(f"exec {words}")
    assert (said.code, said.out, said.err) == (code, out, err)


def test_exec_with_a_file_of_variables(suitcase, box, tmp_path):
    (tmp_path / "env").write_text("A=file\nB=b\n")
    assert suitcase(f"exec --env-file {tmp_path}/env -e A=word box sh -c 'echo $A $B'").out == "word b\n"
    missing = suitcase(f"exec --env-file {tmp_path}/nosuch box true")
    assert missing.code == 1 and "no such file or directory" in missing.err


def test_exec_has_what_the_container_has(suitcase):
    """Its variables, user, folder, limits, rights; and with --privileged all rights."""
    suitcase(f"run -d --name box -e A=1 -w /tmp -u 1000 -m 64m --cap-drop ALL {BUSYBOX} sleep 600")
    assert suitcase("exec box sh -c 'echo $A; pwd; id -u'").out == "1\n/tmp\n1000\n"
    words = "grep -E 'Cap(Eff|Bnd)|NoNewPrivs|Seccomp:' /proc/self/status"
    assert suitcase(f"exec -u 0 box {words}").out == suitcase("exec -u 0 box grep -E 'Cap(Eff|Bnd)|NoNewPrivs|Seccomp:' /proc/1/status").out
    assert suitcase("exec box sh -c 'grep CapEff /proc/self/status'").out.split() == ["CapEff:", "0" * 16]
    everything = suitcase("exec --privileged -u 0 box grep CapEff /proc/self/status").out.split()[1]
    assert int(everything, 16) & (1 << 21), "CAP_SYS_ADMIN"


def test_exec_reads_what_is_typed(suitcase, box):
    with typed(b"one\ntwo\n"):
        assert suitcase("exec -i box cat").out == "one\ntwo\n"


def test_exec_can_open_its_input_again(suitcase, box):
    with typed(b"a\nb\n"):
        assert suitcase("exec -i box sh -c 'read x; cat /dev/stdin'").out == "b\n"


def test_exec_in_the_background(suitcase, box):
    said = suitcase("exec -d box sh -c 'echo lost; echo x > /made'")
    assert (said.code, said.out, said.err) == (0, "", "")
    wait_for(lambda: suitcase("exec box cat /made").out == "x\n")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("nosuch true", 1, "No such container: nosuch"),
        ("made true", 1, "is not running"),
        ("box nosuchprogram", 127, "nosuchprogram"),
        ("box /etc", 126, "is a folder, not a program"),
        ("-u nosuch box true", 126, "unable to find user nosuch"),
        ("-w /nosuch box true", 126, "/nosuch"),
        ("-w tmp box true", 126, "needs to be an absolute path"),
        ("-e =x box true", 125, "invalid environment variable: =x"),
        ("-it box true", 1, "cannot attach stdin to a TTY-enabled container because stdin is not a terminal"),
        ("--detach-keys x,yy box true", 1, "yy"),
        ("box", 1, "requires at least 2 arguments"),
    ],
)
def test_exec_that_fails(suitcase, lives, box, words, code, said):
    lives.create("true", "made")
    found = suitcase(f"exec {words}")
    assert found.code == code and said in found.err and not found.out, found


def test_an_interrupt_while_it_is_let_go_waits_and_then_ends_it(suitcase, lives, box, monkeypatch):
    """Half let go, it was on record for ever, and two descriptors stayed open. The leak check looks after this test."""
    save = Record.save

    def interrupted(record, **facts) -> None:
        if facts == {"owner": None}:
            os.kill(os.getpid(), signal.SIGINT)
        save(record, **facts)

    plan = joining.plan(lives.library, box, joining.Joined(["sleep", "12345"]))
    monkeypatch.setattr(Record, "save", interrupted)
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(KeyboardInterrupt):
        joining.Exec(plan)
    monkeypatch.undo()
    assert set(os.listdir("/proc/self/fd")) == before
    wait_for(lambda: "sleep 12345" not in suitcase("exec box ps").out)


def test_many_at_once_and_the_containers_end(suitcase, lives, box):
    """Each has its own code; when the container ends, all in there do."""
    done = []

    def one(number: int) -> None:
        run = joining.Exec(joining.plan(lives.library, box, joining.Joined(["sh", "-c", f"exit {number}"])))
        done.append((number, run.wait()))
        run.close()

    threads = [threading.Thread(target=one, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [(number, number) for number in range(10)]
    begun = f"/proc/{state(box)['pid']}/root/begun"
    killer = threading.Thread(target=lambda: wait_for(lambda: os.path.exists(begun)) and ending.kill(box))
    killer.start()
    assert suitcase("exec box sh -c 'touch /begun; sleep 600'").code == 137
    killer.join()


# -- attach, start -a -i ------------------------------------------------------------------------------------------------


def attached(suitcase, line: str, meanwhile) -> object:
    """The command, and ``meanwhile``, in a thread, as soon as somebody stays with the container."""
    listening = threading.Event()

    class Source(following.LogSource):
        def started(self, facts):
            super().started(facts)
            listening.set()

    def then() -> None:
        listening.wait(20)
        meanwhile()

    other = threading.Thread(target=then)
    other.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("lib.cli.attached.following.LogSource", Source)
            return suitcase(line)
    finally:
        other.join()


def test_attach_shows_what_comes_from_now_on_and_has_its_exit_code(suitcase, lives):
    one = lives.run(f"echo before; {COUNTS.replace('exit 6', 'echo after; exit 6')}", "box")
    wait_for(lambda: b"up\n" in log(one))
    said = attached(suitcase, "attach --no-stdin box", lambda: ending.kill(one, "USR1"))
    assert (said.code, said.out, said.err) == (6, "after\n", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("nosuch", "No such container: nosuch"),
        ("made", "cannot attach to a stopped container, start it first"),
        ("--detach-keys x,yy box", "yy"),
        ("typed", "cannot attach stdin to a TTY-enabled container because stdin is not a terminal"),
    ],
)
def test_attach_that_fails(suitcase, lives, box, words, said):
    lives.create("true", "made")
    if words == "typed":
        suitcase(f"run -d -it --name typed {BUSYBOX} sh")
    found = suitcase(f"attach {words}")
    assert found.code == 1 and said in found.err and not found.out, found


def test_what_is_typed_reaches_one_that_waits_for_it_and_its_end_too(suitcase):
    """Made by ``create -i``: whoever attaches first closes its input when theirs ends."""
    suitcase(f"create -i --name box {BUSYBOX} sh -c 'cat; echo over'")
    suitcase("start box")
    with typed(b"one\n"):
        said = suitcase("attach box")
    assert (said.code, said.out) == (0, "one\nover\n")
    with typed(b"two\n"):
        said = suitcase("start -a -i box")
    assert (said.code, said.out) == (0, "two\nover\n")


def test_the_input_of_one_in_the_background_stays_open(suitcase):
    """Made by ``run -d -i``: one types, goes, and the next one types on."""
    suitcase(f"run -d -i --name box {BUSYBOX} sh -c 'while read x; do echo got $x; [ $x = end ] && exit 5; done'")
    one = finding.find("box")
    for word in ("one", "two"):
        sink = os.open(f"/proc/{one['state']['pid']}/fd/0", os.O_WRONLY)
        os.write(sink, word.encode() + b"\n")
        os.close(sink)
        wait_for(lambda word=word: f"got {word}\n".encode() in log(one))
    with typed(b"end\n"):
        said = suitcase("attach box")
    assert (said.code, said.out) == (5, "got end\n")


def test_the_input_of_run_is_a_stream_that_can_be_opened_again(suitcase):
    """``cat /dev/stdin``, when all that was typed is in there and nobody types any more."""
    for user in ("0", "1000"):
        with typed(b"a\nb\n"):
            said = suitcase(f"run --rm -i -u {user} {BUSYBOX} sh -c 'read x; cat /dev/stdin; cat /proc/self/fd/0; echo end'")
        assert (said.code, said.out) == (0, "b\nend\n"), user


def test_without_i_there_is_nothing_to_read(suitcase):
    with typed(b"a\n"):
        assert suitcase(f"run --rm {BUSYBOX} sh -c 'cat; readlink /proc/self/fd/0'").out == "/dev/null\n"
        assert os.read(0, 9) == b"a\n", "what follows in a script is not eaten"


def test_somebody_types_into_one_that_its_starter_stays_with(suitcase, lives):
    suitcase(f"create -i --name box {BUSYBOX} sh -c 'read a; read b; echo $a $b'")
    one = finding.find("box")

    def another() -> None:
        sink = typists.typing_into(kept.load(kept.place(one)))
        os.write(sink, b"one\ntwo\n")
        os.close(sink)

    with typed(ends=False):
        assert attached(suitcase, "start -a -i box", another).out == "one two\n"


def test_a_terminal_that_is_lost_is_told(suitcase):
    """Keeper and manager were both killed: nobody holds its other end."""
    suitcase(f"run -d -it --name box {BUSYBOX} sleep 600")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Keeper, "give", staticmethod(lambda name: -1))
        patch.setattr("lib.cli.attached.terminal.check", lambda *words: None)
        said = suitcase("attach box")
    assert (said.code, said.err) == (1, "suitcase: the terminal of container box is lost: keeper and manager were both killed\n")


@pytest.mark.parametrize("flags", ["-it", "-i", ""])
def test_who_comes_in_the_moment_of_its_end_has_its_exit_code(suitcase, flags):
    """What they would have typed into has gone with it."""
    suitcase(f"run -d {flags} --name box {BUSYBOX} sleep 600")
    running = finding.find("box")
    ending.stop(running, 0)
    assert staying.attached(running, True, "", False) == 137


def test_what_was_printed_while_nobody_looked_is_in_the_log(suitcase, lives):
    one = lives.run("for i in 1 2 3; do echo $i; done; exit 3", "box")
    ending.wait(one)
    assert suitcase("logs box").out == "1\n2\n3\n"
    assert json.loads(suitcase("inspect box").out)[0]["State"]["ExitCode"] == 3
