"""At a terminal: what is typed comes in as it is, the size follows, and the terminal is afterwards what it was.

A shell stands for the container.
"""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from helpers import attached
from helpers.terminals import Terminal
from helpers.waiting import wait_for

from lib.cli.attached import terminal

PROGRAM = [sys.executable, str(Path(attached.__file__))]
SHELL = "echo ready; exec sh"


@pytest.fixture(autouse=True)
def found(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(terminal.__file__).parents[3]))


def at(*words: str, **how) -> Terminal:
    return Terminal([*PROGRAM, *words], **how)


def test_what_is_typed_arrives_and_the_exit_code_comes_back():
    with at("-i", "-t", SHELL, rows=50, columns=132) as our:
        our.see("ready")
        our.type("echo hello-$((1+1)); stty size\n")
        our.see("hello-2")
        our.see("50 132")
        our.resize(33, 77)
        our.type("stty size\n")
        our.see("33 77")
        our.type("exit 7\n")
        assert our.end() == 7


def test_every_key_is_the_containers_and_our_terminal_does_nothing_itself():
    """^C, ^Z, ^S, ^V: the terminal in there decides; and nothing appears twice."""
    with at("-i", "-t", "stty raw -echo; echo ready; head -c 6 | od -An -tx1") as our:
        our.see("ready")
        assert not our.modes[3] & (termios.ECHO | termios.ICANON | termios.ISIG | termios.IEXTEN)
        assert not our.modes[0] & (termios.ICRNL | termios.IXON) and not our.modes[1] & termios.OPOST
        our.type(b"\x03\x1a\x13\x16\x04\r")
        our.see("03 1a 13 16 04 0d")
        assert our.end() == 0


def test_the_terminal_is_what_it_was():
    with at("-i", "-t", SHELL) as our:
        before = our.modes
        our.see("ready")
        wait_for(lambda: not our.echoes)
        our.type("exit 0\n")
        our.see("ended")
        assert our.modes == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_also_when_a_signal_ends_it(number):
    """It is passed on, and the program dies of it."""
    with at("-i", "-t", "echo ready; exec sleep 1000") as our:
        before = our.modes
        our.see("ready")
        wait_for(lambda: not our.echoes)
        os.kill(our.pid, number)
        our.see("ended")
        assert our.modes == before


def test_the_keys_detach():
    with at("-i", "-t", SHELL) as our:
        before = our.modes
        our.see("ready")
        our.type(b"echo a\x10b\n")
        our.see("^Pb")
        our.type(b"\x10")
        our.type(b"\x11")
        our.see("detached")
        assert our.modes == before


def test_other_keys_detach():
    with at("-i", "-t", "--keys", "ctrl-x,x", "stty -ixon; echo ready; exec cat -v") as our:
        our.see("ready")
        our.type(b"\x10\x11\n\x18y\n")
        our.see("^P^Q")
        our.see("^Xy")
        our.type(b"\x18x")
        our.see("detached")


def test_who_hangs_up_ends_only_the_input(tmp_path):
    """SIGHUP is ignored, as by nohup: the container does not hear of it, and writes on."""
    with at("-i", f"echo ready; cat; echo on > {tmp_path}/on; exit 9", ignored=[signal.SIGHUP]) as our:
        our.see("ready")
        our.hang_up()
        assert our.end() == 9 and (tmp_path / "on").exists()


def test_without_a_terminal_in_there_ours_keeps_its_lines():
    with at("-i", "echo ready; cat; echo over") as our:
        our.see("ready")
        assert our.modes[3] & termios.ICANON
        our.type("one\x7f\x7f\x7ftwo\n")
        our.see("two")
        our.type(b"\x04")
        our.see("over")
        assert our.end() == 0


def test_ctrl_c_is_passed_on():
    with at("-i", "trap 'echo heard; exit 9' INT; echo ready; while :; do sleep 0.05; done") as our:
        our.see("ready")
        our.type(b"\x03")
        our.see("heard")
        assert our.end() == 9


def test_a_terminal_in_there_needs_one_here():
    done = subprocess.run([*PROGRAM, "-i", "-t", "true"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 1 and "cannot attach stdin to a TTY-enabled container because stdin is not a terminal" in done.stderr


def test_a_size_that_is_none():
    reader, writer = os.pipe()
    assert terminal.size(reader) is None
    master, slave = os.openpty()
    assert terminal.size(slave) is None, "a new terminal does not know"
    terminal.resize(master, reader)
    for fd in (reader, writer, master, slave):
        os.close(fd)


def test_who_comes_later_makes_a_program_draw_again():
    """For a moment its terminal has another size, or the kernel would tell it of no change."""
    outer, ours = os.openpty()
    words = "trap 'echo drawn; exit' WINCH; echo ready; while :; do sleep 0.05; done"
    with Terminal(["/bin/sh", "-c", words], rows=30, columns=90) as theirs:
        theirs.see("ready")
        fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("4H", 30, 90, 0, 0))
        terminal.redraw(theirs.master, ours)
        theirs.see("drawn")
        assert terminal.size(theirs.master) == (30, 90)
    os.close(outer)
    os.close(ours)
