"""``--env-file`` and ``--label-file`` are read by Docker's rules, and ``-e`` and ``--label`` lie over them."""

from __future__ import annotations

import os

import pytest

from lib.cli.flags import keyvalues
from lib.cli.flags.keyvalues import LONGEST_FILE, LONGEST_LINE, environment, labels

HERE = {"HOME": "/root", "EMPTY": ""}


@pytest.fixture
def file(tmp_path):
    def write(text: str | bytes, name: str = "file") -> str:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A=1\nB=2", {"A": "1", "B": "2"}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("\ufeffA=1\n", {"A": "1"}),
        ("# A=1\n   # B=2\n\n  \t\nC=#3\n", {"C": "#3"}),
        ("  A=1\n\tB=2\n", {"A": "1", "B": "2"}),
        ("A=  1  \nB=\t\n", {"A": "  1  ", "B": "\t"}),
        ("A='1'\nB=\"2\"\n'C'=3", {"A": "'1'", "B": '"2"', "'C'": "3"}),
        ("A=1=2\nB==\nC=", {"A": "1=2", "B": "=", "C": ""}),
        ("A=$HOME\\n", {"A": "$HOME\\n"}),
        ("HOME\nEMPTY\nMISSING", {"HOME": "/root", "EMPTY": ""}),
        ("A=1\nA=2", {"A": "2"}),
        ("export=1\nA.b-c=ü\u2028x", {"export": "1", "A.b-c": "ü\u2028x"}),
        ("", {}),
    ],
)
def test_a_file(file, text, found):
    assert environment([file(text)], [], HERE) == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A=1\n=2\n", "no variable name on line '=2' (line 2)"),
        ("A B=1", "variable 'A B' contains whitespaces (line 1)"),
        ("# one\n\nA =1", "variable 'A ' contains whitespaces (line 3)"),
        ("export A=1", "variable 'export A' contains whitespaces (line 1)"),
        (b"A=1\nB=\xff\n", "invalid utf8 bytes at line 2: b'B=\\xff'"),
        (b"A=1\n" + b"x" * (LONGEST_LINE + 1), "line 2 is too long: 64 KiB a line and 16 MiB in all are read"),
    ],
)
def test_a_line_that_is_wrong_is_named(file, text, said):
    path = file(text)
    with pytest.raises(ValueError) as caught:
        environment([path], [])
    assert str(caught.value) == f"--env-file: invalid env file ({path}): {said}"


def test_the_longest_line(file):
    assert environment([file("A=" + "x" * (LONGEST_LINE - 3) + "\n")], [])["A"] == "x" * (LONGEST_LINE - 3)


def test_a_file_without_an_end(file, monkeypatch):
    """/dev/zero, or a large file: no more is read than is worth reading."""
    monkeypatch.setattr(keyvalues, "LONGEST_FILE", 100)
    assert LONGEST_FILE == 16 << 20
    with pytest.raises(ValueError, match="line 26 is too long"):
        environment([file("A=1\n" * 30)], [])


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name, why in (("missing", "no such file or directory"), ("", "is a directory"), ("pipe", "it is a named pipe, and only")):
        with pytest.raises(ValueError) as caught:
            labels([str(tmp_path / name)], [])
        assert str(caught.value).startswith(f"--label-file: open {tmp_path / name}: {why}")


def test_a_pipe_of_a_shell_s():
    reading, writing = os.pipe()
    os.write(writing, b"A=1\n")
    os.close(writing)
    try:
        assert environment([f"/dev/fd/{reading}"], []) == {"A": "1"}
    finally:
        os.close(reading)


def test_the_command_line_lies_over_the_files_and_a_later_file_over_an_earlier(file):
    files = [file("A=1\nB=1\nC=1", "one"), file("B=2\nC=2", "two")]
    assert environment(files, ["C=3", "HOME", "MISSING"], HERE) == {"A": "1", "B": "2", "C": "3", "HOME": "/root", "MISSING": None}
    assert labels(files, ["C=3", "D", "E="]) == {"A": "1", "B": "2", "C": "3", "D": "", "E": ""}


def test_a_label_file_asks_nobody_for_a_value(file):
    """Docker leaves such a label out; its ``--label NAME`` is one without a value."""
    assert labels([file("HOME\nA=1")], []) == {"A": "1"}
