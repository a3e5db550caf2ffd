"""The process inside, and other users of the machine: what each tried once, and must not get."""

from __future__ import annotations

import marshal
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from helpers.needs import requires
from helpers.steps import Steps
from helpers.waiting import ends, wait_for

import lib
from lib import bases, images, inside, linux, oci, state
from lib.ingredients import Capabilities, Namespaces, RunAs, capabilities, users
from lib.process import Plan, Step, StepError, output
from lib.process.line import Line
from lib.state import removal

ROOT = Path(__file__).parents[2]
SOMEBODY = RunAs(1000, 1000, (1000,), "/")
pytestmark = requires("root", "overlay", "busybox")


def sh(script: str, **options):
    return lib.run("busybox", ["sh", "-c", script], show=False, timeout=60, **options)


def created(**options):
    """A container whose program has not begun: the moment in which the child could be looked into."""
    return lib.create("busybox", ["true"], **options)


# -- descriptors and working directories ---------------------------------------------------------


@pytest.mark.v2
def test_a_created_process_holds_nothing_but_its_streams_and_its_line():
    """On v2 it was born by way of a descriptor of the host's cgroup folder."""
    with created() as box:
        held = {os.readlink(path) for path in Path(f"/proc/{box.pid}/fd").iterdir()}
    assert not [one for one in held if os.path.isdir(one)], held
    assert len([one for one in held if one.startswith("socket:")]) == 1


@pytest.mark.v2
@pytest.mark.parametrize("how", ["start", "init", "exec", "oci"])
def test_its_null_device_is_its_own(how, tmp_path):
    """Whoever holds the machine's may change its mode, and nobody else could use it any more."""
    script, host = ["stat", "-L", "-c", "%t:%T %d:%i", "/proc/self/fd/0"], os.stat("/dev/null")
    if how == "oci":
        shutil.copytree(bases.busybox(), tmp_path / "rootfs", symlinks=True)  # a bundle's own: it gets devices
        mounts = [{"destination": "/proc", "type": "proc", "source": "proc"}, {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}]
        config = {"ociVersion": "1.2.0", "process": {"args": script, "cwd": "/"}, "root": {"path": "rootfs", "readonly": True}}
        config |= {"mounts": mounts, "linux": {"namespaces": [{"type": "mount"}]}}
        plan = Plan(script, oci.ingredients(config, str(tmp_path), "null"), {"PATH": "/bin"})
    else:
        plan = lib.Container("busybox", script, init=how == "init").plan
    with lib.start("busybox", ["sleep", "60"]) as box, (box.exec_plan(script) if how == "exec" else plan).start() as process:
        process.wait(20)
        node, which = process.logs().decode().split()
    assert node == "1:3" and which != f"{host.st_dev}:{host.st_ino}"


def test_an_exec_is_refused_where_the_null_device_is_something_else():
    with lib.start("busybox", ["sh", "-c", "rm /dev/null; mkfifo /dev/null; echo done; exec sleep 60"]) as box:
        wait_for(lambda: "done" in box.logs())
        with pytest.raises(StepError, match="not the null device"):
            box.exec_plan(["true"]).start()


def test_what_it_takes_away_from_under_our_eyes_keeps_nobody_waiting(monkeypatch):
    """It may open the other end of its own output, and empty it after we have been told that there is something."""
    pipes = output.Pipes(tty=False)
    monkeypatch.setattr(output.linux, "readable", lambda fds, timeout: list(fds))
    assert not any(map(os.get_blocking, pipes.readers)) and pipes.copy(show=False) is False
    pipes.close()


def test_its_small_files_are_on_disk_with_its_others():
    """What is appended to /etc/hosts without an end must not fill the memory in which our records are."""
    with created() as box:
        assert Path(box.files.folder).parent == state.folder("containers")


@pytest.mark.v2
@pytest.mark.parametrize("how", ["exec", "run"])
def test_no_working_directory_leads_out(how, tmp_path):
    """CVE-2024-21626: a descriptor of the host's that is still open, and a link that leads through it."""
    for number in range(3, 12):
        path = f"/proc/self/fd/{number}"
        try:
            if how == "run":
                out = sh("pwd; ls -d ../../../../../..", workdir=path).text
            else:
                with lib.start("busybox", ["sleep", "60"]) as box:
                    box.exec(["ln", "-s", path, "/tmp/link"], show=False)
                    out = box.exec(["sh", "-c", "pwd; ls ../../../../.."], workdir="/tmp/link", show=False).text
        except StepError as error:
            assert error.step.call in ("make_cwd", "enter_cwd"), error
        else:
            pytest.fail(f"{path}: {out}")


