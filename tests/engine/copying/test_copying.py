"""Trees copied by open folders: all that is in them arrives, and what somebody changes meanwhile leads nowhere."""

from __future__ import annotations

import io
import os
import stat
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from helpers.layers import tree
from helpers.needs import requires

from lib.engine.copying import entries, reading
from lib.engine.copying.entries import CannotCopy, Entry
from lib.engine.copying.planting import Planting, as_it_is, whoever_copies
from lib.engine.copying.reading import Tree
from lib.engine.transfer import tarring

pytestmark = [requires("root")]


@contextmanager
def opened(place: Path):
    fd = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


@pytest.fixture
def source(tmp_path):
    """A tree with one of each kind."""
    top = tmp_path / "source"
    (top / "sub/deep").mkdir(parents=True)
    (top / "small").write_text("1\n")
    (top / "large").write_bytes(os.urandom(3 << 20))
    (top / "empty").touch()
    (top / "sub/run").write_text("#!/bin/sh\n")
    os.chown(top / "sub/run", 7, 8)
    os.chmod(top / "sub/run", 0o6755)
    os.link(top / "small", top / "sub/deep/same")
    (top / "link").symlink_to("/etc/passwd")
    os.mkfifo(top / "pipe", 0o622)
    os.mknod(top / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    (top / ("n" * 150)).write_text("a long name")
    with suppress(OSError):
        os.setxattr(top / "sub/run", entries.CAPABILITY, bytes.fromhex("0100000200200000000000000000000000000000"))
    os.chmod(top / "sub", 0o2710)
    for path in (top / "sub/run", top / "small", top / "sub/deep", top / "sub", top):
        os.utime(path, (1000, 1000))
    return top


def plant(rows, target: Path, **how) -> Planting:
    target.mkdir(exist_ok=True)
    with opened(target) as top:
        planting = Planting(top, **({"owner": as_it_is} | how))
        planting.all(rows)
    return planting


def test_all_that_is_in_a_tree_arrives(source, tmp_path):
    with opened(tmp_path) as above:
        plant(Tree(above, "source"), tmp_path / "copy")
    assert tree([str(tmp_path / "copy")], times=True) == tree([str(source)], times=True)


def test_and_by_way_of_a_tar_file(source, tmp_path):
    out = io.BytesIO()
    with opened(tmp_path) as above:
        tarring.write(Tree(above, "source", "x"), out, False)
    out.seek(0)
    plant(tarring.read(out), tmp_path / "copy")
    assert tree([str(tmp_path / "copy/x")], times=True) == tree([str(source)], times=True)


def test_what_is_there_is_replaced_or_goes_on(source, tmp_path):
    copy = tmp_path / "copy"
    (copy / "sub").mkdir(parents=True)
    (copy / "sub/more").touch()
    (copy / "small").symlink_to(tmp_path / "victim")
    (tmp_path / "victim").write_text("as it was")
    (copy / "link").touch()
    with opened(tmp_path) as above:
        plant(Tree(above, "source"), copy)
    assert (tmp_path / "victim").read_text() == "as it was" and (copy / "small").read_text() == "1\n" and (copy / "sub/more").exists()
    assert (copy / "link").is_symlink()


@pytest.mark.parametrize(("mine", "theirs"), [("file", "folder"), ("folder", "file"), ("folder", "link")])
def test_a_folder_takes_no_file_s_place_nor_the_other_way_round(mine, theirs, tmp_path):
    place = tmp_path / "copy/x"
    place.parent.mkdir()
    {"folder": place.mkdir, "file": place.touch, "link": lambda: place.symlink_to(tmp_path)}[theirs]()
    kind = {"file": stat.S_IFIFO, "folder": stat.S_IFDIR}[mine]
    with pytest.raises(CannotCopy, match=r"cannot overwrite (non-)?directory"):
        plant([Entry("x", kind | 0o755)], tmp_path / "copy")


def test_no_link_on_the_way_is_followed(tmp_path):
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy/way").symlink_to(tmp_path)
    with pytest.raises(OSError, match="Not a directory"):
        plant([Entry("way/caught", stat.S_IFIFO | 0o600)], tmp_path / "copy")
    assert not (tmp_path / "caught").exists()


def test_who_copies_for_himself_gets_no_setuid_program_of_anothers_and_no_device(source, tmp_path):
    with opened(tmp_path) as above:
        planting = plant(Tree(above, "source"), tmp_path / "copy", owner=whoever_copies, devices=False)
    assert planting.left_out == ["null"] and not (tmp_path / "copy/null").exists()
    about = (tmp_path / "copy/sub/run").stat()
    assert (stat.S_IMODE(about.st_mode), about.st_uid, about.st_gid) == (0o755, 0, 0)


def test_a_file_that_grows_has_an_end_and_one_that_shrinks_is_filled_up_in_a_tar_file(tmp_path):
    (tmp_path / "log").write_bytes(b"x" * 100)
    with opened(tmp_path) as above:
        for one in Tree(above, "log", "log"):
            with open(tmp_path / "log", "ab") as file:
                file.write(b"more")
            plant([one], tmp_path / "copy")
        out = io.BytesIO()
        rows = iter(Tree(above, "log", "log"))
        one = next(rows)
        os.truncate(tmp_path / "log", 10)
        tarring.write([one], out, False)
        rows.close()
    assert (tmp_path / "copy/log").read_bytes() == b"x" * 100
    out.seek(0)
    plant(tarring.read(out), tmp_path / "back")
    assert (tmp_path / "back/log").read_bytes() == b"x" * 10 + bytes(94)


@pytest.mark.parametrize("kind", [stat.S_IFIFO, stat.S_IFCHR, stat.S_IFLNK])
def test_what_is_no_file_any_more_is_not_even_opened(kind, tmp_path):
    """Listed as a file, and by then a pipe (which would make us wait), a device, a link."""
    if kind == stat.S_IFLNK:
        (tmp_path / "x").symlink_to("/etc/passwd")
    else:
        os.mknod(tmp_path / "x", kind | 0o600, os.makedev(1, 3))
    with opened(tmp_path) as above, pytest.raises(OSError, match="something else in its place"):
        reading.opened(above, "x")


def test_nothing_stays_open(source, tmp_path):
    before = sorted(os.listdir("/proc/self/fd"))
    with opened(tmp_path) as above:
        rows = iter(Tree(above, "source"))
        for _ in range(4):
            next(rows)
        rows.close()
        with pytest.raises(CannotCopy):
            (tmp_path / "copy/sub/run").mkdir(parents=True)
            plant(Tree(above, "source"), tmp_path / "copy")
        with opened(tmp_path / "copy"):
            assert reading.size(above, "source") == sum(
                one.stat().st_size for one in source.rglob("*") if one.is_file() and not one.is_symlink() and one.name != "same"
            )
    assert sorted(os.listdir("/proc/self/fd")) == before
