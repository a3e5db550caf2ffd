"""Who is not root may still open again what it writes to, and gets nothing else of the caller's."""

from __future__ import annotations

import os
import pty

import pytest
from helpers.needs import requires

import lib
from lib.ingredients import RunAs, User
from lib.process import Plan, StepError

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
    """A terminal of the machine's, a file, and a pipe that has a name there."""
    os.mkfifo(tmp_path / "pipe")
    given = [*pty.openpty(), os.open(tmp_path / "file", os.O_CREAT | os.O_RDWR), os.open(tmp_path / "pipe", os.O_RDWR)]
    try:
        before = [os.fstat(fd).st_uid for fd in given]
        with lib.Container("busybox", ["echo", "hi"], user=SOMEBODY).plan.create(*given[1:]) as process:
            process.start()
            assert process.wait().code == 0
        assert [os.fstat(fd).st_uid for fd in given] == before
    finally:
        for fd in given:
            os.close(fd)


def test_a_user_whom_the_namespace_does_not_know_is_told_so():
    """By the step that cannot become that user, not by one that would have given something away."""
    with pytest.raises(StepError, match="not mapped in the user namespace"):
        Plan(["true"], [User(), SOMEBODY]).run()