@pytest.mark.v2
def test_pid_1_of_init_holds_nothing_of_the_host(monkeypatch):
    monkeypatch.setenv("TOKEN_OF_THE_HOST", "s3cret")
    with lib.start("busybox", ["sleep", "60"], init=True) as box:
        wait_for(lambda: "sleep" in box.exec(["ps"], show=False).text)
        held = [os.readlink(path) for path in Path(f"/proc/{box.pid}/fd").iterdir()]
        assert len(held) == 3 and not any(os.path.isdir(one) for one in held)
        assert b"s3cret" not in Path(f"/proc/{box.pid}/environ").read_bytes()
        assert os.readlink(f"/proc/{box.pid}/exe").startswith("/memfd:"), "not a file of the host's that it could write to"


# -- what the starter knows -----------------------------------------------------------------------


def memory_of(pid: int) -> bytes:
    """All that a process can write, as root of the host sees it."""
    found = b""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in linux.read(f"/proc/{pid}/maps").splitlines():
            low, high = (int(word, 16) for word in line.split()[0].split("-"))
            if line.split()[1].startswith("rw") and "[v" not in line:
                memory.seek(low)
                found += memory.read(high - low)
    return found


def test_a_new_process_has_seen_no_other_containers_words(monkeypatch):
    monkeypatch.setenv("TOKEN_OF_THE_HOST", "of-the-caller-7423")
    sh("true", env={"DB_PASSWORD": "of-another-7423"})
    with created(env={"MINE": "of-my-own-7423"}) as box:
        seen = memory_of(box.pid)
        assert b"of-my-own-7423" in seen, "else this test sees nothing at all"
        assert b"of-another-7423" not in seen and b"of-the-caller-7423" not in seen
        assert Path(f"/proc/{box.pid}/environ").read_bytes() == b""


def test_nobody_but_root_may_look_into_it_before_it_is_the_program():
    with created(user=SOMEBODY) as box:
        assert os.stat(f"/proc/{box.pid}/environ").st_uid == 0, "not dumpable: /proc/PID is root's, though the process is uid 1000"
    with lib.start("busybox", ["sleep", "60"], user=SOMEBODY) as box:
        assert os.stat(f"/proc/{box.pid}/environ").st_uid == 1000, "the program itself is an ordinary one"


def test_what_runs_python_here_cannot_be_overwritten_from_a_container():
    """CVE-2019-5736: ``/proc/self/exe``, opened for writing as soon as nobody runs it."""
    with created() as box:
        assert os.readlink(f"/proc/{box.pid}/exe").startswith("/memfd:")
        with pytest.raises(OSError, match=r"not permitted|busy"):
            os.write(os.open(f"/proc/{box.pid}/exe", os.O_WRONLY), b"x")


KEYS = """
import ctypes, os, sys
from lib import linux
add, ask_for = {"x86_64": (248, 249), "aarch64": (217, 218)}[os.uname().machine]  # add_key, request_key
key = linux.libc.syscall(ctypes.c_long(add), b"user", b"of-the-caller", b"x", 1, -3)
if key == -1: sys.exit(77)
from lib.process import Plan
ask = "import ctypes; print(ctypes.CDLL(None).syscall(%d, b'user', b'of-the-caller', None, 0))"
print(linux.libc.syscall(ctypes.c_long(ask_for), b"user", b"of-the-caller", None, 0) == key)
print(Plan([sys.executable, "-c", ask % ask_for]).run(show=False).text)
"""


def test_the_callers_keys_are_not_found():
    done = subprocess.run([sys.executable, "-c", KEYS], cwd=ROOT, capture_output=True, text=True)
    if done.returncode == 77:
        pytest.skip("this kernel, or who runs this, keeps no keys")
    assert done.stdout.split() == ["True", "-1"], done.stderr


# -- who runs, and with which rights ----------------------------------------------------------------


