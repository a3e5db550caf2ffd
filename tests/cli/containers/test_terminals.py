"""``run exec attach start`` at a real terminal: what is typed, what appears, its size, and that it is afterwards what it was."""

from __future__ import annotations

import os
import signal
import sys

import pytest
from helpers.lives import BUSYBOX, log
from helpers.needs import requires
from helpers.terminals import Terminal
from helpers.waiting import wait_for

from lib.engine import ending, finding
from lib.state import kept

pytestmark = requires("root", "overlay", "busybox")
PROMPT = "/ # "


def at(*words: str, **how) -> Terminal:
    return Terminal([sys.executable, "-m", "lib.cli", *words], **how)


def sh(*flags: str, **how) -> Terminal:
    return at("run", "--rm", "-it", *flags, BUSYBOX, "sh", **how)


def drawn(our: Terminal) -> None:
    """The shell in there is ready to read."""
    our.see(PROMPT)
    wait_for(lambda: not our.echoes)


def test_run(lives):
    """What is typed, the size and its changes, the exit code; then the terminal is what it was."""
    with sh(rows=50, columns=132) as our:
        before = our.modes
        drawn(our)
        our.type("echo hello-$((1+1)); stty size; tty\n")
        for text in ("hello-2", "50 132", "/dev/pts/0"):
            our.see(text)
        our.resize(33, 77)
        our.type("stty size\n")
        our.see("33 77")
        our.type("exit 7\n")
        our.see("exit 7")
        wait_for(lambda: not kept.every())
        assert our.end() == 7 and before[3] == our.modes[3]


def test_a_program_hears_of_a_new_size(lives):
    words = "trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.02; done"
    with at("run", "--rm", "-it", BUSYBOX, "sh", "-c", words, rows=24, columns=80) as our:
        our.see("ready")
        our.resize(40, 100)
        our.see("40 100")
        assert our.end() == 0


def test_keys_are_for_the_program(lives):
    """Ctrl-C ends what runs in there, and Ctrl-D is the end of what is typed; neither is the command's."""
    with sh() as our:
        drawn(our)
        our.type("sleep 600; echo went on\n")
        our.see("sleep 600; echo went on")
        wait_for(lambda: any("sleep" in line for line in programs()))
        our.type(b"\x03")
        our.see("^C")
        our.see(PROMPT)
        our.type("echo code $?\n")
        our.see("code 130")
        our.see(PROMPT)  # else the kernel would take it, while the shell does not edit its line
        our.type(b"\x04")
        assert our.end() == 0


def programs() -> list[str]:
    """What runs in the only container."""
    (one,) = kept.every()
    pid = one["state"]["pid"]
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [open(f"/proc/{child}/comm").read() for child in file.read().split()]


def test_detached_and_attached_again(lives):
    """ctrl-p ctrl-q leaves it running; who comes back sees its screen drawn again, and types on."""
    with at("run", "-it", "--name", "box", BUSYBOX, "sh") as our:
        before = our.modes
        drawn(our)
        our.type("x=kept\n")
        our.see(PROMPT)
        our.type(b"\x10\x11")
        assert our.end() == 0 and our.modes == before
    assert finding.find("box")["state"]["status"] == "running"
    with at("attach", "box", rows=30, columns=90) as our:
        wait_for(lambda: not our.echoes)
        our.see(PROMPT)
        our.type("echo $x; stty size\n")
        our.see("kept\r\n")
        our.see("30 90")
        our.type("exit 5\n")
        assert our.end() == 5
    assert ending.wait(finding.find("box")) == 5


def test_other_keys(lives):
    with at("run", "-it", "--name", "box", "--detach-keys", "ctrl-x,x", BUSYBOX, "sh") as our:
        drawn(our)
        our.type(b"\x10\x11\x18x")
        assert our.end() == 0
    with at("attach", "--detach-keys", "@", "box") as our:
        wait_for(lambda: not our.echoes)
        our.type("@")
        assert our.end() == 0
    assert finding.find("box")["state"]["status"] == "running"


