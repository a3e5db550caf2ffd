"""Who is not root may still open again what it writes to, and gets nothing else of the caller's."""

from __future__ import annotations

import os
import pty

import pytest
from helpers.needs import requires

import lib
from lib.ingredients import RunAs

pytestmark = requires("root", "overlay", "busybox")

SOMEBODY = RunAs(1000, 1000, (1000,), "/")
AGAIN = ["sh", "-c", "echo out > /dev/stdout; echo err > /dev/stderr"]


@pytest.mark.parametrize("tty", [False, True], ids=["pipes", "terminal"])
def test_a_user_may_open_its_outputs_again(tty, capfd):
    """As nginx and many others do to log. Without ``own_stdio``: Permission denied."""
    ended = lib.run("busybox", AGAIN, user=SOMEBODY, tty=tty)
    assert ended.code == 0, ended.output + ended.errors
    assert (ended.output + ended.errors).replace(b"\r", b"") == b"out\nerr\n"


def test_what_is_the_callers_stays_the_callers(tmp_path):
    """A file, and a terminal of the machine's."""
    master, terminal = pty.openpty()
    try:
        with open(tmp_path / "out", "w+b") as file:
            before = os.fstat(terminal).st_uid
            with lib.Container("busybox", ["echo", "hi"], user=SOMEBODY).plan.create(terminal, file, terminal) as process:
                process.start()
                assert process.wait().code == 0
            assert (os.fstat(file.fileno()).st_uid, os.fstat(terminal).st_uid) == (os.geteuid(), before)
    finally:
        os.close(master)
        os.close(terminal)
