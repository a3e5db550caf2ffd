"""Every entry of the error catalogue is provoked for real, and what the reader is told is looked at."""

from __future__ import annotations

import errno
import json
import os
import stat
import struct
import subprocess
import sys
from dataclasses import replace

import pytest
from helpers.needs import requires
from helpers.steps import Steps

import lib
from lib import advice, linux
from lib.ingredients import Cgroup, Namespaces, User, cgroups
from lib.ingredients.cgroups import Member
from lib.process import Plan, Ref, Step, StepError, errors

pytestmark = requires("root")


def do(call, *args, stage="mounts", gives=None) -> Step:
    return Step(stage, call, args, "provoked", gives)


NOBODY = do("setuid", 65534)


def fails(*steps, argv=("true",), ingredients=(), fresh=("mnt",)) -> StepError:
    """The error that a plan of these steps comes back with."""
    parts = [Namespaces(*fresh), Steps(*steps), *ingredients]
    with pytest.raises(StepError) as caught:
        Plan(list(argv), parts).run(show=False, timeout=30)
    return caught.value


def program(path, content: bytes, mode=0o755):
    path.write_bytes(content)
    path.chmod(mode)
    return [str(path)]


def loop(path):
    os.symlink(path, path)
    return str(path)


# -- one provocation for each entry -----------------------------------------------------------


def tmp(tmp_path, options=""):
    return do("mount", "tmpfs", str(tmp_path), "tmpfs", options)


def limit_file(word: str) -> tuple[Cgroup, str]:
    one = Cgroup(cpuset="0" if word.startswith("cpuset") else None, io="8:0 wbps=1" if word.startswith("io") else None)
    (controller, name, _), *_ = one.backend.translate(word, "8:0 wbps=1" if word.startswith("io") else "1")
    return one, f"{one.folders[controller]}/{name}"


def made(one: Cgroup) -> list[Step]:
    """The cgroup's folders (and on v2 the controllers), without its limits and without joining it."""
    return [
        replace(step, undo=step.undo[:1], stage="prepare")
        for step in one.steps()
        if step.call in ("makedirs", "mkdir") or (step.call == "write" and step.args[0].endswith("subtree_control"))
    ]


def written(word: str, text: str) -> StepError:
    one, path = limit_file(word)
    return fails(*made(one), do("write", path, text, stage="prepare"))


def no_more_processes():
    """Whoever clones, or is cloned, is in a cgroup in which nobody more may be."""
    one, path = limit_file("pids.max")
    closed = [*made(one), do("write", path, "0", stage="prepare")]
    if cgroups.backend().version == 2:
        return fails(*closed, ingredients=[Member(one)])
    return fails(*closed, do("write", f"{os.path.dirname(path)}/tasks", "0", stage="join"))


def below_use():
    """Python's own heap is memory that cannot be written back anywhere without swap."""
    with lib.start("busybox", ["sh", "-c", "x=$(head -c 8000000 /dev/zero | tr '\\0' x); echo ready; sleep 100"], memory="64m") as box:
        while b"ready" not in box.process.logs():
            linux.readable([], 0.01)
        return fails(do("write", box.cgroup.backend.file(box.cgroup.folders, "memory.max"), "4096", stage="prepare"))


def still_written(path) -> StepError:
    """As in a build that runs a program while it is still being copied."""
    with open(path, "wb") as file:
        file.write(b"#!/bin/sh\n")
        path.chmod(0o755)
        return fails(argv=[str(path)])


def join_the_dead() -> StepError:
    """A descriptor keeps the PID namespace, but nothing can be born in it any more."""
    with Plan(["sleep", "100"], [Namespaces("pid")]).start() as process:
        kept = os.open(f"/proc/{process.pid}/ns/pid", os.O_RDONLY)
    try:
        return fails(do("open", f"/proc/self/fd/{kept}", stage="prepare", gives="x"), do("setns", Ref("x"), "pid", stage="join"), fresh=())
    finally:
        os.close(kept)