def test_two_at_one_terminal(lives):
    """Both see the same, and what either types is read."""
    with at("run", "-it", "--name", "box", BUSYBOX, "sh") as our:
        drawn(our)
        with at("attach", "box") as other:
            wait_for(lambda: not other.echoes)
            other.type("echo one-$((1+1))\n")
            for each in (our, other):
                each.see("one-2")
            our.type("exit 3\n")
            assert (our.end(), other.end()) == (3, 3)


def test_start_it_again(lives):
    """A container that was made for a terminal gets one each time."""
    with at("run", "-it", "--name", "box", BUSYBOX, "sh") as our:
        drawn(our)
        our.type("exit 3\n")
        assert our.end() == 3
    with at("start", "-a", "-i", "box", rows=31, columns=91) as our:
        drawn(our)
        our.type("stty size; exit 4\n")
        our.see("31 91")
        assert our.end() == 4


def test_exec(lives):
    lives.run("while :; do sleep 1000; done", "box")
    with at("exec", "-it", "box", "sh", rows=44, columns=99) as our:
        before = our.modes
        drawn(our)
        our.type("stty size; tty; echo $$\n")
        our.see("44 99")
        our.see("/dev/pts/0")
        our.resize(33, 77)
        our.type("stty size\n")
        our.see("33 77")
        our.type("exit 6\n")
        assert our.end() == 6 and our.modes[3] == before[3]


def test_exec_left_by_the_keys(lives):
    """Its program lives on, as with Docker."""
    one = lives.run("while [ ! -e /go ]; do sleep 0.02; done; exit 8", "box")
    with at("exec", "-it", "box", "sh", "-c", "echo ready; read x; echo on > /on; touch /go") as our:
        our.see("ready")
        our.type(b"\x10\x11")
        assert our.end() == 0
    assert finding.now(one)["state"]["status"] == "running"
    ending.kill(one)


def test_a_terminal_in_there_and_none_here(lives):
    """-t alone: it is drawn for a terminal, and goes into a pipe."""
    with at("run", "--rm", "-t", BUSYBOX, "sh", "-c", "tty; stty size", rows=50, columns=132) as our:
        our.see("/dev/pts/0")
        our.see("50 132")
        assert our.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_to_the_command_is_the_containers(lives, number):
    """Also at a terminal; and the terminal is what it was."""
    words = f"trap 'echo heard; exit 9' {int(number)}; echo ready; while :; do sleep 0.02; done"
    with at("run", "--rm", "-it", BUSYBOX, "sh", "-c", words) as our:
        before = our.modes
        our.see("ready")
        wait_for(lambda: not our.echoes)
        os.kill(our.pid, number)
        our.see("heard")
        assert our.end() == 9 and our.modes == before


def test_who_hangs_up_leaves_the_container_running(lives):
    """It hears of it by SIGHUP, and is free to go on; nothing that it prints is lost."""
    words = "trap 'echo heard' HUP; trap 'echo on; exit 3' USR1; echo ready; while :; do sleep 0.02; done"
    with at("run", "-it", "--name", "box", BUSYBOX, "sh", "-c", words) as our:
        our.see("ready")
        our.hang_up()
        one = finding.find("box")
        wait_for(lambda: b"heard" in log(one))
        ending.kill(one, "USR1")
        assert our.end() == 3
    assert ending.wait(one) == 3 and log(one).endswith(b"on\r\n")


def test_from_the_background_of_a_shell(lives):
    """With ``&``, at a terminal that a shell has: what only prints goes on."""
    line = f"{sys.executable} -m lib.cli run --rm {BUSYBOX} sh -c 'sleep 0.1; echo from behind' & wait $!; echo code $?"
    with Terminal(["/bin/sh", "-ic", line]) as our:
        our.see("from behind")
        our.see("code 0")
        our.end()
