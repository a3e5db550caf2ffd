"""Reading a log: whole, its last lines, a time of it; and following it, however slowly."""

from __future__ import annotations

import os
import random
import threading
import time
from pathlib import Path

import pytest
from helpers.waiting import wait_for

from lib import linux
from lib.engine.log import reader
from lib.engine.log.frames import BLOCK, HEAD, LENGTH_AT
from lib.engine.log.reader import Follower, frames
from lib.engine.log.tail import Tail
from lib.engine.log.writer import Writer
from lib.engine.moments import of as stamp


@pytest.fixture
def following(printing):
    """A follower that is closed at the end."""
    made = []

    def follow(*words) -> Follower:
        made.append(Follower(printing.place, *words))
        return made[-1]

    yield follow
    for one in made:
        one.close()


def everything(log: Follower) -> bytes:
    found = b""
    while pieces := log.read():
        found += b"".join(data for _, data in pieces)
    return found


# -- the last lines --------------------------------------------------------------------


def lines_the_long_way(pieces: list[tuple[str, bytes]], count: int) -> dict[str, bytes]:
    """Each stream's bytes in the last ``count`` lines, a line standing where its last byte does."""
    lines, begun = [], {}
    for at, (stream, letter) in enumerate((stream, bytes([letter])) for stream, data in pieces for letter in data):
        begun[stream] = at, begun.get(stream, (0, b""))[1] + letter
        if letter == b"\n":
            lines.append((begun[stream][0], stream, begun.pop(stream)[1]))
    lines = sorted([*lines, *((at, stream, data) for stream, (at, data) in begun.items())])
    found = {"stdout": b"", "stderr": b""}
    for _, stream, line in lines[max(0, len(lines) - count) :]:
        found[stream] += line
    return found


@pytest.mark.parametrize("seed", range(60))
def test_the_last_lines_of_two_streams(seed):
    chance = random.Random(seed)
    pieces = [
        (chance.choice(["stdout", "stderr"]), bytes(chance.choice(b"ab\n") for _ in range(chance.randint(1, 6))))
        for _ in range(chance.randint(0, 12))
    ]
    for count in range(12):
        tail, found = Tail(count), {"stdout": b"", "stderr": b""}
        for stream, data in reversed(pieces):
            tail.back(stream, data)
        for stream, data in pieces:
            found[stream] += data
        assert {stream: data[tail.skip[stream] :] for stream, data in found.items()} == lines_the_long_way(pieces, count), (pieces, count)


