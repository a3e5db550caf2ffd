"""A file that somebody named is written whole or not at all, and nothing but a plain file is ever replaced."""

from __future__ import annotations

import os
import socket
import stat

import pytest
from helpers.needs import requires

from lib.atomicfile import InvalidOutputPath, atomic_file


def write(path, text: bytes = b"new") -> None:
    with atomic_file(path) as file:
        file.write(text)


def test_a_new_file_has_the_mode_that_was_asked_for_less_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write(tmp_path / "a")
    finally:
        os.umask(before)
    assert (tmp_path / "a").read_bytes() == b"new" and stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_what_fails_leaves_the_file_as_it_was(tmp_path, error):
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(type(error)), atomic_file(tmp_path / "a") as file:
        file.write(b"half")
        raise error
    assert {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)} == {"a": b"old"}


def test_a_link_stays_a_link_and_one_to_nowhere_gets_its_file(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "dangling").symlink_to("made")
    write(tmp_path / "link")
    write(tmp_path / "dangling")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "dangling").is_symlink()
    assert (tmp_path / "real").read_bytes() == (tmp_path / "made").read_bytes() == b"new"


@requires("root")
@pytest.mark.parametrize("leads", ["straight", "by a link of ours", "to nowhere yet"])
def test_a_link_that_somebody_else_has_put_into_a_folder_of_everybodys_is_not_followed(tmp_path, leads):
    shared, precious = tmp_path / "shared", tmp_path / "precious"
    shared.mkdir()
    shared.chmod(0o1777)
    if leads != "to nowhere yet":
        precious.write_bytes(b"all my work")
    (shared / "app.tar").symlink_to(precious)
    os.chown(shared / "app.tar", 1234, 1234, follow_symlinks=False)
    (tmp_path / "mine.tar").symlink_to("shared/app.tar")
    with pytest.raises(PermissionError, match="uid 1234"):
        write(tmp_path / "mine.tar" if leads == "by a link of ours" else shared / "app.tar")
    assert precious.exists() == (leads != "to nowhere yet") and (not precious.exists() or precious.read_bytes() == b"all my work")


@requires("root")
@pytest.mark.parametrize(("mode", "owner"), [(0o1777, 0), (0o755, 1234)])
def test_a_link_of_ours_there_is_followed_and_anybodys_in_a_folder_of_ours(tmp_path, mode, owner):
    (tmp_path / "link").symlink_to("real")
    os.chown(tmp_path / "link", owner, owner, follow_symlinks=False)
    tmp_path.chmod(mode)
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_bytes() == b"new"


def test_links_in_a_circle(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="Too many levels"):
        write(tmp_path / "a")


def test_what_is_no_plain_file_is_refused_and_stays_what_it_is(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "to-null").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as line:
        line.bind(str(tmp_path / "socket"))
        kinds = {name: os.stat(tmp_path / name).st_mode for name in os.listdir(tmp_path)}
        for name, word in {"pipe": "a named pipe", "folder": "a directory", "to-null": "a device", "socket": "a socket"}.items():
            with pytest.raises(InvalidOutputPath, match=f"invalid output path.*{name}.*got {word}"):
                write(tmp_path / name)
        assert {name: os.stat(tmp_path / name).st_mode for name in os.listdir(tmp_path)} == kinds


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InvalidOutputPath, match=f'directory "{tmp_path}/no/such" does not exist'):
        write(tmp_path / "no/such/file")
    assert os.listdir(tmp_path) == []
