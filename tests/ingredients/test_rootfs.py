"""The root file system: layers, mounts, devices, masks; a hostile image; the same beside runc."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.needs import requires

import lib
from lib import linux
from lib.ingredients import Bind, Mount, RootFS, Tmpfs
from lib.ingredients.rootfs import DEVICES, LINKS, MASKED, READONLY
from lib.process import Plan, StepError

pytestmark = requires("root", "overlay", "busybox")


def run(*command, **options):
    return lib.run("busybox", list(command), **{"show": False, "timeout": 30} | options)


def sh(script, **options):
    return run("sh", "-c", script, **options)


def in_root(root: RootFS, script: str):
    return Plan(["/bin/sh", "-c", script], [root], {"PATH": "/bin"}).run(show=False, timeout=30)


def layer(path: Path, **files) -> str:
    path.mkdir()
    for name, text in files.items():
        (path / name).write_text(text)
    return str(path)


# -- layers ---------------------------------------------------------------------------------------


def test_a_higher_layer_covers_a_lower_one(busybox, tmp_path):
    one, two = layer(tmp_path / "1", a="low", b="low"), layer(tmp_path / "2", b="high", c="high")
    done = in_root(RootFS([busybox, one, two], str(tmp_path / "rw")), "cat /a /b /c; echo new > /a; cat /a")
    assert done.text == "lowhighhighnew\n"
    assert (tmp_path / "1/a").read_text() == "low" and not (tmp_path / "rw").exists()


def test_thirty_layers_and_names_with_separators(busybox, tmp_path):
    layers = [layer(tmp_path / f"l:{n},x\\y", **{f"f{n}": str(n)}) for n in range(30)]
    done = in_root(RootFS([busybox, *layers], str(tmp_path / "rw:1,2")), "ls /f* | wc -l")
    assert done.text.strip() == "30"


def test_the_writable_layer_holds_what_was_written(busybox, tmp_path):
    root = RootFS([busybox], str(tmp_path / "rw"))
    with Plan(["/bin/sh", "-c", "echo x > /file; rm /bin/yes; sleep 100"], [root], {"PATH": "/bin"}).start():
        while not (tmp_path / "rw/upper/bin").exists() or not os.listdir(tmp_path / "rw/upper/bin"):
            linux.readable([], 0.01)
        assert (tmp_path / "rw/upper/file").read_text() == "x\n"
        assert (tmp_path / "rw/upper/bin/yes").is_char_device(), "a whiteout"
    assert os.path.lexists(f"{busybox}/bin/yes")


def test_without_a_writable_layer_the_folder_itself_is_the_root(busybox, tmp_path):
    shutil.copytree(busybox, tmp_path / "root", symlinks=True)
    in_root(RootFS([str(tmp_path / "root")], bare=True), "echo x > /made")
    assert (tmp_path / "root/made").read_text() == "x\n"


def test_the_hosts_mount_table_stays_as_it_is():
    before = linux.read("/proc/self/mountinfo")
    with lib.start("busybox", ["sleep", "100"], volumes=["/etc:/data"], tmpfs=["/cache"]):
        assert linux.read("/proc/self/mountinfo") == before


# -- the kernel's folders and devices ---------------------------------------------------------------


def test_dockers_devices():
    listed = sh("cd /dev; ls -ln").text
    for path, (_, major, minor) in DEVICES.items():
        assert re.search(rf"^crw-rw-rw-\s+1 0\s+0\s+{major},\s+{minor} .* {path.removeprefix('/dev/')}$", listed, re.M), path
    for path, to in LINKS.items():
        assert f"{path.removeprefix('/dev/')} -> {to}" in listed
    assert sh("echo x > /dev/null; head -c 3 /dev/zero | wc -c; echo x > /dev/full").text.strip() == "3"


def test_masked_paths_are_empty_and_read_only_ones_cannot_be_written():
    for path in MASKED:
        done = sh(f"[ -e {path} ] || exit 9; [ -d {path} ] && ls -A {path} | wc -l || cat {path} | wc -c")
        assert done.code == 9 or done.text.strip() == "0", path
    table = {line.split()[1]: line.split()[3].split(",") for line in run("cat", "/proc/self/mounts").text.splitlines()}
    for path in READONLY:
        assert not os.path.exists(path) or "ro" in table[path], path
    assert b"Read-only" in sh("echo h > /proc/sys/kernel/domainname").errors


def test_sys_is_read_only_and_proc_shows_its_own_pids():
    done = sh("touch /sys/x; ls -d /proc/[0-9]* | wc -l")
    assert b"Read-only" in done.errors and int(done.text) <= 4


def test_options_of_tmpfs_binds_and_mqueue(tmp_path):
    table = sh("cat /proc/self/mounts", tmpfs=["/cache"], volumes=[f"{tmp_path}:/data:ro"]).text
    rows = {line.split()[1]: line.split()[2:4] for line in table.splitlines()}
    assert rows["/cache"][0] == "tmpfs" and {"nosuid", "nodev", "noexec"} <= set(rows["/cache"][1].split(","))
    assert "ro" in rows["/data"][1].split(",")
    assert "size=65536k" in rows["/dev/shm"][1] and rows["/dev/mqueue"][0] == "mqueue"


def test_tmpfs_with_a_size(busybox, tmp_path):
    root = RootFS([busybox], str(tmp_path / "rw"), [Tmpfs("/small", "size=64k,mode=700")])
    done = in_root(root, "head -c 100000 /dev/zero > /small/x; stat -c %a /small; stat -c %s /small/x")
    assert done.text.split() == ["700", "65536"]


def test_read_only_root_still_has_its_devices_and_tmpfs():
    done = sh("touch /x; touch /cache/x && echo y > /dev/null && echo fine", read_only=True, tmpfs=["/cache"])
    assert done.text == "fine\n" and b"Read-only" in done.errors


def test_a_read_only_bind_is_so_in_all_its_depth(tmp_path):
    """A mount below the bound folder is read-only too: mount(2)'s remount would have left it writable."""
    (tmp_path / "deep").mkdir()
    linux.mount("tmpfs", str(tmp_path / "deep"), "tmpfs")
    try:
        done = sh("touch /data/x; touch /data/deep/x", volumes=[f"{tmp_path}:/data:ro"])
        assert done.errors.count(b"Read-only") == 2
        assert sh("touch /data/deep/x", volumes=[f"{tmp_path}:/data"]).code == 0
    finally:
        linux.umount(str(tmp_path / "deep"))