PROVOKED = {
    ("execve", "ENOENT"): lambda p: fails(argv=["nothing-of-that-name"]),
    ("execve", "ENOEXEC"): lambda p: fails(argv=program(p / "x", b"just text\n")),
    ("execve", "EACCES"): lambda p: fails(argv=program(p / "x", b"#!/bin/sh\n", 0o644)),
    ("execve", "ENOTDIR"): lambda p: fails(argv=["/etc/passwd/x"]),
    ("execve", "ELOOP"): lambda p: fails(argv=[loop(p / "x")]),
    ("execve", "ETXTBSY"): lambda p: still_written(p / "x"),
    ("execve", "E2BIG"): lambda p: fails(argv=["true", "x" * (1 << 18)]),
    ("pivot_root", "EINVAL"): lambda p: fails(tmp(p), do("mkdir", f"{p}/x"), do("pivot_root", f"{p}/x")),
    ("pivot_root", "EBUSY"): lambda p: fails(do("pivot_root", "/")),
    ("pivot_root", "EPERM"): lambda p: fails(NOBODY, do("pivot_root", "/tmp")),
    ("pivot_root", "ENOTDIR"): lambda p: fails(do("pivot_root", "/etc/passwd")),
    ("pivot_root", "ENOENT"): lambda p: fails(do("pivot_root", str(p / "x"))),
    ("mount", "EPERM"): lambda p: fails(NOBODY, do("mount", "tmpfs", "/tmp", "tmpfs")),
    ("mount", "EINVAL"): lambda p: fails(do("mount", "tmpfs", str(p), "tmpfs", "size=lots")),
    ("mount", "ENOENT"): lambda p: fails(do("mount", "tmpfs", str(p / "x"), "tmpfs")),
    ("mount", "ENOTDIR"): lambda p: fails(do("mount", "/etc", "/etc/passwd", None, "bind")),
    ("mount", "ENODEV"): lambda p: fails(do("mount", "none", str(p), "no-such-fs")),
    ("mount", "EBUSY"): lambda p: fails(
        tmp(p), do("write_file", f"{p}/f", ""), do("open_rw", f"{p}/f"), do("mount", None, str(p), None, "remount,ro")
    ),
    ("mount", "ENOSPC"): lambda p: fails(
        tmp(p), *(do("mkdir", f"{p}/{n}") for n in range(18)), *(do("mount", str(p), f"{p}/{n}", None, "rbind") for n in range(18))
    ),
    ("mount", "ELOOP"): lambda p: fails(do("mount", "tmpfs", loop(p / "x"), "tmpfs")),
    ("bind", "EXDEV"): lambda p: fails(do("bind", str(p), "/", "/tmp", "", True, "", "..")),
    ("open_tree", "ENOENT"): lambda p: fails(do("bind", str(p / "x"), "/", "/etc/passwd")),
    ("open_tree", "EPERM"): lambda p: fails(NOBODY, do("bind", "/etc", "/", "/tmp")),
    ("umount2", "EINVAL"): lambda p: fails(do("umount2", str(p))),
    ("umount2", "EBUSY"): lambda p: fails(tmp(p), do("chdir", str(p)), do("umount2", str(p))),
    ("clone3", "EPERM"): lambda p: fails(do("setuid", 65534, stage="join")),
    ("clone3", "ENOSPC"): lambda p: fails(
        do("unshare", "user", stage="join"), do("write", "/proc/sys/user/max_mnt_namespaces", "0", stage="join")
    ),
    ("clone3", "EAGAIN"): lambda p: no_more_processes(),
    ("clone3", "ENOMEM"): lambda p: join_the_dead(),
    ("clone3", "EINVAL"): lambda p: fails(do("unshare", "pid", stage="join"), fresh=("pid",)),
    ("clone3", "EBADF"): lambda p: fails(Step("clone", "clone3", ([], 9999))),
    ("unshare", "EPERM"): lambda p: fails(NOBODY, do("unshare", "uts")),
    ("unshare", "EINVAL"): lambda p: fails(do("unshare", "pid"), do("unshare", "pid")),
    ("setns", "EINVAL"): lambda p: fails(
        do("open", "/proc/self/ns/uts", stage="prepare", gives="x"), do("setns", Ref("x"), "net", stage="join")
    ),
    ("setns", "EPERM"): lambda p: fails(
        do("open", "/proc/self/ns/uts", stage="prepare", gives="x"),
        do("setuid", 65534, stage="join"),
        do("setns", Ref("x"), "uts", stage="join"),
    ),
    ("write", "EPERM"): lambda p: fails(do("unshare", "user"), do("write", "/proc/self/uid_map", "0 5 1")),
    ("write", "EACCES"): lambda p: fails(NOBODY, do("write", "/etc/passwd", "")),
    ("write", "EINVAL"): lambda p: written("pids.max", "many"),
    ("write", "ENOENT"): lambda p: fails(do("write", str(p / "x"), "1")),
    ("write", "EBUSY"): lambda p: below_use(),
    ("write", "ENODEV"): lambda p: written("io.max", "999:77 1" if cgroups.backend().version == 1 else "999:77 wbps=1"),
    ("write", "ESRCH"): lambda p: written("cgroup.procs", str(linux.read("/proc/sys/kernel/pid_max").strip())),
    ("mkdir", "EEXIST"): lambda p: fails(do("mkdir", str(p))),
    ("mkdir", "EACCES"): lambda p: fails(NOBODY, do("mkdir", "/root/x")),
    ("mkdir", "EROFS"): lambda p: fails(tmp(p, "ro"), do("mkdir", f"{p}/x")),
    ("mkdir", "ENOENT"): lambda p: fails(do("mkdir", f"{p}/x/y")),
    ("mkdir", "ENOSPC"): lambda p: fails(tmp(p, "nr_inodes=1"), do("mkdir", f"{p}/x")),
    ("mknod", "EPERM"): lambda p: fails(NOBODY, do("mknod", "/", "/tmp/x", "c", 1, 3)),
    ("mknod", "EEXIST"): lambda p: fails(do("mknod", "/", "/etc/passwd", "c", 1, 3)),
    ("symlink", "EEXIST"): lambda p: fails(do("symlink", "/", "/etc/passwd", "x")),
    ("sethostname", "EPERM"): lambda p: fails(NOBODY, do("sethostname", "x")),
    ("sethostname", "EINVAL"): lambda p: fails(do("sethostname", "x" * 65), fresh=("uts",)),
    ("chdir", "ENOENT"): lambda p: fails(do("chdir", f"{p}/x")),
    ("chdir", "ENOTDIR"): lambda p: fails(do("chdir", "/etc/passwd")),
    ("setrlimit", "EPERM"): lambda p: fails(do("setrlimit", "NOFILE", 100, 100), NOBODY, do("setrlimit", "NOFILE", 200, 200)),
    ("setrlimit", "EINVAL"): lambda p: fails(do("setrlimit", "NOFILE", 200, 100)),
    ("setgroups", "EPERM"): lambda p: fails(do("unshare", "user"), do("write", "/proc/self/setgroups", "deny"), do("setgroups", [])),
    ("setgroups", "EINVAL"): lambda p: fails(do("setgroups", [5]), ingredients=[User()]),
    ("setuid", "EINVAL"): lambda p: fails(do("unshare", "user"), do("setuid", 5)),
    ("setuid", "EPERM"): lambda p: fails(NOBODY, do("setuid", 0)),
    ("setgid", "EINVAL"): lambda p: fails(do("unshare", "user"), do("setgid", 5)),
    ("link_up", "ENODEV"): lambda p: fails(do("link_up", "no-such-if")),
    ("link_up", "EPERM"): lambda p: fails(NOBODY, do("link_up", "lo"), fresh=("net",)),
    ("open", "ENOENT"): lambda p: fails(do("open", f"{p}/x")),
    ("open", "EACCES"): lambda p: fails(NOBODY, do("open", "/root/x")),
    ("open", "EMFILE"): lambda p: fails(do("setrlimit", "NOFILE", 0, 0), do("open", "/")),
}
ONLY_V1 = {("write", "ENOSPC"): lambda p: joined_empty_cpuset(), ("write", "EBUSY"): PROVOKED.pop(("write", "EBUSY"))}
ONLY_V2 = {("write", "ERANGE"): lambda p: written("cpu.weight", "0")}


