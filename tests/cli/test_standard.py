"""A command whose standard streams are closed, full, or read by nobody any more: every verb, as each writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import lib

COMMAND = f"{sys.executable} -m lib.cli"
GONE = "exec 9> >(true); wait $!"  # descriptor 9 is a pipe whose reader has ended, and not one that is about to
FULL = "suitcase: write /dev/stdout: no space left on device\n"


@pytest.fixture
def shell(tmp_path, monkeypatch):
    monkeypatch.setenv("SUITCASE_IMAGES", str(tmp_path / "images"))
    monkeypatch.setenv("PYTHONPATH", str(Path(lib.__file__).parents[1]))

    def call(words: str, streams: str) -> tuple[int, str]:
        line = f"{GONE}; {COMMAND} {words} {streams}; exit $?"
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60)
        assert done.stdout == ""
        return done.returncode, done.stderr

    return call


@pytest.mark.parametrize("words", ["images", "--help", "images --help", "--version"])
@pytest.mark.parametrize(
    ("streams", "code", "said"),
    [
        (">&-", 0, ""),
        (">&- 2>&- <&-", 0, ""),
        ("> /dev/full", 1, FULL),
        ("> /dev/full 2>&1", 1, ""),
        (">&9", 141, ""),
    ],
)
def test_an_output_that_takes_nothing(shell, words, streams, code, said):
    """A closed one is wanted so; a full one is an error; and who has seen enough (`| head`) is told nothing."""
    assert shell(words, streams) == (code, said)


@pytest.mark.parametrize("streams", ["2>&-", "2> /dev/full", ">&- 2>&-"])
def test_an_error_that_cannot_be_told_is_in_the_exit_code(shell, streams):
    assert shell("rmi nix:1", streams) == (1, "")


def test_a_closed_stream_is_not_given_to_the_next_file(tmp_path):
    """What is printed would be written into it."""
    words = f"import lib.cli.standard as s, sys; s.fill_gaps(); f = open('{tmp_path}/file', 'w'); assert f.fileno() > 2; print('lost')"
    line = f'{sys.executable} -c "{words}" >&- 2>&- <&-'
    assert subprocess.run(["bash", "-c", line]).returncode == 0
    assert (tmp_path / "file").read_text() == ""


def test_a_child_has_them_too():
    words = "import lib.cli.standard as s, subprocess; s.fill_gaps(); subprocess.run('ls /proc/self/fd', shell=True, stdout=2)"
    done = subprocess.run(["bash", "-c", f'{sys.executable} -c "{words}" <&-'], capture_output=True, text=True)
    assert done.stderr.split()[:3] == ["0", "1", "2"]
