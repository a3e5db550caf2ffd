"""``cp`` beside the real Docker: what goes where, exit codes, the first words on failure; and what is sent to ``-``."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys

import pytest
from helpers.commands import Command, Docker, at_once, first_words, given_to
from helpers.lives import BUSYBOX
from helpers.needs import requires

pytestmark = [requires("root", "overlay", "busybox")]
TREE = "mkdir -p /src/sub; echo 1 > /src/a; chmod 640 /src/a; chown 5:6 /src/a; echo 2 > /src/sub/b; ln -s a /src/link; ln -s /src /way; \
ln -s nowhere /lost; echo 3 > /file; mkdir /have"

OUT = """
box:/file new
box:/file have
box:/file have/
box:/file old
box:/file no/new
box:/file nodir/
box:/file/ have
box:/src new
box:/src new/
box:/src have
box:/src/ have
box:/src/. have
box:/src/. new
box:/src old
box:/src/link new
box:/way new
box:/way/ have
box:/way/. have
box:/lost new
box:/nix new
box:/nix/nix new
nix:/file new
-L box:/way new
-L box:/way have
-L box:/src/link have
-a box:/src new
box:file new
box:/src/../file new
box:/src/sub/.. new
"""
IN = """
file box:/new
file box:/have
file box:/have/
file box:/file
file box:/no/new
file box:/nodir/
file box:/way/new
file box:/lost
dir box:/new
dir box:/new/
dir box:/have
dir/ box:/have
dir/. box:/have
dir/. box:/new
dir box:/file
dir box:/way
link box:/new
-L link box:/new
-L link box:/have
nix box:/have
file nix:/have
-a file box:/new
file /have
box:/a box:/b
"""
LIST = "cd /; find new have nowhere src file -exec stat -c '%n %A %u %g %s %Y' {} + 2>/dev/null | sort"
WORDS = (
    (r"could not find the file \S+ in container", "NO FILE", "theirs names the whole path, or the folder; so does ours"),
    (r"invalid output path: .*|.*not a directory.*", "NO DIRECTORY", "another version's"),
    (r"successfully copied .*", "", "to a terminal only, in this version"),
    (r'cannot overwrite (\S+) ".*', r"cannot overwrite \1", "which path"),
    (r".*no such file or directory.*|.*no file.*", "NO FILE", "whose step it was"),
)


def said(found) -> tuple[int, str]:
    lines = [line for line in found.err.splitlines() if not line.startswith("time=")]  # what its library says beside
    err = first_words("\n".join(lines)) if lines else ""
    for pattern, instead, _ in WORDS:
        err = re.sub(pattern, instead, err)
    return found.code, err


@pytest.fixture
def hands(docker, tmp_path, capfd, lives):
    mine, theirs = Command(capfd), Docker(docker)
    given_to(docker, mine, tmp_path, BUSYBOX)
    yield mine, theirs
    theirs("rm -f box")


def seen(place) -> list[tuple]:
    rows = []
    for folder, folders, files in os.walk(place):
        for name in sorted(folders + files):
            about = os.lstat(f"{folder}/{name}")
            target = os.readlink(f"{folder}/{name}") if stat.S_ISLNK(about.st_mode) else ""
            when = 0 if stat.S_ISDIR(about.st_mode) or target else int(about.st_mtime)
            rows.append((os.path.relpath(f"{folder}/{name}", place), oct(about.st_mode), about.st_uid, about.st_gid, target, when))
    return sorted(rows)


def test_out(hands, tmp_path, monkeypatch):
    for hand in hands:
        assert hand(f"run --network none --name box {BUSYBOX} sh -c '{TREE}; touch -d @1000 /file /src/a /src/sub/b'").code == 0
    differ = []
    for number, words in enumerate(filter(None, OUT.splitlines())):
        told = []
        for name, hand in zip(("mine", "theirs"), hands, strict=True):
            place = tmp_path / f"{name}-{number}"
            (place / "have").mkdir(parents=True)
            (place / "old").write_text("old")
            os.utime(place / "old", (5, 5))
            monkeypatch.chdir(place)
            told.append((*said(hand(f"cp {words}")), seen(place)))
        if told[0] != told[1]:
            differ.append((words, *told))
    assert not differ, "\n".join(map(str, differ))


def test_in(hands, tmp_path, monkeypatch):
    (tmp_path / "dir/sub").mkdir(parents=True)
    for name, owner in (("file", 1000), ("dir/a", 0), ("dir/sub/b", 7)):
        (tmp_path / name).write_text(name)
        os.chown(tmp_path / name, owner, owner)
        os.utime(tmp_path / name, (1000, 1000))
    (tmp_path / "link").symlink_to("dir")
    monkeypatch.chdir(tmp_path)
    every = list(filter(None, IN.splitlines()))
    answers = at_once(*(lambda hand=hand: [copied_in(hand, words) for words in every] for hand in hands))
    differ = [told for told in zip(every, *answers, strict=True) if told[1] != told[2]]
    assert not differ, "\n".join(map(str, differ))


def copied_in(hand, words: str) -> tuple[int, str, list[str]]:
    """Into a fresh container: exit code, what is wrong, and what is in it then."""
    assert hand(f"run -d --network none -u nobody --name box {BUSYBOX} sleep 60").code == 0
    assert hand(f"exec -u 0 box sh -c '{TREE}'").code == 0
    done = said(hand(f"cp {words}"))
    rows = [re.sub(r"^((\S+) [dl]\S+ \d+ \d+) .*", r"\1", row) for row in hand(f'exec -u 0 box sh -c "{LIST}"').out.splitlines()]
    hand("rm -f box")
    return *done, [re.sub(r" \d{10}$", "", row) for row in rows]


def test_what_is_sent(hands, docker, tmp_path):
    for hand in hands:
        assert hand(f"run --network none --name box {BUSYBOX} sh -c '{TREE}'").code == 0
    for path in ("/src", "/src/.", "/src/", "/file", "/src/link", "/way/."):
        told = []
        for command in ([sys.executable, "-P", "-m", "lib.cli"], ["docker", "-H", docker.socket]):
            sent = subprocess.run([*command, "cp", f"box:{path}", "-"], capture_output=True, timeout=60)
            told.append(subprocess.run(["tar", "--numeric-owner", "-tvf", "-"], input=sent.stdout, capture_output=True).stdout.decode())
        assert re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "", told[0]) == re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "", told[1]), path
