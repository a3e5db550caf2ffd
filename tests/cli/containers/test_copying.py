"""``cp``: what goes where, as what, and what cannot be; with a container that runs, and with one that never did."""

from __future__ import annotations

import io
import lzma
import os
import stat
import subprocess
import sys
import tarfile
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from helpers.lives import BUSYBOX
from helpers.needs import requires
from helpers.waiting import wait_for

from lib import state
from lib.engine import volumes
from lib.engine.transfer import deed, views
from lib.state import kept

pytestmark = [requires("root", "overlay", "busybox")]
NET = "--network none"
TREE = "mkdir -p /src/sub; echo 1 > /src/a; echo 2 > /src/sub/b; ln -s a /src/link; ln -s /src /way; ln -s nowhere /lost; echo 3 > /file"


@pytest.fixture
def suitcase(suitcase):
    yield suitcase
    for one in kept.every():
        suitcase(f"rm -f {one['name']}")
    for left in volumes.every():
        volumes.remove(left.name)


@pytest.fixture(params=["running", "stopped"])
def box(request, suitcase):
    """A container with some files, in both states."""
    if request.param == "running":
        assert suitcase(f"run -d {NET} --name box {BUSYBOX} sh -c '{TREE}; touch /made; exec sleep 60'").code == 0
        wait_for(lambda: suitcase("exec box ls /made").code == 0)
    else:
        assert suitcase(f"run {NET} --name box {BUSYBOX} sh -c '{TREE}; touch /made'").code == 0
    return "box"


def found(place: Path) -> list[str]:
    """Every path below, folders with a slash; what a link leads to behind it."""
    rows = []
    for one in sorted(place.rglob("*")):
        inner = str(one.relative_to(place))
        rows.append(f"{inner} -> {os.readlink(one)}" if one.is_symlink() else f"{inner}/" if one.is_dir() else inner)
    return rows


ALL = ["a", "link -> a", "sub/", "sub/b"]
OUT = {  # source, destination: what is there then
    ("/file", "new"): ["new"],
    ("/file", "have/"): ["have/", "have/file"],
    ("/file", "have"): ["have/", "have/file"],
    ("/file", "old"): ["have/", "old"],
    ("/src", "new"): ["new/", *(f"new/{one}" for one in ALL)],
    ("/src", "new/"): ["new/", *(f"new/{one}" for one in ALL)],
    ("/src/", "have"): ["have/", "have/src/", *(f"have/src/{one}" for one in ALL)],
    ("/src/.", "have"): ["have/", *(f"have/{one}" for one in ALL)],
    ("/src/.", "new"): ["new/", *(f"new/{one}" for one in ALL)],
    ("/src/link", "new"): ["new -> a"],
    ("/way", "new"): ["new -> /src"],
    ("/way/", "have"): ["have/", "have/way/", *(f"have/way/{one}" for one in ALL)],
    ("/lost", "new"): ["new -> nowhere"],
    ("way/sub/../a", "new"): ["new"],
}


@pytest.mark.parametrize(("source", "destination"), OUT)
def test_what_goes_where_on_the_way_out(suitcase, tmp_path, source, destination, box_once):
    wanted = OUT[source, destination]
    if any(row.startswith(("have", "old")) for row in wanted):
        (tmp_path / "have").mkdir()
    if "old" in wanted:
        (tmp_path / "old").write_text("old")
    assert suitcase(f"cp {box_once}:{source} {tmp_path}/{destination}").code == 0
    assert [row for row in found(tmp_path) if not row.startswith("have") or len(wanted) > 1] == wanted


@pytest.fixture(params=["stopped"])
def box_once(request, suitcase):
    assert suitcase(f"run {NET} --name box {BUSYBOX} sh -c '{TREE}; touch /made'").code == 0
    return "box"