def test_a_second_command_is_whom_the_container_is():
    limits = {"nofile": (99, 99)}
    with lib.start("busybox", ["sleep", "60"], user=SOMEBODY, workdir="/tmp", ulimits=limits) as box:
        assert box.exec(["sh", "-c", "id -u; pwd; ulimit -n"], show=False).text.split() == ["1000", "/tmp", "99"]
        assert box.exec(["id", "-u"], user=RunAs(), show=False).text == "0\n", "unless it is asked for"
        with pytest.raises(StepError, match="/nowhere"):
            box.exec(["true"], workdir="/nowhere")
        first = Path(f"/proc/{box.pid}/status").read_text()
        assert re.search(r"CapBnd:\t(\w+)", first)[1] == box.exec(["grep", "CapBnd", "/proc/self/status"], show=False).text.split()[1]


def test_nobody_follows_pid_1_into_a_user_namespace_that_it_enters_by_itself():
    """It would be nobody in there, and could not even join the rest."""
    with lib.start("busybox", ["unshare", "-U", "sleep", "60"]) as box:
        wait_for(lambda: os.readlink(f"/proc/{box.pid}/ns/user") != os.readlink("/proc/self/ns/user"))
        done = box.exec(["sh", "-c", "id -u; hostname; echo $$"], show=False, timeout=60)
        assert done.text.split()[:2] == ["0", box.id] and int(done.text.split()[2]) < 100


def test_a_number_is_a_number_whoever_is_called_so():
    files = {"/etc/passwd": "1000:x:0:0:root:/root:/bin/sh\n", "/etc/group": "50:x:0:\n"}
    found = users.find("1000:50", lambda path: files[path])
    assert (found.uid, found.gid) == (1000, 50)


def test_root_in_it_has_dockers_fourteen_powers():
    words = sh("grep Cap /proc/self/status").text.split()
    docker = f"{0xA80425FB:016x}"
    assert dict(zip(words[::2], words[1::2], strict=True)) == {
        "CapInh:": "0" * 16, "CapPrm:": docker, "CapEff:": docker, "CapBnd:": docker, "CapAmb:": "0" * 16,
    }  # fmt: skip
    mine = dict(zip(*[iter(sh("grep Cap /proc/self/status", user=SOMEBODY).text.split())] * 2, strict=True))
    assert (mine["CapEff:"], mine["CapBnd:"]) == ("0" * 16, docker)


@pytest.mark.parametrize(
    ("add", "drop", "there", "gone"),
    [
        (("NET_ADMIN",), (), {"NET_ADMIN", "CHOWN"}, {"SYS_ADMIN"}),
        ((), ("cap_chown",), {"KILL"}, {"CHOWN"}),
        (("NET_BIND_SERVICE",), ("ALL",), {"NET_BIND_SERVICE"}, {"CHOWN", "KILL"}),
        (("ALL",), ("SYS_ADMIN",), {"SYS_TIME", "CHOWN"}, {"SYS_ADMIN"}),
    ],
)
def test_powers_are_added_and_dropped_as_in_docker(add, drop, there, gone):
    kept = set(capabilities.chosen(add, drop))
    assert there <= kept and not gone & kept


def test_a_power_that_linux_does_not_have():
    with pytest.raises(ValueError, match='unknown capability: "FLY"'):
        Capabilities(["FLY"])


def test_privileged_is_dockers_word_for_all_of_them():
    done = sh("grep CapEff /proc/self/status; mount -t tmpfs none /tmp && echo mounted", privileged=True)
    assert "mounted" in done.text and int(done.text.split()[1], 16) >> 21 & 1
    assert "mounted" not in sh("mount -t tmpfs none /tmp && echo mounted").text


def test_a_variable_called_as_our_own_reference_is_a_variable():
    assert sh("echo $ref", env={"ref": "x"}).text == "x\n"


# -- devices --------------------------------------------------------------------------------------------


