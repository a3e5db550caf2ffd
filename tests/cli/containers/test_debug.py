"""``debug``: tools in a container that has none, seen by nobody else, and gone with the shell."""

from __future__ import annotations

import os

import pytest
from helpers import layers as make
from helpers.commands import Command
from helpers.layers import member
from helpers.lives import apart
from helpers.needs import requires

from lib import bases, linux
from lib.engine import finding
from lib.images import Library, Store

pytestmark = requires("root", "overlay", "busybox")


@pytest.fixture
def bare(tmp_path, monkeypatch, capfd):
    """A container of an image that holds one program and no shell; and the command."""
    monkeypatch.setenv("SUITCASE_IMAGES", str(tmp_path / "images"))
    with open(f"{bases.find('busybox')}/bin/busybox", "rb") as program:
        alone = make.tar(member("sleep", program.read(), mode=0o755))
    with apart():
        make.image(Library(Store()), alone, name="bare:1")
        suitcase = Command(capfd)
        assert suitcase("run -d --name bare --network none bare:1 /sleep 600").code == 0
        yield suitcase


@pytest.mark.v2
def test_a_shell_where_there_is_none(bare):
    assert bare("exec bare sh").code == 127
    said = bare("debug -c 'ps; id -u; ls /' bare")
    assert said.code == 0 and "/sleep 600" in said.out and said.out.splitlines()[-5:] == ["dev", "etc", "proc", "sleep", "sys"]
    assert bare("debug -c 'exit 3' bare").code == 3


def test_the_container_sees_nothing_of_the_tools(bare):
    pid = finding.find("bare")["state"]["pid"]
    before = linux.read(f"/proc/{pid}/mountinfo")
    assert bare("debug -c 'test -x /dev/mqueue/bin/busybox && grep -c mqueue /proc/self/mountinfo /proc/1/mountinfo' bare").out == (
        "/proc/self/mountinfo:2\n/proc/1/mountinfo:1\n"
    )
    assert linux.read(f"/proc/{pid}/mountinfo") == before and bare("diff bare").out == ""


def test_the_tools_are_the_machines_and_cannot_be_changed_from_in_there(bare):
    said = bare("debug -c 'touch /dev/mqueue/bin/new; mount -o remount,rw,bind /dev/mqueue' bare")
    assert said.code and "Read-only file system" in said.err
    assert not os.path.exists(f"{bases.find('busybox')}/bin/new")


def test_what_it_cannot_join(bare):
    assert bare("debug nosuch").err == "suitcase: No such container: nosuch\n"
    bare("stop -t 0 bare")
    refused = bare("debug -c true bare")
    assert refused.code == 1 and refused.err.endswith("is not running\n")