IN = {  # source, destination: the path in there, and what it is then
    ("file", "/tmp2"): ("/tmp2", "3\n"),
    ("file", "/etc"): ("/etc/file", "3\n"),
    ("file", "/etc/"): ("/etc/file", "3\n"),
    ("file", "/file"): ("/file", "3\n"),
    ("file", "/way/new"): ("/src/new", "3\n"),
    ("file", "/lost"): ("/nowhere", "3\n"),
    ("src", "/new"): ("/new/sub/b", "2\n"),
    ("src", "/new/"): ("/new/sub/b", "2\n"),
    ("src", "/etc"): ("/etc/src/sub/b", "2\n"),
    ("src/.", "/etc"): ("/etc/sub/b", "2\n"),
    ("src/", "/way"): ("/src/src/sub/b", "2\n"),
    ("src/.", "/src"): ("/src/a", "new 1\n"),
}


@pytest.mark.parametrize(("source", "destination"), IN)
def test_what_goes_where_on_the_way_in(suitcase, tmp_path, source, destination, box_once):
    (tmp_path / "src/sub").mkdir(parents=True)
    (tmp_path / "src/a").write_text("new 1\n")
    (tmp_path / "src/sub/b").write_text("2\n")
    (tmp_path / "file").write_text("3\n")
    path, text = IN[source, destination]
    assert suitcase(f"cp {tmp_path}/{source} {box_once}:{destination}").code == 0
    assert suitcase(f"cp {box_once}:{path} {tmp_path}/back").code == 0 and (tmp_path / "back").read_text() == text


def test_both_ways_whether_it_runs_or_not(suitcase, box, tmp_path):
    (tmp_path / "f").write_text("of the host\n")
    os.chmod(tmp_path / "f", 0o751)
    os.chown(tmp_path / "f", 1000, 50)
    os.utime(tmp_path / "f", (1, 1000))
    assert suitcase(f"cp {tmp_path}/f {box}:/src").code == 0
    assert suitcase(f"cp {box}:/src {tmp_path}/back").code == 0
    about = (tmp_path / "back/f").stat()
    assert (tmp_path / "back/f").read_text() == "of the host\n" and stat.S_IMODE(about.st_mode) == 0o751
    assert (about.st_uid, about.st_gid, about.st_mtime) == (0, 0, 1000), "here it belongs to whoever copies"
    assert suitcase(f"cp {box}:/src/f -").code == 0
    with tarfile.open(fileobj=io.BytesIO(streamed(f"{box}:/src/."))) as tar:
        assert [(one.name, one.uid) for one in tar] == [(".", 0), ("./a", 0), ("./f", 1000), ("./link", 0), ("./sub", 0), ("./sub/b", 0)]
    with tarfile.open(fileobj=io.BytesIO(streamed(f"{box}:/file"))) as tar:
        assert [one.name for one in tar] == ["file"]


def command(*words: str, **how) -> subprocess.CompletedProcess:
    """The command as a program of its own, with bytes on its streams."""
    return subprocess.run([sys.executable, "-P", "-m", "lib.cli", *words], capture_output=True, timeout=60, **how)


def streamed(source: str) -> bytes:
    done = command("cp", source, "-")
    assert done.returncode == 0, done.stderr
    return done.stdout


