"""Another's program: found where root's programs are, heard to the end, and out of reach of our terminal."""

from __future__ import annotations

import os

import pytest

from lib.netfilter import programs


def sh(script: str, text: str = "") -> tuple[int, str]:
    return programs.run([programs.find("sh"), "-c", script], text)


def test_more_than_a_pipe_holds_goes_in_and_comes_out():
    text = "x" * 1_000_000
    assert sh("cat; exit 3", text) == (3, text)


def test_it_says_two_things_and_is_killed():
    assert sh("echo one; echo two >&2; kill -9 $$") == (-9, "one\ntwo\n")


def test_it_speaks_english_whatever_we_speak(monkeypatch):
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert sh("echo $LC_ALL") == (0, "C\n")


def test_an_interrupt_waits_until_it_is_done(tmp_path):
    """Whoever presses Ctrl-C while a rule is taken back does not leave it there: we wait, and the program does not get to hear it."""
    done = tmp_path / "done"
    with pytest.raises(KeyboardInterrupt):
        sh(f"kill -INT {os.getpid()}; sleep 0.1; ps -o pgid= -p $$ > {done}")
    assert int(done.read_text()) != os.getpgrp()


def test_what_is_not_there_is_not_found():
    assert programs.find("no-such-program") is None