@pytest.mark.parametrize("count", [0, 1, 3, 1000, 100_000])
def test_the_last_lines_over_blocks_and_files(printing, count):
    printing.open(BLOCK * 3 // 2, 4)
    lines = [b"%d %s\n" % (number, b"x" * 90) for number in range(40_000)]
    for at in range(0, 40_000, 100):
        printing.print(b"".join(lines[at : at + 100]))
    printing.print(b"oh\n", "stderr")
    assert (printing.place / "log.2").exists()
    assert printing.bytes("stdout", tail=count + 1) == b"".join(lines[-count:] if count else [])
    assert printing.bytes("stderr", tail=count + 1) == b"oh\n"
    assert printing.bytes("stderr", tail=0) == b""


def test_the_last_lines_of_a_large_log_read_one_block(printing, monkeypatch):
    printing.open()
    printing.print(b"".join(b"%d\n" % number for number in range(1_500_000)))
    read, pread = [], os.pread
    monkeypatch.setattr(os, "pread", lambda fd, size, at: read.append(at) or pread(fd, size, at))
    assert printing.bytes(tail=3) == b"1499997\n1499998\n1499999\n"
    assert len(set(read)) == 1 and read[0] >= 10 * BLOCK


# -- a time of it ----------------------------------------------------------------------


def test_since_and_until_take_both_ends_in(printing, monkeypatch):
    printing.open()
    for second in range(5):
        monkeypatch.setattr(time, "time_ns", lambda second=second: second * 10**9)
        printing.print(b"%d\n" % second)
    assert printing.bytes(since=stamp(2 * 10**9)) == b"2\n3\n4\n"
    assert printing.bytes(until=stamp(2 * 10**9)) == b"0\n1\n2\n"
    assert printing.bytes(since=stamp(1), until=stamp(2 * 10**9 + 5)) == b"1\n2\n"
    assert printing.bytes(tail=3, until=stamp(3 * 10**9)) == b"2\n3\n", "of the last lines those of that time, as in Docker"


def test_since_passes_over_blocks_without_reading_them(printing, monkeypatch):
    printing.open()
    for second in range(8):
        monkeypatch.setattr(time, "time_ns", lambda second=second: second * 10**9)
        printing.print(b"%d" % second * 700_000)
    monkeypatch.setattr(time, "time_ns", lambda: 9 * 10**9)
    read, pread = [], os.pread
    monkeypatch.setattr(os, "pread", lambda fd, size, at: read.append(size) or pread(fd, size, at))
    assert printing.bytes(since=stamp(7 * 10**9)) == b"7" * 700_000
    assert sum(read) < 3 * BLOCK


def test_a_damaged_block_costs_no_more_than_itself(printing):
    printing.open()
    said = [b"%06d\n" % number for number in range(500_000)]
    printing.print(b"".join(said))
    with open(printing.place / "log", "r+b") as file:
        file.seek(BLOCK)
        file.write(bytes(1000))
    found = printing.bytes()
    assert found.startswith(b"".join(said[:100_000])) and found.endswith(b"".join(said[-150_000:]))
    assert printing.bytes(since="0") == found


# -- following --------------------------------------------------------------------------


def test_a_follower_sees_what_comes_and_is_woken_for_it(printing, following):
    printing.open()
    printing.print(b"before\n")
    late, whole = following(False), following()
    assert late.read() == [] and whole.read() == [("stdout", b"before\n")]
    assert linux.readable([late], 0) == []
    printing.print(b"oh\n", "stderr")
    assert linux.readable([late], 5)
    assert late.read() == whole.read() == [("stderr", b"oh\n")]
    assert late.read() == [] and linux.readable([late], 0) == []
    (printing.place / "draft").write_text("{}")
    late.read()
    os.replace(printing.place / "draft", printing.place / "container.json")
    assert linux.readable([late], 5), "the state of the container is another one"


def test_one_is_there_before_the_log_is(printing, following):
    log = following()
    assert log.read() == []
    printing.open()
    printing.print(b"one\n")
    assert log.read() == [("stdout", b"one\n")]


def test_without_inotify_one_looks(printing, following, monkeypatch):
    def none(folder, events):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(linux, "inotify", none)
    printing.open()
    log = following()
    assert log.fileno() == -1
    log.wait()
    printing.print(b"one\n")
    assert log.read() == [("stdout", b"one\n")]


def test_a_frame_that_grows_and_then_is_shorter_than_promised(printing, following, monkeypatch):
    printing.open()
    log = following()
    printing.put(b"hello, world\n")
    monkeypatch.setattr(Writer, "fill", lambda self, pipe: os.splice(pipe, self.fd, 5, offset_dst=self.end))
    printing.writer.take(printing.pipes["stdout"], "stdout")
    monkeypatch.undo()
    assert log.read() == [("stdout", b"hello")]
    assert os.read(printing.pipes["stdout"], 100) == b", world\n"
    printing.open()
    assert (printing.place / "log").read_bytes()[LENGTH_AT:HEAD] == b"0000000005\n"
    printing.print(b"more\n")
    assert log.read() == [("stdout", b"more\n")]


@pytest.mark.parametrize("max_file", [1, 2, 3])
def test_a_slow_follower_loses_nothing_and_the_writer_waits(printing, following, max_file):
    printing.open(2000, max_file)
    said = b"".join(b"%06d\n" % number for number in range(3000))
    printing.print(b"start\n")
    log, found, waited = following(), b"", 0
    for at in range(0, len(said), 700):
        printing.put(said[at : at + 700])
        while linux.waiting_in(printing.pipes["stdout"]):
            try:
                printing.take()
            except BlockingIOError:
                waited += 1
                size = len(found)
                found += b"".join(data for _, data in log.read())
                assert len(found) > size, "who waits for one who has read all would wait for ever"
    assert found + everything(log) == b"start\n" + said
    assert waited > 3
    log.close()
    printing.print(b"x" * 5000)
    assert len([name for name in os.listdir(printing.place) if name.startswith("log")]) == max_file + 1  # the lock is one


def test_a_file_that_nobody_holds_any_more_goes(printing, following):
    printing.open(2000, 2)
    log = following()
    printing.print(b"x" * 3000)
    with pytest.raises(BlockingIOError):
        printing.print(b"y" * 5000)
    log.close()
    printing.take()
    assert printing.bytes().endswith(b"y" * 1000)


def test_one_that_does_not_hold_keeps_nobody_waiting(printing):
    """``logs -f`` in a stopped terminal: it goes on with the file that it has open, gone as it is, and then with the oldest one left."""
    printing.open(2000, 3)
    printing.print(b"first\n")
    said = frames(printing.place, running=lambda: True)
    assert next(said).data == b"first\n"
    body = b"".join(b"%06d\n" % number for number in range(2000))
    printing.print(body)
    found, left = b"", printing.bytes()
    while not found.endswith(b"001999\n"):
        found += next(said).data
    said.close()
    before = found.removesuffix(left)
    assert body.startswith(before) and body.endswith(left)
    assert 1000 < len(before) < 2000 and 4000 < len(left) < 6000


def test_a_fast_writer_and_a_follower_beside_it(printing, following):
    printing.open(100_000, 2)
    said = b"".join(b"%d\n" % number for number in range(300_000))

    def write():
        for at in range(0, len(said), 5000):
            printing.put(said[at : at + 5000])
            while linux.waiting_in(printing.pipes["stdout"]):
                try:
                    printing.take()
                except BlockingIOError:
                    time.sleep(0.001)

    log, found = following(), bytearray()
    thread = threading.Thread(target=write)
    thread.start()
    while thread.is_alive():
        found += everything(log)
    thread.join()
    assert found + everything(log) == said


@pytest.mark.parametrize("harm", [os.unlink, lambda path: os.truncate(path, 0)])
def test_a_follower_goes_on_in_a_log_that_was_taken_away(printing, following, harm):
    printing.open(3000, 3)
    printing.print(b"x" * 4000)
    printing.print(b"one\n")
    log = following()
    assert everything(log) == b"x" * 4000 + b"one\n"
    harm(printing.place / "log")
    assert log.read() == []
    printing.print(b"two\n")
    assert everything(log) == b"two\n"


def test_a_follower_ends_with_its_container_and_has_all_of_it(printing):
    printing.open()
    printing.print(b"one\n")
    running, found = threading.Event(), []
    running.set()
    thread = threading.Thread(target=lambda: found.extend(frames(printing.place, tail=1, running=running.is_set)))
    thread.start()
    wait_for(lambda: found)
    printing.print(b"two\n")
    running.clear()
    thread.join(60)
    assert b"".join(piece.data for piece in found) == b"one\ntwo\n"


def test_until_ends_one_that_follows(printing):
    printing.open()
    printing.print(b"one\n")
    soon = stamp(time.time_ns() + 200_000_000)
    assert [piece.data for piece in frames(printing.place, until=soon, running=lambda: True)] == [b"one\n"]


def test_without_following_it_ends_while_the_program_prints_on(printing):
    printing.open()
    printing.print(b"one\n")
    log = frames(printing.place)
    assert next(log).data == b"one\n"
    printing.print(b"two\n")
    assert list(log) == []


def test_a_log_of_nothing(printing):
    assert list(frames(printing.place)) == list(frames(printing.place, tail=3)) == []
    assert reader.watch(printing.place / "nowhere") == -1


def test_the_watch_goes_before_its_descriptor(printing):
    """Else close(2) takes as long as the rest of a container's end."""
    log = Follower(printing.place)
    twin = os.dup(log.fileno())
    try:
        about = Path(f"/proc/self/fdinfo/{twin}")
        assert "inotify wd:1 " in about.read_text()
        log.close()
        assert "inotify wd" not in about.read_text()
    finally:
        os.close(twin)