def tar(*members: tuple[str, bytes | None], **looks) -> bytes:
    """A tar file of files (with bytes) and folders."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.mode = (tarfile.REGTYPE, len(data), 0o640) if data is not None else (tarfile.DIRTYPE, 0, 0o710)
            for key, value in looks.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(data or b""))
    return out.getvalue()


def test_a_stream_of_tar_into_it_packed_or_not(suitcase, box, tmp_path):
    data = tar(("new/", None), ("new/a", b"1\n"), ("new/er/b", b"2\n"), uid=7, gid=8)
    assert command("cp", "-", f"{box}:/src", input=data).returncode == 0
    assert command("cp", "-", f"{box}:/", input=lzma.compress(tar(("packed", b"3\n")))).returncode == 0
    with tarfile.open(fileobj=io.BytesIO(streamed(f"{box}:/src/new"))) as back:
        assert [(one.name, oct(one.mode), one.uid) for one in back] == [
            ("new", "0o710", 7), ("new/a", "0o640", 7), ("new/er", "0o755", 0), ("new/er/b", "0o640", 7),
        ]  # fmt: skip
    assert b"3\n" in streamed(f"{box}:/packed")
    for destination in ("/file", "/nix"):
        done = command("cp", "-", f"{box}:{destination}", input=data)
        assert done.returncode == 1 and f'destination "box:{destination}" must be a directory' in done.stderr.decode()
    assert command("cp", "-", f"{box}:/", input=b"no tar file" * 100).returncode == 1


def test_no_program_of_the_container_s_is_run(suitcase, tmp_path):
    """Not to unpack what is packed either, wherever Docker looks for one."""
    evil = (
        "printf '#!/bin/sh\\n: > /proof\\n' > /bin/xz; chmod 755 /bin/xz; for one in unpigz gzip tar getent; do cp /bin/xz /bin/$one; done"
    )
    suitcase(f'run -d {NET} --name box {BUSYBOX} sh -c "mkdir /new; {evil}; exec sleep 60"')
    wait_for(lambda: suitcase("exec box ls /bin/getent").code == 0)
    assert command("cp", "-a", "-", "box:/new", input=lzma.compress(tar(("packed", b"3\n")))).returncode == 0
    assert suitcase("exec box cat /new/packed").out == "3\n" and suitcase("exec box ls /proof").code and not Path("/proof").exists()


def test_an_archive_leads_nowhere_outside(suitcase, box, tmp_path):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, kind, to in (("up", tarfile.SYMTYPE, "../../../../../.."), ("away", tarfile.SYMTYPE, str(tmp_path))):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, to
            archive.addfile(info)
        for name in ("up/caught-1", "away/caught-2"):
            info = tarfile.TarInfo(name)
            info.size = 1
            archive.addfile(info, io.BytesIO(b"x"))
    done = command("cp", "-", f"{box}:/src", input=out.getvalue())
    assert not Path("/caught-1").exists() and not (tmp_path / "caught-2").exists(), done.stderr
    assert command("cp", "-", f"{box}:/src", input=tar(("../caught-3", b"x"))).returncode == 1


def test_what_the_image_calls_var_run(suitcase, tmp_path):
    """A link from the root on, as in nearly every image; mounts below it are found, too."""
    suitcase(f"run -d {NET} --name box --tmpfs /run {BUSYBOX} sh -c 'mkdir -p /var; ln -s /run /var/run; touch /run/made; exec sleep 60'")
    wait_for(lambda: suitcase("exec box ls /run/made").code == 0)
    (tmp_path / "f").write_text("1\n")
    assert suitcase(f"cp {tmp_path}/f box:/var/run/").code == 0 and suitcase("exec box cat /run/f").out == "1\n"
    assert command("cp", "-", "box:/", input=tar(("var/run/g", b"2\n"))).returncode == 0
    assert suitcase("exec box cat /run/g").out == "2\n"
    assert suitcase(f"cp box:/var/run/made {tmp_path}/made").code == 0


@pytest.mark.v2
def test_volumes_are_seen_whether_it_runs_or_not_and_a_tmpfs_only_while_it_runs(suitcase, tmp_path):
    (tmp_path / "f").write_text("1\n")
    suitcase(f"create {NET} --name box -v data:/data -v {tmp_path}:/host:ro --tmpfs /mem {BUSYBOX} sleep 60")
    assert suitcase(f"cp {tmp_path}/f box:/data/").code == 0 and suitcase("cp box:/host/f -").code == 0
    assert (Path(volumes.find("data").data) / "f").exists()
    said = suitcase(f"cp {tmp_path}/f box:/host/new")
    assert (said.code, said.err) == (1, "suitcase: mounted volume is marked read-only\n")
    suitcase("start box")
    assert suitcase("exec box cat /data/f").out == "1\n"
    assert suitcase(f"cp {tmp_path}/f box:/mem").code == 0 and suitcase("exec box cat /mem/f").out == "1\n"
    suitcase(f"run -d {NET} --name fixed --read-only -v more:/data {BUSYBOX} sleep 60")
    assert suitcase(f"cp {tmp_path}/f fixed:/etc").err == "suitcase: container rootfs is marked read-only\n"
    assert suitcase(f"cp {tmp_path}/f fixed:/data").code == 0


def test_the_whole_of_a_container_that_runs(suitcase, box, tmp_path):
    """Without what the kernel shows in there, which has no end and tells of the machine."""
    for source, place in (("/", tmp_path / "new"), ("/.", tmp_path / "again"), ("proc/..", tmp_path / "third")):
        said = suitcase(f"cp box:{source} {place}")
        assert said.code == 0 and "device" not in said.err, said
        assert found(place / "src") == ALL and [found(place / one) for one in ("proc", "sys", "dev")] == [[], [], []]
    names = {one.name for one in members("box:/")}
    assert "src/sub/b" in {name.removeprefix("./") for name in names} and not any("proc/" in name for name in names)


def test_what_is_mounted_over_a_file_is_what_it_is(suitcase, tmp_path):
    """A list of a folder tells of what lies below that. To open a device may already do something."""
    (tmp_path / "file").write_text("mine")
    suitcase(f"run -d {NET} --name box -v /dev/null:/src/null -v {tmp_path}/file:/src/file {BUSYBOX} sleep 60")
    said = suitcase(f"cp box:/src {tmp_path}/new")
    assert said.code == 0 and "src/null is a device" in said.err.replace("new/", "src/"), said
    assert found(tmp_path / "new") == ["file"] and (tmp_path / "new/file").read_text() == "mine"


def test_a_device_is_not_overwritten(suitcase, tmp_path):
    (tmp_path / "null").touch()
    suitcase(f"run -d {NET} --name box {BUSYBOX} sleep 60")
    for source, target in (("null", "/dev/null"), ("null", "/dev"), ("", "/dev")):
        refused = suitcase(f"cp {tmp_path}/{source or '.'} box:{target}")
        assert refused.code == 1 and 'cannot overwrite device "null" with non-device "null"' in refused.err, refused
    assert suitcase("exec box sh -c 'echo still > /dev/null'").code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("nix:/file {tmp}", "No such container: nix"),
        ("{tmp}/f nix:/file", "No such container: nix"),
        ("box:/nix {tmp}", "Could not find the file /nix in container box"),
        ("box:/nix/nix {tmp}", "Could not find the file /nix in container box"),
        ("box:/file/ {tmp}", "not a directory"),
        ("{tmp}/nix box:/", "lstat {tmp}/nix: no such file or directory"),
        ("box:/file {tmp}/no/new", 'invalid output path: directory "{tmp}/no" does not exist'),
        ("box:/file /dev/null", 'invalid output path: "/dev/null" must be a directory or a regular file: got a device'),
        ("box:/src {tmp}/f", "cannot copy directory"),
        ("box:/file {tmp}/new/", "no such directory"),
        ("{tmp}/d box:/file", "cannot copy directory"),
        ("{tmp}/f box:/new/", "no such directory"),
        ("{tmp}/f box:/no/new", "Could not find the file /no in container box"),
        ("{tmp}/d/. box:/src/sub", 'cannot overwrite directory "f" with non-directory'),
        ("box:/a box:/b", "copying between containers is not supported"),
        ("/a /b", "must specify at least one container source"),
        ("./box:a /b", "must specify at least one container source"),
        ("'' box:/b", "source can not be empty"),
        ("box:/b ''", "destination can not be empty"),
    ],
)
def test_what_cannot_be_copied(suitcase, tmp_path, words, said):
    (tmp_path / "f").touch()
    (tmp_path / "d").mkdir()
    (tmp_path / "d/f").touch()
    suitcase(f"run {NET} --name box {BUSYBOX} sh -c 'mkdir -p /src/sub/f; touch /file'")
    found = suitcase("cp " + words.format(tmp=tmp_path))
    assert found.code == 1 and said.format(tmp=tmp_path) in found.err


def test_follow_archive_and_the_last_line(suitcase, tmp_path, box_once):
    (tmp_path / "f").write_text("x" * 2050)
    os.chown(tmp_path / "f", 5, 5)
    (tmp_path / "to").symlink_to("f")
    said = suitcase(f"cp -q=false {tmp_path}/f box:/x")
    assert (said.out, said.err) == ("", "Successfully copied 2.05kB (transferred 4.1kB) to box:/x\n")
    assert suitcase(f"cp {tmp_path}/f box:/y").err == "", "no terminal"
    assert suitcase(f"cp -q=false box:/x {tmp_path}/back").err == f"Successfully copied 2.05kB (transferred 4.1kB) to {tmp_path}/back\n"
    assert suitcase(f"cp -q=false box:/src {tmp_path}/").err == f"Successfully copied 4.61kB to {tmp_path}/\n"
    suitcase(f"cp -L {tmp_path}/to box:/followed")
    suitcase(f"cp {tmp_path}/to box:/link")
    suitcase(f"cp -L box:/way {tmp_path}/way")
    assert (tmp_path / "way/sub/b").read_text() == "2\n"
    suitcase(f"create {NET} --name user -u 9:8 {BUSYBOX} true")
    suitcase(f"cp -a {tmp_path}/f user:/kept")
    suitcase(f"cp {tmp_path}/f user:/own")
    found = [one for words in ("box:/followed", "box:/link", "user:/kept", "user:/own") for one in members(words)]
    heads = {one.name: (one.uid, one.gid, one.type) for one in found}
    assert heads == {"followed": (5, 5, b"0"), "link": (0, 0, b"2"), "kept": (9, 8, b"0"), "own": (5, 5, b"0")}


def members(source: str) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(streamed(source))) as tar:
        return tar.getmembers()


def test_links_pipes_devices_and_setuid_programs(suitcase, tmp_path):
    make = "mkdir /d; cd /d; echo 1 > one; ln one two; mkfifo pipe; mknod null c 1 3; echo 2 > su; chown 7 su; chmod 4755 su"
    suitcase(f"run {NET} --name box {BUSYBOX} sh -c '{make}'")
    said = suitcase(f"cp box:/d {tmp_path}")
    assert said.code == 0 and said.err == "WARNING: d/null is a device: it is not made here, where it would work\n"
    place = tmp_path / "d"
    assert sorted(os.listdir(place)) == ["one", "pipe", "su", "two"] and (place / "one").stat().st_ino == (place / "two").stat().st_ino
    assert stat.S_ISFIFO((place / "pipe").stat().st_mode) and stat.S_IMODE((place / "su").stat().st_mode) == 0o755
    assert {one.name for one in members("box:/d")} == {"d", "d/null", "d/one", "d/pipe", "d/su", "d/two"}
    os.chmod(place / "su", 0o4755)
    suitcase(f"cp {place} box:/back")
    assert {one.name: oct(one.mode) for one in members("box:/back")}["back/su"] == "0o4755", "there it belongs to whom it belonged here"


# -- hostile ground -----------------------------------------------------------------------------------------------------


SWAP = """
mkdir /real /x; echo inner > /real/f; echo inner > /x/f; i=0
while :; do mv /x /y; ln -s {outside} /x; rm /x; ln -s /proc/1/root/../../..{outside} /x; rm /x; mv /y /x
  rm -f /x/f; ln -s {outside}/f /x/f; rm -f /x/f; mkfifo /x/f; rm -f /x/f; echo inner > /x/f; touch /looped; done