def joined_empty_cpuset():
    one, path = limit_file("cpuset.cpus")
    return fails(*made(one), do("write", path, "\n", stage="prepare"), do("write", f"{os.path.dirname(path)}/tasks", "0"))


def provoke(pair, make, tmp_path) -> StepError:
    error = make(tmp_path)
    entry, name = advice.CATALOGUE[pair], errno.errorcode[error.errno]
    assert name == pair[1], error
    assert pair[0] in (error.step.call, advice.ALIASES.get(error.step.call), error.strerror.partition(":")[0]), error
    assert error.advice and "no closer look" not in error.advice
    assert callable(entry) or error.advice == entry
    assert error.advice in str(error)
    return error


OF_DAEMONS = {("settle", "ENOSPC"), ("settle", "EDQUOT"), ("clone3", "EMFILE")}  # in tests/engine/daemons/test_faults.py

OF_NETWORKS = {pair for pair in advice.CATALOGUE if pair[0] == "nft"}  # in tests/network/firewall/test_changes.py


@pytest.mark.parametrize("pair", PROVOKED, ids="-".join)
def test_provoked(pair, tmp_path):
    provoke(pair, PROVOKED[pair], tmp_path)


@requires("cgroup1")
@pytest.mark.parametrize("pair", ONLY_V1, ids="-".join)
def test_provoked_on_v1(pair, tmp_path):
    provoke(pair, ONLY_V1[pair], tmp_path)


