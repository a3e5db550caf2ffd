"""``logs``: which of what a container has printed, and how it is shown."""

from __future__ import annotations

import io
import sys

import pytest
from helpers.commands import Command
from helpers.containerlogs import Printing
from helpers.facts import ZERO, facts, ident, keep, living

from lib.cli.containers.logs import last, output
from lib.engine.log import writer
from lib.engine.log.reader import Follower
from lib.state import kept

T0 = 1_795_924_800 * 10**9  # 2026-11-29T04:00:00Z


@pytest.fixture
def printing(tmp_path, monkeypatch):
    """The log of a container that is called ``shop``; each thing printed is a second later than the one before."""
    monkeypatch.setenv("SUITCASE_STORE", str(tmp_path / "store"))
    keep(facts(0xABC, "shop", state={"status": "exited"}))
    one = Printing(kept.place(ident(0xABC)))
    clock = iter(range(T0, T0 + 10**14, 10**9))
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(writer.time, "time_ns", lambda: next(clock))
        one.open()
        for number in range(1, 6):
            one.print(b"%d\n" % number)
        one.print(b"oh\n", "stderr")
    yield one
    one.close()


@pytest.fixture
def suitcase(printing, capfd):
    return Command(capfd)


ALL = "1\n2\n3\n4\n5\n"


def test_each_stream_comes_to_its_own(suitcase):
    for name in ("shop", "/shop", ident(0xABC)[:12], ident(0xABC)):
        said = suitcase(f"logs {name}")
        assert (said.code, said.out, said.err) == (0, ALL, "oh\n")


@pytest.mark.parametrize(
    ("words", "out", "err"),
    [
        ("--tail 2", "5\n", "oh\n"),
        ("-n 3", "4\n5\n", "oh\n"),
        ("-n3", "4\n5\n", "oh\n"),
        ("--tail=0", "", ""),
        ("--tail 100", ALL, "oh\n"),
        ("--tail all", ALL, "oh\n"),
        ("--tail -1", ALL, "oh\n"),
        ("--tail some", ALL, "oh\n"),
        ("--since 2026-11-29T04:00:03Z", "4\n5\n", "oh\n"),
        ("--since 2026-11-29T04:00:03.1Z", "5\n", "oh\n"),
        ("--until 2026-11-29T04:00:01Z", "1\n2\n", ""),
        ("--until 1795924801.5 --since 1795924801", "2\n", ""),
        ("--since 2026-11-29T04:00:01Z --until 2026-11-29T04:00:03Z --tail 4", "3\n4\n", ""),
        ("--since 2100-01-01", "", ""),
        ("--until 2000-01-01", "", ""),
        ("--until 0 --since 0", ALL, "oh\n"),
        ("--until= --since=", ALL, "oh\n"),
        ("-t --tail 2", "2026-11-29T04:00:04.000000000Z 5\n", "2026-11-29T04:00:05.000000000Z oh\n"),
        ("--details --tail 2", " 5\n", " oh\n"),
        ("-t --details --tail 2", "2026-11-29T04:00:04.000000000Z  5\n", "2026-11-29T04:00:05.000000000Z  oh\n"),
        ("-f", ALL, "oh\n"),
        ("-tf=false -n 1", "", "2026-11-29T04:00:05.000000000Z oh\n"),
    ],
)
def test_options(suitcase, words, out, err):
    said = suitcase(f"logs {words} shop")
    assert (said.code, said.out, said.err) == (0, out, err)


def test_a_line_in_pieces_has_one_time_and_an_open_one_gets_no_end(printing, suitcase):
    printing.print(b"one ")
    printing.print(b"in pieces\n\nopen")
    said = suitcase("logs -t --tail 4 shop")
    assert [line.partition("Z ")[2] for line in said.out.split("\n")] == ["one in pieces", "", "open"]


def test_bytes_are_what_they_were(printing, suitcase, monkeypatch):
    printing.print(b"\0\xff\xc3\n\x1b[1m\r\n")
    out = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", out)
    suitcase("logs --tail 3 shop")
    assert out.buffer.getvalue() == b"\0\xff\xc3\n\x1b[1m\r\n"


def test_a_notebook_gets_text_and_no_half_characters():
    out = io.StringIO()
    shown = output(out)
    for byte in "ü€".encode() + b"\xff":
        shown.write(bytes([byte]))
    assert out.getvalue() == "ü€\ufffd"


def test_what_comes_is_followed_until_the_container_ends(printing, suitcase, monkeypatch):
    one, waits, numbers = kept.load(printing.place), Follower.wait, iter((6, 7))
    kept.save(one | {"state": one["state"] | living(ZERO)})

    def later(follower) -> None:  # it has read all that there was, and begins to wait
        if number := next(numbers, None):
            printing.print(b"%d\n" % number)
        else:
            kept.save(one)
        waits(follower)

    monkeypatch.setattr(Follower, "wait", later)
    said = suitcase("logs -f --tail 1 shop")
    assert (said.code, said.out, said.err) == (0, "6\n7\n", "oh\n")


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("logs nix", 1, "suitcase: No such container: nix\n"),
        ("logs", 1, "suitcase: 'suitcase logs' requires 1 argument\n"),
        ("logs shop shop", 1, "suitcase: 'suitcase logs' requires 1 argument\n"),
        ("logs --since yesterday shop", 1, 'suitcase: invalid value for "since": failed to parse value as time or duration: "yesterday" ('),
        ("logs --until 5x shop", 1, 'suitcase: invalid value for "until": failed to parse value as time or duration: "5x" ('),
        ("logs --follw shop", 125, "suitcase: unknown flag: --follw (do you mean --follow?)\n"),
        ("logs -n", 125, "suitcase: flag needs an argument: 'n' in -n\n"),
    ],
)
def test_wrong_words(suitcase, line, code, said):
    found = suitcase(line)
    assert (found.code, found.out) == (code, "") and found.err.startswith(said)


def test_a_driver_that_keeps_nothing_is_no_empty_log(suitcase):
    keep(facts(2, "quiet", log={"driver": "none"}))
    said = suitcase("logs quiet")
    assert (said.code, said.out, said.err) == (1, "", "suitcase: configured logging driver does not support reading\n")


@pytest.mark.parametrize(("word", "number"), [("all", None), ("-1", None), ("x", None), ("", None), ("0", 0), ("17", 17)])
def test_how_many_lines(word, number):
    assert last(word) == number
