"""How a container ended: whoever knows it is asked, and waited for as long as there is somebody who will say it."""

from __future__ import annotations

import os
import threading

import pytest
from helpers.waiting import ends

from lib import linux
from lib.engine.daemons import endings
from lib.process import calls


@pytest.mark.parametrize(("status", "code"), [(0, 0), (7 << 8, 7), (255 << 8, 255), (9, 137), (11 | 0x80, 139)])
def test_a_wait_status_in_dockers_words(status, code):
    assert endings.code_of(status) == code


def test_its_keeper_is_waited_for(tmp_path):
    """Though nobody else can tell: no process, no pidfd."""
    found, exit = [], calls.open_blank(str(tmp_path / "exit"))
    reader = threading.Thread(target=lambda: found.append(endings.find_out(tmp_path / "exit", -1, 0)), daemon=True)
    reader.start()
    reader.join(0.1)
    assert reader.is_alive(), "it may still be written"
    os.write(exit, b"%15d\n" % (7 << 8))
    os.close(exit)
    assert ends(reader.join) and found == [7]


def test_a_keeper_that_was_killed_is_not(tmp_path):
    os.close(calls.open_blank(str(tmp_path / "exit")))
    assert endings.find_out(tmp_path / "exit", -1, 0) is None
    assert endings.find_out(tmp_path / "nothing", -1, 0) is None


def test_what_is_written_takes_no_more_room_than_there_is(tmp_path):
    fd = calls.open_blank(str(tmp_path / "exit"))
    before = os.path.getsize(tmp_path / "exit")
    os.write(fd, b"%15d\n" % 0x7FFFFFFF)
    os.close(fd)
    assert os.path.getsize(tmp_path / "exit") == before == calls.BLANK


def test_a_zombie_tells():
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 9"], os.environ)
    pidfd = os.pidfd_open(pid)
    try:
        assert linux.readable([pidfd], 20)
        assert endings.of_zombie(pid) == 9
    finally:
        os.close(pidfd)
        os.waitpid(pid, 0)
    assert endings.of_zombie(pid) is None