@pytest.mark.v2
def test_a_device_that_an_image_brings_along_cannot_be_opened(tmp_path):
    os.mknod(tmp_path / "disk", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    (tmp_path / "disk").chmod(0o666)
    done = lib.run([bases.busybox(), str(tmp_path)], ["sh", "-c", "cat /disk && echo read"], user=SOMEBODY, show=False)
    assert "read" not in done.text and b"denied" in done.errors


@pytest.mark.v2
def test_a_device_that_somebody_makes_cannot_be_opened():
    """In /dev nodes work: there a list says which (v1), or nobody may make one (v2)."""
    done = sh("mknod /dev/other c 1 1; cat /dev/other && echo read; echo x > /dev/null && echo null works")
    assert "read" not in done.text and "null works" in done.text


@pytest.mark.v2
@pytest.mark.parametrize(
    ("node", "mounts"),
    [
        ("/dev/log", [{"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}]),  # made by root inside
        ("/log", []),  # brought along, and no /dev of its own
        ("/log", [{"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}]),
        ("/mnt/log", [{"destination": "/mnt", "type": "bind", "source": "rootfs", "options": ["rbind", "dev", "rdev"]}]),
    ],
)
def test_a_bundle_that_denies_all_devices_opens_none(node, mounts, tmp_path):
    shutil.copytree(bases.busybox(), tmp_path / "rootfs", symlinks=True)
    (tmp_path / "rootfs/mnt").mkdir(exist_ok=True)
    os.mknod(tmp_path / "rootfs/log", stat.S_IFCHR | 0o600, os.makedev(1, 11))
    config = {
        "process": {"args": ["sh"], "capabilities": {"bounding": ["CAP_MKNOD"], "permitted": ["CAP_MKNOD"]}},
        "root": {"path": "rootfs"},
        "mounts": mounts,
        "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}], "resources": {"devices": [{"allow": False, "access": "rwm"}]}},
    }
    script = f"echo > /dev/null && echo null works; [ -c {node} ] || mknod {node} c 1 11; [ -c {node} ] && exec 3>{node} && echo opened"
    done = Plan(["sh", "-c", script], oci.ingredients(config, str(tmp_path), f"oci-{state.new_id()}")).run(show=False, timeout=60)
    assert "null works" in done.text and "opened" not in done.text, done.errors


# -- files on the host ------------------------------------------------------------------------------------


def test_nobody_else_gets_into_the_store():
    with lib.start("busybox", ["sleep", "60"]) as box:
        assert stat.S_IMODE(os.stat(os.path.dirname(box.folder)).st_mode) == 0o700
    for name in ("bases", "images"):
        assert stat.S_IMODE(state.folder(name).stat().st_mode) == 0o700


def test_a_store_is_closed_to_others_whatever_the_umask(tmp_path, monkeypatch):
    """Who may write in a folder above ours moves ours away, and has root start programs out of his own."""
    monkeypatch.setenv("SUITCASE_STORE", str(tmp_path / "var/lib/store"))
    before = os.umask(0)
    try:
        state.folder("containers")
        images.Store(tmp_path / "other/images")
        state.make_folder(tmp_path / "mem/run")
    finally:
        os.umask(before)
    made = [
        path
        for folder in ("var/lib/store/containers", "other/images", "mem/run")
        for path in (tmp_path / folder, *(tmp_path / folder).parents)
    ]
    assert not [path for path in made if path.is_relative_to(tmp_path) and path.stat().st_mode & 0o022]


def test_a_store_that_others_had_in_their_hands(tmp_path, monkeypatch):
    monkeypatch.setenv("SUITCASE_STORE", str(tmp_path / "store"))
    containers = state.folder("containers")
    containers.parent.chmod(0o777)
    assert state.folder("containers").parent.stat().st_mode & 0o777 == 0o755, "it is ours to close"
    for stranger in (containers, containers.parent):
        os.chown(stranger, 1234, 1234)
        with pytest.raises(PermissionError, match=r"belongs to uid 1234.*SUITCASE_STORE"):
            state.folder("containers")
        os.chown(stranger, 0, 0)
    containers.parent.chmod(0o777)
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(PermissionError, match="others may write in it"):
        state.folder("containers")


@pytest.mark.parametrize("moment", ["listed", "entered"])
def test_a_removal_follows_no_link_that_is_put_in_its_way(tmp_path, monkeypatch, moment):
    victim, doomed = tmp_path / "victim", tmp_path / "doomed"
    for folder in (victim, doomed / "a/b"):
        folder.mkdir(parents=True)
    (victim / "precious").write_text("x")
    real = removal.listing

    def listing(fd: int):
        found = real(fd)
        if moment == "listed" and [name for name, _ in found] == ["a"]:
            (doomed / "a").rename(tmp_path / "aside")
            (doomed / "a").symlink_to(victim)
        if moment == "entered" and [name for name, _ in found] == ["b"]:
            (doomed / "a/b").rename(victim / "b")
            (doomed / "a").rename(victim / "a")
            (doomed / "a").symlink_to(victim)
        return found

    monkeypatch.setattr(removal, "listing", listing)
    with suppress(OSError):  # it may be told that somebody meddled; what matters is what stays
        removal.rmtree(str(doomed))
    assert (victim / "precious").exists()


def test_a_folder_of_any_depth_is_removed(tmp_path):
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    try:
        removal.rmtree(str(tmp_path / "d"))
        assert os.listdir(tmp_path) == []
    finally:  # pytest, which recurses, could never clear it away, and would fail at the end of every later run
        subprocess.run(["rm", "-rf", str(tmp_path / "d")], check=True)


def test_a_folder_with_any_number_of_files_is_removed_in_little_memory(tmp_path, monkeypatch):
    """As many names as one list holds, and a few more: in a folder, in one below it, and folders themselves."""
    monkeypatch.setattr(removal, "AT_ONCE", 10)
    for folder, number in (("full", 25), ("full/7", 10), ("full/7/0", 9), ("full/8", 21)):
        (tmp_path / folder).mkdir(exist_ok=True)
        for name in map(str, range(number)):
            if name in ("0", "7", "8"):
                (tmp_path / folder / name).mkdir()
            else:
                (tmp_path / folder / name).touch()
    longest, read = [], removal.listing
    monkeypatch.setattr(removal, "listing", lambda fd: longest.append(read(fd)) or longest[-1][:])
    removal.rmtree(str(tmp_path / "full"))
    assert os.listdir(tmp_path) == [] and max(map(len, longest)) == 10 + 1


def test_read_only_means_all_of_it():
    done = sh("for f in hosts hostname resolv.conf; do echo x > /etc/$f && echo wrote $f; done", read_only=True)
    assert "wrote" not in done.text
    assert "wrote hosts" in sh("echo x > /etc/hosts && echo wrote hosts").text


def test_records_of_somebody_else_are_not_believed(tmp_path, monkeypatch):
    (tmp_path / "run").mkdir(mode=0o777)
    (tmp_path / "run/oci-web").mkdir()
    (tmp_path / "run/oci-web/state.json").write_text('{"pid": 0, "undos": [["rmtree", "/nowhere"]]}')
    os.chown(tmp_path / "run", 1234, 1234)
    monkeypatch.setenv("SUITCASE_RUN", str(tmp_path / "run"))
    from lib import oci

    for deed in (state.records, state.gc, lambda: oci.state_json("web"), lambda: oci.delete("web")):
        with pytest.raises(PermissionError, match="uid 1234"):
            deed()
    os.chown(tmp_path / "run", 0, 0)
    (tmp_path / "run/web.json").write_text('{"id": "web", "owner": "dead", "maker": "dead", "pid": 0, "undos": [["rmtree", "/nowhere"]]}')
    for theirs in ("web.json", "oci-web"):
        os.chown(tmp_path / "run" / theirs, 1234, 1234)
    assert state.records() == state.gc() == []
    with pytest.raises(PermissionError, match="uid 1234"):
        oci.delete("web")


@pytest.mark.parametrize("moment", ["before", "meanwhile"])
def test_a_note_in_somebody_elses_folder_is_neither_believed_nor_written(tmp_path, monkeypatch, moment):
    """Who makes the folder of the records first, in /tmp, may put a link there that leads to a file of ours."""
    from lib.lab.vm import hypervisor

    precious, place = tmp_path / "precious", tmp_path / "run"
    precious.write_text("all my work")

    def theirs(*_):
        place.mkdir()
        (place / "accelerator").symlink_to(precious)
        os.chown(place, 1234, 1234)

    if moment == "before":
        theirs()
    monkeypatch.setattr(hypervisor, "kvm_works", theirs if moment == "meanwhile" else bool)
    monkeypatch.setenv("SUITCASE_RUN", str(place))
    with pytest.raises(PermissionError, match="uid 1234"):
        hypervisor.accelerator()
    assert precious.read_text() == "all my work"


def test_a_note_that_says_what_is_no_accelerator_is_not_believed(tmp_path, monkeypatch):
    from lib.lab.vm import hypervisor

    (tmp_path / "accelerator").write_text(f"{linux.read('/proc/sys/kernel/random/boot_id').strip()} tcg,tb-size=1")
    monkeypatch.setattr(hypervisor, "kvm_works", bool)
    monkeypatch.setenv("SUITCASE_RUN", str(tmp_path))
    assert hypervisor.accelerator() == "tcg"


def test_what_could_not_be_undone_is_tried_again_by_the_next_gc(tmp_path):
    code = (
        "import sys\nfrom lib import state\nfrom lib.process import Plan, Step\n"
        "class Bad:\n    def steps(self):\n        return [Step('provide', 'mkdir', (sys.argv[1],), undo=(('rmdir', sys.argv[1]),))]\n"
        "process = Plan(['true'], [Bad()]).start()\nprocess.wait()\nopen(sys.argv[1] + '/in-the-way', 'w').close()\n"
        "try: process.remove()\nexcept* OSError: print('failed')"
    )
    folder = tmp_path / "folder"
    done = subprocess.run([sys.executable, "-c", code, str(folder)], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "failed" in done.stdout and folder.exists(), done.stderr
    (folder / "in-the-way").unlink()
    assert len(state.gc()) == 1 and not folder.exists() and state.gc() == []


# -- waits -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["remove", "wait"])
def test_who_joined_a_container_does_not_keep_it_from_ending(order):
    """PID 1 ends only when everybody in its namespace has been waited for, and that is us."""
    box = lib.start("busybox", ["sh", "-c", "until [ -e /over ]; do sleep 0.05; done"])
    guest = box.exec_plan(["sleep", "50"]).start()
    if order == "wait":
        Path(f"/proc/{box.pid}/root/over").touch()
    try:
        assert ends(box.remove if order == "remove" else box.wait)
        assert guest.poll() is not None, "it went with it"
    finally:
        guest.remove()
        box.remove()


def test_a_pid_is_never_taken_from_the_childs_own_line():
    """Whoever takes the place of the child may say what it likes there."""
    forged = Step("names", "fail", (0,))
    process = Plan(["sleep", "60"], [Namespaces("pid"), Steps(forged)])
    with pytest.raises(StepError):
        process.start()
    with lib.start("busybox", ["sleep", "60"]) as box:
        line = box.process.line
        pid, pidfd = line.pid, line.pidfd
        line.understand({"pid": 1}, [os.dup(0)])
        assert (line.pid, line.pidfd) == (pid, pidfd)


ERROR = b"error=2\0call=no_such_step\0words=\0advice="
NO_MESSAGES = [
    b"\xff\x00junk", b"7", b"=", b"\0", b"\0created=1", b"created=1\0", b"[" * 60_000, b"pid=one\0", b"pid=" + b"9" * 10_000, b"pid=1",
    b"whatever=1", b"terminal=True", ERROR, ERROR + b"\0step=-1", ERROR + b"\0step=1000000", ERROR + b"\0step=x", b"error=2",
    ERROR.replace(b"=2", b"=99999999999999999999"), b"error=\0call=mount\0words=\0advice=", marshal.dumps({"created": True}),
]  # fmt: skip


@pytest.mark.parametrize("words", NO_MESSAGES, ids=range(len(NO_MESSAGES)))
def test_whatever_a_process_says_of_itself_is_no_more_than_an_error(words):
    line = Line(Plan(["true"]).steps, patience=5)
    line.socket, its_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with its_end, pytest.raises(ConnectionError, match="the process said something"):
        its_end.send(words)
        line.hear("created")
    line.close()


def test_a_name_makes_nobody_created_again(tmp_path):
    from lib import oci

    bundle = tmp_path / "bundle"
    (bundle / "rootfs").mkdir(parents=True)
    subprocess.run(["runc", "spec"], cwd=bundle, check=True)
    config = (bundle / "config.json").read_text().replace('"terminal": true', '"terminal": false')
    (bundle / "config.json").write_text(
        re.sub(r'"args": \[\s*"sh"\s*\]', '"args": ["sh", "-c", "echo suitcase:wait > /proc/self/comm; exec sleep 60"]', config)
    )
    subprocess.run(["cp", "-a", f"{bases.busybox()}/.", str(bundle / "rootfs")], check=True)
    oci.create("spoof", str(bundle))
    try:
        oci.start("spoof")
        assert '"running"' in oci.state_json("spoof")
        with pytest.raises(oci.OciError, match="running"):
            oci.start("spoof")
    finally:
        oci.delete("spoof", force=True)


# -- RUN -----------------------------------------------------------------------------------------------------


def test_run_cannot_change_the_machines_network(tmp_path):
    from helpers.sites import Site

    site = Site(tmp_path)
    (tmp_path / "busybox").mkdir()
    with pytest.raises(Exception, match=r"not permitted|denied"):
        site.build("FROM base\nRUN ip addr add 10.99.99.9/32 dev lo\n")
    assert "10.99.99.9" not in subprocess.run(["ip", "addr"], capture_output=True, text=True).stdout


# -- what covers the kernel's files ---------------------------------------------------------------


def image(folder: Path, folders: tuple = (), links: dict | None = None) -> Path:
    """A folder with busybox and links where an image's author put them."""
    for name in ("bin", *folders):
        (folder / name).mkdir(parents=True)
    shutil.copy(f"{bases.find('busybox')}/bin/busybox", folder / "bin/busybox")
    for path, to in (links or {}).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).symlink_to(to)
    return folder


LINKED = {
    "proc, below what /dev will hide": (("dev", "real/proc"), {"dev/q": "/real", "proc": "dev/q/proc"}),
    "sys": (("elsewhere",), {"sys": "/elsewhere"}),
    "dev, by a way that changes once /sys is there": (
        ("proc", "sys", "d1/d2/d3", "d1/evil", "evil"),
        {"sys/kernel": "/d1/d2/d3", "dev": "/sys/kernel/../../evil", "evil/null": "/proc/sys/kernel/core_pattern"},
    ),
}


@pytest.mark.v2
@pytest.mark.parametrize("folders, links", LINKED.values(), ids=LINKED)
def test_an_image_cannot_say_that_the_kernels_folders_are_elsewhere(tmp_path, folders, links):
    """Then what is covered would not be what can be reached, and /proc/sys/kernel/core_pattern is a command that the host runs."""
    with pytest.raises(StepError, match="the kernel's folders must be ordinary ones"):
        lib.run(str(image(tmp_path / "image", folders, links)), ["/bin/busybox", "true"], show=False, timeout=60)


@pytest.mark.v2
def test_a_secret_is_covered_by_the_null_device_and_by_nothing_that_is_called_so(tmp_path):
    """CVE-2025-31133: a link of the image's has the volume mounted over /dev, and its ``null`` is a file of the kernel's."""
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "null").symlink_to("/proc/sys/kernel/core_pattern")
    root = image(tmp_path / "image", ("proc", "dev"), {"data": "/dev"})
    with pytest.raises(StepError, match="not the null device"):
        lib.run(str(root), ["/bin/busybox", "true"], volumes=[f"{volume}:/data"], show=False, timeout=60)


@pytest.mark.v2
def test_a_read_only_root_opens_no_device_either():
    """``remount,bind,ro`` would have dropped the flag that keeps an image's device nodes closed."""
    (line,) = sh("grep ' / / ' /proc/self/mountinfo", read_only=True).text.splitlines()
    assert {"ro", "nodev"} <= set(line.split()[5].split(","))


def test_a_node_is_made_with_its_mode_whatever_the_umask(tmp_path):
    """Without a chmod by name, which would follow the link that somebody has exchanged it for."""
    before = os.umask(0o077)
    try:
        inside.mknod(str(tmp_path), "/null", "c", 1, 3)
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "null").lstat().st_mode) == 0o666


def test_a_log_that_is_stretched_to_terabytes_does_not_fill_our_memory():
    with lib.start("busybox", ["sh", "-c", "echo hello; truncate -s 4000G /proc/self/fd/1; echo stretched >&2; sleep 50"]) as box:
        wait_for(lambda: len(box.logs()) == output.KEEP)