"""


def test_a_container_that_swaps_links_in_a_loop_gains_nothing(suitcase, lives, tmp_path):
    """Hundreds of copies either way while it does: never is a file of the host's read, or written."""
    outside, mine, back = (tmp_path / name for name in ("outside", "mine", "back"))
    for place in (outside, mine, back):
        place.mkdir()
    (outside / "f").write_text("secret")
    (mine / "f").write_text("mine")
    one = lives.run(SWAP.format(outside=outside), "swaps")
    wait_for(lambda: suitcase("exec swaps ls /looped").code == 0)
    for number in range(150):
        for deed_ in (
            lambda: deed.into(lives.library, one, "swaps", f"{mine}/f", "/x/f"),
            lambda: deed.into(lives.library, one, "swaps", f"{mine}/.", "/x"),
            lambda place=back / str(number): deed.out(lives.library, one, "swaps", "/x/f", str(place)),
            lambda place=back / f"d{number}": deed.out(lives.library, one, "swaps", "/x", str(place)),
            lambda place=back / f"e{number}": deed.out(lives.library, one, "swaps", "/x/.", str(place), True),
        ):
            with suppress(OSError, LookupError, ValueError):  # it was something else just then, or not there
                deed_()
    assert os.listdir(outside) == ["f"] and (outside / "f").read_text() == "secret"
    read = {one.read_text() for one in back.rglob("*") if not one.is_symlink() and one.is_file()}
    assert read and not {*"".join(read)} - {*"inner\nmine"}, "both may write one file at the same time, but nobody the host's"


