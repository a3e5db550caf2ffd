"""From a container's pipes into its log: whole after any kill, on a full disk, under a file that is taken away."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.containerlogs import Printing
from helpers.needs import requires

import lib
from lib import linux
from lib.engine.log.frames import BLOCK, HEAD, heads
from lib.engine.log.reader import frames
from lib.engine.log.writer import Writer
from lib.engine.moments import of as stamp

KILLS = 50
COPY = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from lib import linux
from lib.engine.log.writer import Writer

place = Path(sys.argv[2])
pipes = {stream: os.open(place / stream, os.O_RDWR | os.O_NONBLOCK) for stream in ("stdout", "stderr")}
writer = Writer(place)
os.write(1, b"!")
writer.resume(pipes)
while True:
    linux.readable(pipes.values())
    for stream, pipe in pipes.items():
        writer.take(pipe, stream)
"""


def test_frames_are_what_was_in_the_pipes(printing):
    printing.open()
    printing.print(b"one\n\0\xff")
    printing.print(b"oh\n", "stderr")
    printing.print(b"two")
    assert [(one.stream, one.data) for one in frames(printing.place)] == [
        ("stdout", b"one\n\0\xff"),
        ("stderr", b"oh\n"),
        ("stdout", b"two"),
    ]
    text = (printing.place / "log").read_bytes()
    assert text.startswith(bytes(printing.heads()[0])) and len(bytes(printing.heads()[0])) == HEAD
    assert printing.writer.take(printing.pipes["stdout"], "stdout") == 0


def copied_and_killed(place: Path, seconds: float) -> None:
    script = [sys.executable, "-I", "-S", "-c", COPY, str(Path(lib.__file__).parents[1]), str(place)]
    writer = subprocess.Popen(script, stdout=subprocess.PIPE)
    assert writer.stdout.read(1) == b"!"
    time.sleep(seconds)
    writer.send_signal(signal.SIGKILL)
    writer.communicate()


def test_no_line_is_lost_or_doubled_when_the_writer_is_killed_again_and_again(printing):
    """Under load, at any moment: the next one goes on in the midst of a frame."""
    pipes = [os.open(printing.place / stream, os.O_RDWR) for stream in ("stdout", "stderr")]  # as a program has them: it waits when full
    programs = [subprocess.Popen(["seq", "1000000000"], stdout=pipe) for pipe in pipes]
    try:
        for _ in range(KILLS):
            copied_and_killed(printing.place, random.uniform(0, 0.006))
        assert all(one.poll() is None for one in programs)
    finally:
        for fd, program in zip(pipes, programs, strict=True):
            program.kill()
            program.wait()
            os.close(fd)
    printing.open()
    for stream in ("stdout", "stderr"):
        printing.take(stream)
        found = printing.bytes(stream)
        count = found.count(b"\n") + 1  # the last line may be half of one
        assert count > 1000 and subprocess.run(["seq", str(count)], stdout=subprocess.PIPE).stdout.startswith(found)


def test_a_frame_that_was_not_finished_is_finished_from_its_own_pipe(printing, monkeypatch):
    """The head was written, some of the bytes were, and then came SIGKILL."""
    printing.open()
    printing.put(b"hello, world\n")
    monkeypatch.setattr(Writer, "fill", lambda self, pipe: os.splice(pipe, self.fd, 5, offset_dst=self.end))
    printing.writer.take(printing.pipes["stdout"], "stdout")
    monkeypatch.undo()
    assert (printing.place / "log").read_bytes().endswith(b"0000000013\nhello")
    printing.put(b"!\n")
    printing.put(b"oh\n", "stderr")
    printing.open()
    printing.take("stderr")
    printing.take("stdout")
    assert [(one.stream, one.data) for one in frames(printing.place)] == [
        ("stdout", b"hello, world\n"), ("stderr", b"oh\n"), ("stdout", b"!\n")
    ]  # fmt: skip


@pytest.mark.parametrize("length", [1, HEAD - 1])
def test_half_a_head_is_cut_off(printing, length):
    printing.open()
    printing.print(b"one\n")
    whole = (printing.place / "log").read_bytes()
    (printing.place / "log").write_bytes(whole + whole[:length])
    assert printing.bytes() == b"one\n"
    printing.open()
    printing.print(b"two\n")
    assert printing.bytes() == b"one\ntwo\n"


def test_a_pipe_that_has_gone_leaves_what_is_there(printing, monkeypatch):
    """After a restart of the machine."""
    printing.open()
    printing.put(b"hello, world\n")
    monkeypatch.setattr(Writer, "fill", lambda self, pipe: os.splice(pipe, self.fd, 5, offset_dst=self.end))
    printing.writer.take(printing.pipes["stdout"], "stdout")
    printing.writer.close()
    monkeypatch.undo()
    printing.writer = Writer(printing.place)
    printing.writer.resume({})
    assert [head.length for head in printing.heads()] == [5]


@pytest.mark.parametrize("stolen, left", [(2, b"llo\n"), (6, b"")])
def test_a_program_that_reads_its_own_output_gets_a_shorter_frame(printing, monkeypatch, stolen, left):
    printing.open()
    begin = Writer.begin

    def robbed(self, stream, waiting):
        begin(self, stream, waiting)
        os.read(printing.pipes["stdout"], stolen)

    monkeypatch.setattr(Writer, "begin", robbed)
    printing.put(b"hello\n")
    printing.writer.take(printing.pipes["stdout"], "stdout")
    monkeypatch.undo()
    printing.print(b"more\n")
    assert [head.length for head in printing.heads()] == [len(left), 5]
    assert printing.bytes() == left + b"more\n"