@pytest.mark.v2
@requires("cgroup2")
@pytest.mark.parametrize("pair", ONLY_V2, ids="-".join)
def test_provoked_on_v2(pair, tmp_path):
    provoke(pair, ONLY_V2[pair], tmp_path)


def test_every_entry_is_provoked():
    assert set(advice.CATALOGUE) == set(PROVOKED) | set(ONLY_V1) | set(ONLY_V2) | OF_DAEMONS | OF_NETWORKS


# -- execve: three causes of "not found", three of "not executable" ------------------------------


def elf(machine: int, interpreter: bytes = b"/lib/ld-none.so.1") -> bytes:
    """The smallest ELF file that names a machine and a loader."""
    head = struct.pack("<4s5B7x2HI3QI6H", b"\x7fELF", 2, 1, 1, 0, 0, 2, machine, 1, 0x400000, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    where = 64 + 56
    return head + struct.pack("<2I6Q", 3, 4, where, 0, 0, len(interpreter) + 1, len(interpreter) + 1, 1) + interpreter + b"\0"


def told(path, content: bytes, mode=0o755) -> str:
    return str(fails(argv=program(path, content, mode)))


def test_a_script_saved_on_windows(tmp_path):
    text = told(tmp_path / "x", b"#!/bin/sh\r\necho hi\r\n")
    assert "Windows line end" in text and r"'/bin/sh\r'" in text and "sed -i" in text


def test_a_missing_script_interpreter(tmp_path):
    assert "interpreter in its first line, '/usr/bin/nonesuch', is not in this root" in told(tmp_path / "x", b"#!/usr/bin/nonesuch -x\n")
    assert "first line, '/usr/bin/nonesuch', is not" in told(tmp_path / "x", b"#!/usr/bin/nonesuch\t-x\n"), "a tab ends it too"


def test_a_missing_elf_loader(tmp_path):
    number = {"x86_64": 62, "aarch64": 183}[os.uname().machine]
    assert "its ELF loader '/lib/ld-none.so.1' is not in this root" in told(tmp_path / "x", elf(number))


def test_another_architecture_by_its_header(tmp_path):
    foreign = 243  # riscv64: nobody has registered an emulator for a file as broken as this
    text = told(tmp_path / "x", elf(foreign, b"/x").replace(b"\2\1\1\0", b"\2\1\1\7", 1))
    assert "was built for riscv64, this machine is" in text or "ELF loader" in text


@requires("aarch64-linux-gnu-gcc")
def test_a_real_program_for_another_architecture(tmp_path):
    subprocess.run(["aarch64-linux-gnu-gcc", "-x", "c", "-", "-o", tmp_path / "x"], input=b"int main(){}", check=True)
    error = fails(argv=[str(tmp_path / "x")])
    emulated = os.path.exists("/proc/sys/fs/binfmt_misc/qemu-aarch64")
    assert ("ELF loader" if emulated else "was built for aarch64") in str(error)


def test_an_empty_file_a_folder_and_a_noexec_mount(tmp_path):
    assert "is empty" in told(tmp_path / "x", b"")
    assert "is a folder" in str(fails(argv=[str(tmp_path)]))
    path = tmp_path / "m"
    path.mkdir()
    steps = (tmp(path, "noexec"), do("write_file", f"{path}/p", "#!/bin/sh\n"), do("mknod", "/", f"{path}/q", "c", 1, 3, 0o777))
    assert "q' may not be executed" in str(fails(*steps, argv=[f"{path}/q"]))


def test_where_a_command_was_looked_for():
    with pytest.raises(StepError, match=r"'x' is in none of the folders of PATH: /a:/b \(ENOENT\)"):
        Plan(["x"], [], {"PATH": "/a:/b"}).run()


def test_a_limit_that_the_machine_refuses_is_named():
    hard = 1 << 40
    text = str(fails(do("setrlimit", "NOFILE", hard, hard)))
    assert "setrlimit('NOFILE'" in text and "the machine's hard limit is" in text


# -- pivot_root: its five EINVALs --------------------------------------------------------------

PIVOT = """
import json, os, sys
from lib import linux
from lib.advice import advise
linux.unshare("mnt")
linux.mount(None, "/", None, "rprivate")
new, old = {new!r}, {old!r}
{setup}
try:
    linux.pivot_root(new, old)
except OSError as error:
    print(json.dumps([error.errno, advise("pivot_root", (new, old), error)]))
"""
SETUPS = {
    "is not a mount point": "linux.mount('t', new, 'tmpfs'); new, old = new + '/x', new + '/x/old'; os.makedirs(old)",
    "shared propagation": "linux.mount('t', new, 'tmpfs'); os.mkdir(old); linux.mount(None, new, None, 'shared')",
    "is not the new root or a folder below it": "linux.mount('t', new, 'tmpfs'); linux.mount('t', '/mnt', 'tmpfs'); old = '/mnt'",
    "the current root is not a mount point": "linux.mount('t', new, 'tmpfs'); os.mkdir(old); os.chroot(os.path.dirname(new)); "
    "os.chdir('/'); new, old = '/new', '/new/old'; os.makedirs('proc', exist_ok=True); linux.mount('proc', '/proc', 'proc')",
}


@pytest.mark.parametrize("words", SETUPS)
def test_pivot_root_says_which_of_its_causes(words, tmp_path):
    (tmp_path / "new").mkdir()
    code = PIVOT.format(new=str(tmp_path / "new"), old=str(tmp_path / "new/old"), setup=SETUPS[words])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    number, text = json.loads(done.stdout or "[0, 0]") if not done.returncode else (0, done.stderr)
    assert number == errno.EINVAL and words in text, text


def test_pivot_root_says_why_it_is_busy(tmp_path):
    """The beginner's case: an ordinary folder. The man page says EINVAL, the kernel looks for this one first."""
    folder = str(tmp_path / "new")
    os.makedirs(f"{folder}/old")
    assert "is an ordinary folder of the current root, not a mount point" in str(fails(do("pivot_root", folder)))
    error = fails(do("pivot_root", "/"))
    assert "is the current root already" in str(error)
    assert "put_old '/tmp' lies on the current root" in advice.why_pivot_busy("/proc", "/tmp")


RAMFS = """
import json, os
from lib import linux
from lib.advice import advise
linux.unshare("mnt")
linux.mount(None, "/", options="rprivate")
mine = os.open("/proc/self/ns/mnt", os.O_RDONLY)
try:
    linux.umount("/", linux.MNT_DETACH)
except OSError:  # in a container there is nothing below
    raise SystemExit(77)
linux.setns(mine, "mnt")
print(json.dumps(try_it()))
"""
TRY = """
def try_it():
    made = [name for name in ("/proc", "/new") if not os.path.isdir(name)]
    try:
        for name in made:
            os.mkdir(name)
        linux.mount("proc", "/proc", "proc")
        linux.mount("tmpfs", "/new", "tmpfs")
        linux.pivot_root("/new", "/new")
    except OSError as error:
        return error.errno, advise("pivot_root", ("/new", "/new"), error)
    finally:
        for name in ("/proc", "/new"):
            linux.umount(name, linux.MNT_DETACH)
        for name in made:  # the ramfs is the machine's, in no namespace of ours
            os.rmdir(name)
"""


def test_the_fifth_cause_the_initial_ramfs():
    """The kernel's first root lies hidden below all others: take the roof off in a namespace of our own, and stand on it."""
    done = subprocess.run([sys.executable, "-c", TRY + RAMFS], capture_output=True, text=True, timeout=30)
    if done.returncode == 77:
        pytest.skip("no ramfs lies below this root (a container's)")
    assert done.returncode == 0, done.stderr
    number, text = json.loads(done.stdout)
    assert number == errno.EINVAL and "initial ramfs" in text and "switch_root" in text


# -- the way there ----------------------------------------------------------------------------


def test_an_error_in_the_child_arrives_as_itself():
    error = fails(do("mount", "tmpfs", "/nowhere", "tmpfs"))
    assert (error.errno, error.step.call, error.filename) == (errno.ENOENT, "mount", "/nowhere")
    assert str(error).startswith("step 'mounts' (in the child): mount('tmpfs', '/nowhere', 'tmpfs') failed: ENOENT, mount: No such file")
    assert "the folder '/nowhere' does not exist" in str(error)


def test_a_step_with_many_words_does_not_bury_its_error():
    """A network's has all rules of its firewall among them, which are pages."""
    step = Step("prepare", "join", ("/run/networks/a", "rule " * 5000), gives="lease")
    text = str(errors.failed(step, PermissionError(errno.EPERM, "nft: Operation not permitted"), step.args))
    assert len(text) < 400 and text.startswith("step 'prepare' (in the caller): join('/run/networks/a', 'rule rule")
    assert "failed: EPERM, nft: Operation not permitted" in text


def test_a_step_with_wrong_arguments_is_told_and_not_lost():
    error = fails(do("mkdir"))
    assert error.errno == errno.EINVAL and "TypeError" in str(error), "an error of Python's is no input or output error (EIO)"


def test_a_call_that_does_not_exist_is_told():
    assert "KeyError" in str(fails(do("frobnicate")))


def test_a_closer_look_that_fails_does_not_hide_the_error(monkeypatch):
    monkeypatch.setitem(advice.CATALOGUE, ("open", "EIO"), lambda *args: 1 / 0)
    assert "no closer look was possible: ZeroDivisionError" in advice.advise("open", (), OSError(errno.EIO, "x"))


def test_a_store_on_a_file_system_that_overlay_cannot_use(tmp_path):
    """The store on an overlay, as inside of another container."""
    for name in ("low", "up", "work", "merged"):
        (tmp_path / name).mkdir()
    options = f"lowerdir={tmp_path}/low,upperdir={tmp_path}/up,workdir={tmp_path}/work"
    merged = tmp_path / "merged"
    inner = f"lowerdir=/etc,upperdir={merged}/up,workdir={merged}/work"
    error = fails(
        do("mount", "overlay", str(merged), "overlay", options),
        *(do("mkdir", f"{merged}/{name}") for name in ("up", "work", "again")),
        do("mount", "overlay", f"{merged}/again", "overlay", inner),
    )
    assert "lies on overlay, which overlay cannot use" in str(error) and "SUITCASE_STORE" in str(error)


def test_the_bits_of_a_file_are_not_touched_by_looking(tmp_path):
    path = tmp_path / "x"
    told(path, b"", 0o711)
    assert stat.S_IMODE(path.stat().st_mode) == 0o711