def test_a_single_file_can_be_bound_where_nothing_was(tmp_path):
    (tmp_path / "file").write_text("hello")
    assert run("cat", "/new/place/file", volumes=[f"{tmp_path}/file:/new/place/file"]).text == "hello"


def test_three_files_of_etc():
    done = sh("cat /etc/hostname; grep -c box /etc/hosts; grep localhost /etc/hosts | wc -l; test -e /etc/resolv.conf", hostname="box")
    assert done.text.split() == ["box", "1", "2"] and done.code == 0


def test_a_volume_that_cannot_be_meant():
    for text in ("data:/data", "/a", "/a:b", "/a:/b:rx", "/a:/b:", "/a:/b:ro,rw", "/a:/b:z,Z", "/a:/", "/a:/b/.."):
        with pytest.raises(ValueError, match=r"invalid (volume|spec|mode)"):
            run("true", volumes=[text])


def options_of(path: str, **how) -> set[str]:
    """The options of what is mounted at a path in a container, as the kernel tells them."""
    (row,) = [line.split() for line in sh("cat /proc/self/mounts", **how).text.splitlines() if line.split()[1] == path]
    return set(row[3].split(","))


@pytest.mark.parametrize("words, read_only", [("Z", False), ("z,ro", True), ("rw,cached", False), ("ro,rprivate,delegated,Z", True)])
def test_a_volume_takes_dockers_words(words, read_only, tmp_path):
    assert ("ro" in options_of("/data", volumes=[f"{tmp_path}:/data:{words}"])) == read_only


def test_a_tmpfs_takes_the_words_of_mount_and_its_own_and_the_later_counts():
    found = options_of("/run", tmpfs=["/run:rw,exec,size=1m,mode=1770,size=64k"])
    assert {"rw", "nosuid", "nodev", "size=64k", "mode=1770"} <= found and "noexec" not in found
    assert "ro" in options_of("/new", tmpfs=["/new:rw,ro,rslave"])
    assert {"noexec", "size=8k"} <= options_of("/new", tmpfs=["/new:size=64k", "/new/:size=8k"]), "of two at one place, too"


def test_a_tmpfs_gets_the_mode_of_the_folder_that_it_covers():
    assert sh("stat -c %a /etc /new /tmp", tmpfs=["/etc", "/new", "/tmp:mode=700"]).text.split() == ["755", "1777", "700"]