@requires("root")
def test_on_a_full_disk_the_output_waits_in_its_pipe(tmp_path):
    linux.mount("tmpfs", str(tmp_path), "tmpfs", "size=64k")
    one = Printing(tmp_path)
    try:
        one.open()
        (tmp_path / "large").write_bytes(bytes(48 << 10))
        one.put(b"x" * 40_000 + b"\n")
        for _ in range(3):  # also for the next writer
            with pytest.raises(OSError) as error:
                one.take()
            assert error.value.errno == errno.ENOSPC and error.value.filename == str(tmp_path / "log")
            one.open()
        one.put(b"oh\n", "stderr")
        with pytest.raises(OSError):
            one.take("stderr")
        assert one.bytes() == b"x" * len(one.bytes()), "what fitted is there, and no more than that"
        (tmp_path / "large").unlink()
        one.take("stderr")
        one.take("stdout")
        assert one.bytes() == b"x" * 40_000 + b"\n" and one.bytes("stderr") == b"oh\n"
    finally:
        one.close()
        linux.umount(str(tmp_path), linux.MNT_DETACH)


def test_half_a_head_on_a_full_disk_is_taken_back(printing, monkeypatch):
    printing.open()
    printing.print(b"one\n")
    printing.put(b"two\n")
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: write(fd, data[:7], at))
    with pytest.raises(OSError, match="No space left"):
        printing.take()
    monkeypatch.undo()
    assert len((printing.place / "log").read_bytes()) == HEAD + 4
    printing.take()
    assert printing.bytes() == b"one\ntwo\n"


@pytest.mark.parametrize("harm", [os.unlink, lambda path: os.truncate(path, 0), lambda path: os.truncate(path, HEAD + 2)])
def test_a_log_that_somebody_removes_or_empties_goes_on(printing, harm):
    printing.open()
    printing.print(b"one\n")
    harm(printing.place / "log")
    printing.print(b"two\n")
    printing.print(b"three\n")
    assert printing.bytes().endswith(b"two\nthree\n") and b"\0" not in printing.bytes()


def test_two_writers_at_once_there_are_not(printing):
    printing.open()
    with pytest.raises(BlockingIOError):
        Writer(printing.place)
    printing.writer.close()
    Writer(printing.place).close()


def test_times_never_run_backwards(printing, monkeypatch):
    printing.open()
    for now in (5_000_000_000, 3_000_000_000, 7_000_000_001):
        monkeypatch.setattr(time, "time_ns", lambda now=now: now)
        printing.open()  # nor for a writer that was not there when the clock was right
        printing.print(b"x")
    assert [head.time for head in printing.heads()] == [stamp(5 * 10**9), stamp(5 * 10**9), "1970-01-01T00:00:07.000000001Z"]


def test_at_each_block_a_head_begins(printing):
    """Whatever a program prints, be it a head; so a reader may start at a block."""
    printing.open()
    forged = b"2026-11-29T03:20:01.123456789Z stdout 0000000006\n"
    said = b"".join(b"%d %s" % (number, forged) for number in range(60_000))
    printing.print(said)
    size = (printing.place / "log").stat().st_size
    assert size > 3 * BLOCK
    with open(printing.place / "log", "rb") as file:
        for at in range(0, size, BLOCK):
            assert next(heads(os.pread(file.fileno(), HEAD, at)))
    assert printing.bytes() == said
    assert printing.bytes(tail=1) == b"59999 " + forged
    printing.open()
    printing.print(b"end")
    assert printing.bytes() == said + b"end"


@pytest.mark.parametrize("gap", [0, 1, HEAD, HEAD + 1])
def test_a_block_with_hardly_any_room_left(printing, gap):
    printing.open()
    printing.print(b"x" * (1 << 19))
    size = (printing.place / "log").stat().st_size
    printing.print(b"x" * (1 << 18))
    printing.print(b"x" * (1 << 17))
    while (left := BLOCK - (printing.place / "log").stat().st_size) > gap + HEAD:
        printing.print(b"x" * min(1 << 16, left - gap - HEAD))
    printing.print(b"more\n")
    printing.open()
    printing.print(b"and more\n")
    assert size < BLOCK and printing.bytes().strip(b"x") == b"more\nand more\n"


def test_rotation_keeps_what_max_file_allows(printing):
    printing.open(4000, 3)
    said = b"".join(b"%06d\n" % number for number in range(4000))
    for at in range(0, len(said), 700):
        printing.print(said[at : at + 700])
    names = sorted(name for name in os.listdir(printing.place) if name.startswith("log") and name != "log.lock")
    assert names == ["log", "log.1", "log.2"]
    assert all((printing.place / name).stat().st_size <= 4000 for name in names)
    left = printing.bytes()
    assert said.endswith(left) and len(left) > 6000


def test_of_one_file_with_a_size_only_the_new_one_stays(printing):
    printing.open(2000, 1)
    printing.print(b"x" * 5000)
    assert not (printing.place / "log.1").exists() and 0 < len(printing.bytes()) <= 2000


def test_without_a_size_there_is_one_file(printing):
    printing.open(None, 5)
    printing.print(b"x" * 3_000_000)
    assert not (printing.place / "log.1").exists() and len(printing.bytes()) == 3_000_000