def test_a_tree_that_is_too_deep_is_refused(suitcase, tmp_path):
    deep = "mkdir /d; cd /d; i=0; while [ $i -lt 500 ]; do mkdir d; cd d; i=$((i+1)); done"
    suitcase(f"run {NET} --name box {BUSYBOX} sh -c '{deep}'")
    assert "folders in each other" in suitcase(f"cp box:/d {tmp_path}").err


def test_a_copy_that_is_interrupted_leaves_nothing_but_what_was_copied(suitcase, lives, monkeypatch, box_once, tmp_path):
    facts = kept.every()[0]

    def cut(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(deed.Planting, "leave", cut)
    with pytest.raises(KeyboardInterrupt):
        deed.out(lives.library, facts, "box", "/src", str(tmp_path))
    monkeypatch.undo()
    with views.root_of(lives.library, facts) as root:
        assert os.stat("src", dir_fd=root).st_size
    assert suitcase("start box").code == 0, "its lock is free"


SHOT = """
import os, signal, sys
from lib.cli.main import main
from lib.engine.copying.planting import Planting
Planting.leave = lambda self: os.kill(os.getpid(), signal.SIGKILL)
main(sys.argv[1:])
"""


def test_a_copy_that_is_shot_leaves_a_container_that_can_be_started(suitcase, box_once, tmp_path):
    """The child that held its files ends by itself; what it was put together in goes with the next start."""
    (tmp_path / "d").mkdir()
    assert subprocess.run([sys.executable, "-c", SHOT, "cp", f"{tmp_path}/d", "box:/"], capture_output=True, timeout=60).returncode == -9
    assert suitcase(f"cp box:/src/a {tmp_path}/a").code == 0 and (tmp_path / "a").read_text() == "1\n"
    assert suitcase("start box").code == 0
    state.gc()


ROOTLESS = """
import os, shlex, subprocess, sys
home, root, IMAGE = sys.argv[1:]
os.setgroups([]); os.setgid(65534); os.setuid(65534)
os.environ |= {"HOME": home, "SUITCASE_STORE": f"{home}/store", "SUITCASE_RUN": f"{home}/run", "PYTHONPATH": root}
os.environ.pop("XDG_RUNTIME_DIR", None)
from lib.engine.naming import shortnames
from lib.engine.daemons import calling
from lib.images import Library, Store

def suitcase(line):
    words = [sys.executable, "-P", "-m", "lib.cli", *shlex.split(line.replace("IMAGE", IMAGE))]
    done = subprocess.run(words, capture_output=True, text=True, cwd=home)
    print(done.stdout.strip() or done.stderr.strip() or done.returncode)

shortnames.make(Library(Store()), IMAGE)
open(f"{home}/f", "w").write("hello\\n")
suitcase("run --name runs -d --network none -v data:/x --tmpfs /t IMAGE sleep 60")
suitcase("cp f runs:/t/f")
suitcase("cp f runs:/x/f")
suitcase("exec runs cat /t/f /x/f")
suitcase("run --name ran --network none -v data:/x IMAGE touch /x/made")
suitcase("cp f ran:/g")
suitcase("cp ran:/x out")
suitcase("cp ran:/g back")
print(sorted(os.listdir(f"{home}/out")), open(f"{home}/back").read().strip())
suitcase("rm -f runs ran")
suitcase("volume rm data")
calling.rest()
"""


@requires("userns")
def test_an_ordinary_user_copies_too():
    with tempfile.TemporaryDirectory(prefix="st-") as place:
        os.chmod(place, 0o755)
        home = Path(place, "home")
        home.mkdir()
        os.chown(home, 65534, 65534)
        root = str(Path(deed.__file__).parents[3])
        done = subprocess.run(
            [sys.executable, "-c", ROOTLESS, str(home), root, BUSYBOX], capture_output=True, text=True, timeout=60, cwd="/"
        )
        told = done.stdout.splitlines()[1:]
    assert told == ["0", "0", "hello", "hello", "0", "0", "0", "0", "['f', 'made'] hello", "runs", "ran", "data"], done