@pytest.mark.parametrize(
    "how, words",
    [
        ({"tmpfs": ["/new:foo"]}, 'invalid tmpfs option "foo"'),
        ({"tmpfs": ["/new:size=1m,huge=always"]}, 'invalid tmpfs option "huge=always"'),
        ({"tmpfs": ["new"]}, "invalid mount path: 'new' mount path must be absolute"),
        ({"tmpfs": ["/"]}, "destination can't be '/'"),
        ({"volumes": ["/etc:/new", "/usr:/new/"]}, "Duplicate mount point: /new"),
        ({"volumes": ["/etc:/new"], "tmpfs": ["/new"]}, "Duplicate mount point: /new"),
    ],
)
def test_what_cannot_be_mounted_is_told_before_anything_is(how, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        lib.Container("busybox", ["true"], **how)


def test_no_mount_covers_another_that_lies_deeper(tmp_path):
    """Whatever their order: the nearer to the root comes first, the container's own three files among them."""
    (tmp_path / "file").write_text("mine\n")
    told = sh("cat /data/sub/file; hostname; cat /etc/hostname", hostname="box", tmpfs=["/data", "/etc"], volumes=[f"{tmp_path}:/data/sub"])
    assert told.text == "mine\nbox\nbox\n"
    assert run("cat", "/etc/hosts", volumes=[f"{tmp_path}/file:/etc/hosts"]).text == "mine\n", "who brings one, has it"


def test_a_file_on_a_folder_and_a_folder_on_a_file_are_explained(tmp_path):
    (tmp_path / "file").touch()
    for volume in (f"{tmp_path}/file:/bin", f"{tmp_path}:/bin/busybox"):
        with pytest.raises(StepError, match="a folder can only be mounted on a folder, a file only on a file"):
            run("true", volumes=[volume])


# Links to nowhere, as systemd-resolved leaves one in each root file system that it has touched: what they are, and where their end is.
NOWHERE = {
    "relative": ({"etc/conf": "../run/stub/conf"}, "/etc/conf", "/run/stub/conf"),
    "absolute": ({"x": "/y/z"}, "/x", "/y/z"),
    "above the root": ({"x": "../../../y"}, "/x", "/y"),
    "a chain": ({"x": "y", "y": "a/../z"}, "/x", "/z"),
    "on the way": ({"x": "y"}, "/x/a/b", "/y/a/b"),
    "below a link": ({"deep/er/x": "../y", "short": "deep/er"}, "/short/x", "/deep/y"),
}


@pytest.mark.parametrize("kind", ["file", "folder", "tmpfs", "workdir"])
@pytest.mark.parametrize("name", NOWHERE)
def test_a_link_to_nowhere_leads_to_something_new_at_its_end(name, kind, busybox, tmp_path):
    links, target, end = NOWHERE[name]
    image, data = tmp_path / "image", tmp_path / "data"
    for path, to in links.items():
        (image / path).parent.mkdir(parents=True, exist_ok=True)
        (image / path).symlink_to(to)
    data.mkdir()
    (data / "file").write_text("found\n")
    how = {
        "file": {"volumes": [f"{data}/file:{target}"]},
        "folder": {"volumes": [f"{data}:{target}"]},
        "tmpfs": {"tmpfs": [target]},
        "workdir": {"workdir": target},
    }[kind]
    look = {
        "file": f"cat {end}",
        "folder": f"cat {end}/file",
        "tmpfs": f"stat -f -c %T {end}",
        "workdir": f"[ $(pwd) = {end} ] && echo found",
    }
    done = lib.run([busybox, str(image)], ["sh", "-c", look[kind]], show=False, timeout=30, **how)
    assert (done.text, done.errors) == ("tmpfs\n" if kind == "tmpfs" else "found\n", b"")


def test_the_containers_own_three_files_where_the_images_lead_nowhere(busybox, tmp_path):
    (tmp_path / "etc").mkdir()
    for name in ("hosts", "hostname", "resolv.conf"):
        (tmp_path / "etc" / name).symlink_to(f"../run/{name}")
    done = lib.run(
        [busybox, str(tmp_path)], ["sh", "-c", "cd /run; cat /etc/hostname; ls; test -s /etc/resolv.conf"], hostname="box", show=False
    )
    assert (done.text.split(), done.code) == (["box", "hostname", "hosts", "resolv.conf"], 0)


def test_links_in_a_circle_are_explained(busybox, tmp_path):
    (tmp_path / "x").symlink_to("y")
    (tmp_path / "y").symlink_to("x")
    with pytest.raises(StepError, match="in a circle of symbolic links"):
        lib.run([busybox, str(tmp_path)], ["true"], tmpfs=["/x"], show=False)


def test_a_volume_that_listens_sees_what_the_host_mounts_later(tmp_path):
    linux.mount("tmpfs", str(tmp_path), "tmpfs")
    linux.mount(None, str(tmp_path), None, "shared")
    (tmp_path / "sub").mkdir()
    try:
        with lib.start("busybox", ["sleep", "100"], volumes=[f"{tmp_path}:/data:rslave", f"{tmp_path}:/deaf"]) as box:
            linux.mount("tmpfs", str(tmp_path / "sub"), "tmpfs", "size=64k")
            (tmp_path / "sub/late").touch()
            assert box.exec(["ls", "/data/sub", "/deaf/sub"], show=False).text.split() == ["/data/sub:", "late", "/deaf/sub:"]
            assert box.exec(["sh", "-c", "grep -c master: /proc/self/mountinfo"], show=False).text == "2\n", "it, and what came late"
        with pytest.raises(ValueError, match="rslave"):
            lib.run("busybox", ["true"], volumes=[f"{tmp_path}:/data:shared"])
    finally:
        linux.umount(str(tmp_path), linux.MNT_DETACH)


def test_an_unknown_base_names_the_known_ones():
    with pytest.raises(LookupError, match="there are busybox, debian"):
        lib.run("ubuntu", ["true"])
    with pytest.raises(LookupError, match="there is no folder '/nowhere'"):
        lib.run("/nowhere", ["true"])


# -- a hostile image --------------------------------------------------------------------------------

UP = "../" * 12
TRICKS = {
    "/dev": UP + "{outside}",
    "/proc": "/proc/self/root{outside}",
    "/etc": UP + "{outside}",
    "/sys": "{outside}",
    "/data": UP + "{outside}",
    "/etc/hostname": UP + "{outside}/victim",
    "/dev/shm": "/proc/1/root{outside}",
    "/work": UP + "{outside}",
}


@pytest.mark.parametrize("scratch", [True, False], ids=["overlay", "plain"])
@pytest.mark.parametrize("path", TRICKS)
def test_a_link_in_the_image_leads_nowhere_on_the_host(path, scratch, busybox, tmp_path):
    """Either the start fails, or all goes on inside; the host's folder stays as it was."""
    outside, image = tmp_path / "outside", tmp_path / "image"
    outside.mkdir()
    (outside / "victim").write_text("untouched")
    shutil.copytree(busybox, image, symlinks=True)
    place = image / path[1:]
    shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
    place.symlink_to(TRICKS[path].format(outside=outside))
    binds = [Bind("/data/sub", source="/etc/passwd"), Bind("/etc/hostname", source="/etc/passwd"), Mount("/made/deep", "tmpfs")]
    root = RootFS([str(image)], str(tmp_path / "rw") if scratch else None, binds)
    before = linux.read("/proc/self/mountinfo")
    try:
        Plan(["/bin/true"], [root], {"PATH": "/bin"}).run(show=False, timeout=30)
    except StepError as error:
        assert error.errno in (errno.EEXIST, errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES), error
    assert os.listdir(outside) == ["victim"] and (outside / "victim").read_text() == "untouched"
    assert linux.read("/proc/self/mountinfo") == before


def test_no_way_back_to_the_hosts_root():
    """The classic escape out of a chroot: a folder kept open, chroot below it, climb. After the pivot there is nothing above."""
    assert sh("mkdir /x; exec 3< /; chroot /x true; cd ..; cd ../../../../..; ls -d /bin/busybox").text == "/bin/busybox\n"
    assert sh("ls /proc/1/root/bin/busybox").code == 0, "PID 1's root is the container's own"


# -- an older kernel, seen here by refusing its calls through seccomp -------------------------------------

REFUSE = """
import ctypes, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
number = int(sys.argv[1])
rows = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (6, 0, 0, 0x00050000 | 38), (6, 0, 0, 0x7FFF0000)]  # the call's number: ENOSYS, else allow
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *row) for row in rows))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(rows), ctypes.addressof(code)))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program) == 0, ctypes.get_errno()
from lib import run
from lib.lab.vm import landlock
try:
    print(eval(sys.argv[2]))
except OSError as error:
    print(error)
"""
A_RUN = 'run("busybox", ["true"], volumes=["/etc:/data:ro"], show=False)'
LANDLOCK = {"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"}
OF_THE_LAB = LANDLOCK | {"finit_module"}  # the lab VM's; no container needs them
OF_BUILDS = {"statx"}  # a build that cannot ask which mount it is reads every file
WITHOUT = {"keyctl"}  # where the kernel keeps no keys there are none to hide
ALWAYS = {"rt_sigaction"}  # as old as Linux 2.2, and Python's own signals go by it


def refused(call: str, expression: str) -> str:
    """What an expression gives, or its error, where the kernel does not have the call."""
    argv = [sys.executable, "-c", REFUSE, str(linux.NR[call]), expression]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


@pytest.mark.parametrize("call", sorted(linux.NR.keys() - OF_THE_LAB - OF_BUILDS - WITHOUT - ALWAYS))
def test_a_kernel_without_one_of_our_calls(call):
    """There is no silent second way, which nobody would test: the message names the call, the cause and the way out."""
    said = refused(call, A_RUN)
    assert f"this kernel has no {call}" in said and "Linux 5.12" in said, said


def test_a_kernel_that_does_not_tell_its_mounts_apart_has_no_number_for_one():
    assert refused("statx", "__import__('lib.linux').linux.mount_id(0)") == "None\n"


def test_a_kernel_without_landlock_has_version_0_of_it_and_runs_containers():
    assert refused("landlock_create_ruleset", "landlock.version()") == "0\n"
    assert refused("landlock_create_ruleset", A_RUN) == "exit 0\n"


@pytest.mark.parametrize("call", sorted(LANDLOCK))
def test_a_lock_that_cannot_be_made_is_an_error_that_names_the_call(call):
    assert call in refused(call, "landlock.restrict(['/'], [])")


# -- beside runc --------------------------------------------------------------------------------------

PROBES = {
    "mounts": "cat /proc/self/mounts",
    "devices": "ls -ln /dev | awk '{print $1, $5, $6, $NF}'",
    "namespaces": "ls /proc/self/ns",
    "ids": "id; umask; pwd; hostname",
    "masked": "for p in {}; do [ -e $p ] && (ls -A $p 2>/dev/null; head -c 9 $p 2>/dev/null) | wc -c; done".format(" ".join(MASKED)),
    "fds": "ls /proc/self/fd",
    "limits": "ulimit -a",
    "no_new_privs": "grep -E 'NoNewPrivs|SigIgn|SigBlk' /proc/self/status",
    "pids": "ls -d /proc/[0-9]*",
}
# Where we differ from runc for one and the same config.json, and why.
KNOWN = {
    "mounts": "the cgroup tree is not mounted yet on v1 (Docker shows one folder for each hierarchy): chapter 6",
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    from lib import bases

    place = tmp_path_factory.mktemp("bundle")
    shutil.copytree(bases.busybox(), place / "rootfs", symlinks=True)
    subprocess.run(["runc", "spec"], cwd=place, check=True)
    return place


def write_config(bundle: Path, script: str) -> None:
    config = json.loads((bundle / "config.json").read_text())
    config["process"] |= {"terminal": False, "args": ["sh", "-c", script]}
    config["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "hard": 512, "soft": 512}]
    config["process"]["user"]["umask"] = 0o027
    config["root"]["readonly"] = True
    (bundle / "config.json").write_text(json.dumps(config))


def normal(text: str) -> list[str]:
    """Without what differs from run to run, or between two mounts of the same: block device names, overlay's paths."""
    return [re.sub(r"^(overlay|/dev/\S+|devtmpfs) ", "DISK ", line) for line in text.splitlines()]


def ignore_nothing() -> None:
    """runc hands on what its caller ignores (also a signal of the C library's own, 32 or 33); a container of ours never sees that."""
    for number in range(1, 65):
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            linux.plain_signal(number)


@requires("runc")
def test_the_same_config_looks_the_same_through_runc_and_us(bundle):
    from lib import oci

    script = "; ".join(f"echo '== {name}'; {probe}" for name, probe in PROBES.items())
    write_config(bundle, script + " 2>&1")
    theirs = subprocess.run(
        ["runc", "run", "st-peer"], cwd=bundle, capture_output=True, text=True, timeout=60, preexec_fn=ignore_nothing
    ).stdout
    config = oci.load(str(bundle))
    env = dict(word.partition("=")[::2] for word in config["process"]["env"])
    ours = Plan(config["process"]["args"], oci.ingredients(config, str(bundle), "oci-peer"), env).run(show=False, timeout=60).text
    split = lambda text: dict(part.split("\n", 1) for part in text.split("== ")[1:])
    ours, theirs = split(ours), split(theirs)
    assert set(theirs) == set(PROBES), theirs
    for name in PROBES:
        one, two = normal(ours[name]), normal(theirs[name])
        if name in KNOWN:
            one, two = ([line for line in lines if "cgroup" not in line] for lines in (one, two))
        assert sorted(one) == sorted(two), name
