"""Whoever owns a tree exchanges a folder or a file just while we read it: nothing from outside of the tree is read, and nothing waits."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tarfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from helpers.lives import Lives
from helpers.needs import requires

from lib import state
from lib.cli import reports
from lib.cli.containers import writings
from lib.engine import making
from lib.images import Merged, archive, layers, pack
from lib.images.pack import Packing

ROOT = Path(__file__).parents[2]
SECRET, MINE = "a file of the host", "a file of my own!!"  # as long as the other: no more is read than was listed


@contextmanager
def in_time(seconds: int = 60):
    """Whatever hangs is ended, and fails the test."""

    def late(number, frame):
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture
def tree(tmp_path) -> Path:
    """d/shadow is harmless; so is a file of that name outside, as long as nobody reads it."""
    (tmp_path / "host").mkdir()
    (tmp_path / "host/shadow").write_text(SECRET)
    (tmp_path / "tree/d").mkdir(parents=True)
    (tmp_path / "tree/d/shadow").write_text(MINE)
    (tmp_path / "tree/e").mkdir()
    return tmp_path / "tree"


def exchange_folder(tree: Path) -> None:
    """d becomes a link out of the tree."""
    if not (tree / "d").is_symlink():
        (tree / "d").rename(tree / "was-d")
        (tree / "d").symlink_to(tree.parent / "host")


def exchange_file(tree: Path) -> None:
    (tree / "d/shadow").unlink()
    (tree / "d/shadow").symlink_to(tree.parent / "host/shadow")


def exchange_for_pipe(tree: Path) -> None:
    (tree / "d/shadow").unlink()
    os.mkfifo(tree / "d/shadow")


def exporting(tree: Path, out) -> None:
    archive.export([str(tree)], out)


def packing(tree: Path, out) -> None:
    pack.pack(str(tree), out)


@pytest.mark.parametrize("deed", [exporting, packing])
@pytest.mark.parametrize("moment", ["d", "d/shadow"])
@pytest.mark.parametrize("attack", [exchange_folder, exchange_file, exchange_for_pipe])
def test_exchanged_between_the_listing_and_the_reading(tree, monkeypatch, deed, moment, attack):
    add = Packing.add

    def meanwhile(self, name, place, about):
        if name == moment:
            attack(tree)
        add(self, name, place, about)

    monkeypatch.setattr(Packing, "add", meanwhile)
    out = io.BytesIO()
    with in_time():
        try:
            deed(tree, out)
        except OSError as error:
            assert "put something else in its place" in str(error)
    assert SECRET.encode() not in out.getvalue()


@pytest.mark.parametrize("walk", [lambda tree: Merged([str(tree)]).walk(), lambda tree: layers.walk(str(tree))])
def test_a_walk_stays_below_its_top(tree, walk):
    found = []
    for name, _, about in walk(tree):
        found.append((name, about.st_ino))
        exchange_folder(tree)
    assert ("d/shadow", (tree.parent / "host/shadow").stat().st_ino) not in found


def test_what_vanishes_is_left_out(tree):
    names = []
    for name, *_ in Merged([str(tree)]).walk():
        names.append(name)
        if name == "d":
            (tree / "d/shadow").unlink()
            (tree / "e").rmdir()
    assert names == ["d"]


def test_times_are_changed_in_the_tree_only(tree, monkeypatch):
    """SOURCE_DATE_EPOCH is put on what a RUN has made."""
    host = (tree.parent / "host/shadow").stat().st_mtime
    walk = layers.walk
    monkeypatch.setattr(layers, "walk", lambda folder: [*walk(folder), *filter(None, [exchange_folder(tree)])])
    layers.clamp(str(tree), 1000)
    assert (tree.parent / "host/shadow").stat().st_mtime == host


# -- a running container --------------------------------------------------------------------


@pytest.fixture
def box():
    lives = Lives()
    yield making.container(lives.library, lives.run("while :; do :; done", "victim"))
    lives.clean()


@requires("root", "overlay", "freezer")
@pytest.mark.parametrize("verb, deed", [("export", (archive, "export")), ("diff", (reports, "changes"))])
def test_it_stands_still_while_it_is_read(box, monkeypatch, verb, deed):
    seen = []
    monkeypatch.setattr(*deed, lambda *words: seen.append(box.cgroup.frozen) or [])
    assert CliRunner().invoke(getattr(writings, verb), ["victim"]).exit_code == 0
    assert seen == [True] and not box.cgroup.frozen


@requires("root", "overlay", "freezer")
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("disk full"), SystemExit(143)])
def test_it_goes_on_however_that_ends(box, monkeypatch, error):
    def interrupted(*words):
        seen.append(box.cgroup.frozen)
        raise error

    seen = []
    monkeypatch.setattr(archive, "export", interrupted)
    assert CliRunner().invoke(writings.export, ["victim"]).exit_code != 0
    assert seen == [True] and not box.cgroup.frozen


@requires("root", "overlay", "freezer")
def test_it_goes_on_when_whoever_read_it_was_killed(box):
    """By a signal that nobody can catch: the next one of us finds on record that it stands."""
    export = "from lib.cli.containers import writings; import os; from lib.images import archive\n"
    export += "archive.export = lambda *words: os.kill(os.getpid(), 9)\nwritings.export(['victim'])"
    assert subprocess.run([sys.executable, "-c", export], cwd=ROOT, capture_output=True).returncode == -9
    assert box.cgroup.frozen
    state.gc()
    assert not box.cgroup.frozen


@requires("root", "overlay", "freezer")
def test_one_that_was_paused_stays_so(box):
    box.cgroup.freeze()
    done = CliRunner().invoke(writings.export, ["victim"])
    assert done.exit_code == 0 and tarfile.open(fileobj=io.BytesIO(done.stdout_bytes)).getnames()
    assert box.cgroup.frozen
    box.cgroup.thaw()
