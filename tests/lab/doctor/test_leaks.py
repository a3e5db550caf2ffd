"""The leak check finds one planted leak of each kind, and is not confused by others who work on this machine."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.lives import Lives, pid_of, rested
from helpers.needs import requires
from helpers.waiting import wait_for

from lib import linux, state
from lib.engine.daemons import calling
from lib.ingredients import cgroups
from lib.lab.doctor import leaks
from lib.lab.doctor.leaks import Look
from lib.network import alive

pytestmark = requires("root")
ROOT = Path(__file__).parents[3]


def found(look: Look) -> dict[str, set[str]]:
    return look.leaks(patience=0.1)


def test_finds_a_process_and_a_zombie():
    look = Look()
    process = subprocess.Popen(["sleep", "100"])
    assert any("sleep" in one for one in found(look)["process"])
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert any("sleep (zombie)" in one for one in found(look)["process"])
    process.wait()
    assert not found(look)


def test_finds_an_orphan_with_our_name(tmp_path):
    """A process that was cut off from us, as after SIGKILL of its owner, is known by its title."""
    code = (
        "import os, time\nif os.fork() == 0:\n open('/proc/self/comm', 'w').write('suitcase:mounts')\n"
        " open('/proc/self/comm', 'w').write('suitcase:mounts'); open({!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    )
    look, note = Look(), tmp_path / "pid"
    subprocess.run([sys.executable, "-c", code.format(str(note))], check=True)
    leaks = found(look)
    os.kill(int(note.read_text()), signal.SIGKILL)
    assert leaks["process"] == {f"{note.read_text()} suitcase:mounts"}


def test_finds_a_mount(tmp_path):
    look = Look()
    linux.mount("tmpfs", str(tmp_path), "tmpfs")
    assert found(look) == {"mount": {f"{tmp_path} (tmpfs)"}}
    linux.umount(str(tmp_path))


def test_finds_a_cgroup():
    one = cgroups.Cgroup()
    folder = next(iter(one.folders.values()))
    look = Look()
    os.makedirs(folder)
    assert found(look) == {"cgroup": {folder}}
    os.rmdir(folder)


def test_a_cgroup_that_is_seen_at_another_mount_too_is_not_new(tmp_path):
    folder = next(iter(cgroups.Cgroup().folders.values()))
    os.makedirs(folder)
    look = Look()
    linux.mount(os.path.dirname(os.path.dirname(folder)), str(tmp_path), None, "bind")
    assert "cgroup" not in found(look)
    linux.umount(str(tmp_path))
    os.rmdir(folder)


@requires("ip")
def test_finds_a_named_network_namespace():
    look, name = Look(), state.temporary("leak")
    subprocess.run(["ip", "netns", "add", name], check=True)
    leaks = found(look)
    subprocess.run(["ip", "netns", "delete", name], check=True)
    subprocess.run(["umount", "/run/netns"], capture_output=True)  # iproute2 leaves this one, in our own mount namespace
    assert leaks["network namespace"] == {f"named {name}"} and "mount" in leaks


@requires("unshare")
def test_finds_a_network_namespace_held_by_a_process():
    look = Look()
    process = subprocess.Popen(["unshare", "-n", "sleep", "100"])
    try:
        state.start_time(process.pid)
        wait_for(lambda: os.readlink(f"/proc/{process.pid}/ns/net") != os.readlink("/proc/self/ns/net"))
        assert os.readlink(f"/proc/{process.pid}/ns/net") in found(look)["network namespace"]
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def own_network():
    """What is planted in here is seen by nobody else who runs the same test now."""
    before = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    linux.unshare("net")
    yield
    linux.setns(before, "net")
    os.close(before)


@requires("ip")
def test_finds_a_link_of_ours_and_leaves_others_alone(own_network):
    look = Look()
    subprocess.run(["ip", "link", "add", "suitcaseleak", "type", "veth", "peer", "name", "other0"], check=True)
    leaks = found(look)
    subprocess.run(["ip", "link", "delete", "suitcaseleak"], check=True)
    assert leaks == {"network link": {"suitcaseleak"}}


@requires("nft")
def test_finds_an_nft_rule_of_ours_and_leaves_others_alone(own_network):
    look = Look()
    rules = "table ip {0} {{ chain c {{ type filter hook input priority 0; ip saddr 192.0.2.77 drop; }}; }}"
    for name in ("suitcase-leak", "foreign-test"):
        subprocess.run(["nft", "-f", "-"], input=rules.format(name), text=True, check=True)
    leaks = found(look)
    for name in ("suitcase-leak", "foreign-test"):
        subprocess.run(["nft", "delete", "table", "ip", name], check=True)
    assert set(leaks) == {"nft rule"} and "table ip suitcase-leak: ip saddr 192.0.2.77 drop" in leaks["nft rule"]
    assert not any("foreign" in line for line in leaks["nft rule"])


def test_who_is_not_root_may_not_ask_for_rules_and_has_none():
    asked = "from lib.lab.doctor import leaks; print(leaks.nft_rules())"
    done = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, user=65534, group=65534, extra_groups=[], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


def test_finds_a_temporary_folder():
    look = Look()
    with tempfile.TemporaryDirectory(prefix=state.temporary("leak")) as folder:
        assert found(look) == {"folder or record": {folder}}


def test_finds_a_record_and_a_container_folder():
    look = Look()
    record = state.Record("leaked", [])
    folder = state.folder("containers") / "leaked"
    folder.mkdir()
    assert found(look) == {"folder or record": {str(record.path), str(folder)}}
    record.remove()
    folder.rmdir()


def test_finds_a_descriptor():
    look = Look()
    for path in ("/proc/self/ns/net", "/proc/self/ns/pid"):
        fd = os.open(path, os.O_RDONLY)
        assert set(found(look)) == {"descriptor"}
        os.close(fd)
    fd = os.pidfd_open(os.getpid())
    assert set(found(look)) == {"descriptor"}
    os.close(fd)


OTHER = """
import sys, time
from lib import start
with start("busybox", ["sleep", "100"]) as container:
    print(container.id, flush=True)
    sys.stdin.read()
"""


def test_another_owner_that_lives_is_not_a_leak():
    """Another notebook on this machine starts a container meanwhile, and keeps it."""
    look = Look()
    with subprocess.Popen([sys.executable, "-c", OTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        name = other.stdout.readline().strip()
        leaks = found(look)
        assert set(leaks) == {"process"} | ({"network namespace"} & set(leaks)), "only as it is a child of this test"
        assert json.loads((state.runtime_dir() / f"{name}.json").read_text())["pid"]
        other.stdin.close()
    assert not look.leaks()


def test_what_is_not_ours_at_all_is_not_looked_at():
    """A listening socket, a thread, an open file of the caller: none of our business."""
    look = Look()
    with socket.create_server(("127.0.0.1", 0)), tempfile.TemporaryFile():
        assert not found(look)


def test_what_other_users_call_as_ours_is_called_is_not_ours(tmp_path):
    """Anybody may make a folder in /tmp, or an orphan with a title; not every character that is a digit is one to int()."""
    look, title = Look(), "open('/proc/self/comm', 'w').write('suitcase:mounts')"
    folders = [os.path.join(tempfile.gettempdir(), name) for name in ("suitcase-\u00b2-x", "suitcase-999999-x")]
    for folder in folders:
        os.mkdir(folder)
        os.chown(folder, 4711, 4711)
    code = f"import os, time\nif os.fork() == 0:\n {title}; print(os.getpid(), flush=True); os.close(1); time.sleep(60)"
    who = {"user": 4711, "group": 4711, "extra_groups": [], "cwd": "/"}
    orphan = subprocess.run([os.path.realpath(sys.executable), "-c", code], stdout=subprocess.PIPE, check=True, **who)
    try:
        assert not found(look)
    finally:
        os.kill(int(orphan.stdout), signal.SIGKILL)
        for folder in folders:
            os.rmdir(folder)


def test_a_digit_that_is_no_number_in_our_own_folders_name():
    look, folder = Look(), os.path.join(tempfile.gettempdir(), "suitcase-\u00b2-x")
    os.mkdir(folder)
    try:
        assert "folder or record" not in found(look)
    finally:
        os.rmdir(folder)


def test_the_report_names_the_leak(tmp_path):
    look = Look()
    folder = state.folder("containers") / "leaked"
    folder.mkdir()
    with pytest.raises(AssertionError, match=r"left behind: folder or record: .*leaked"):
        look.report(patience=0.1)
    folder.rmdir()
    assert look.report().startswith("nothing left")


def test_a_look_that_takes_long_is_not_the_last(monkeypatch):
    """A busy machine stands still for some seconds, and whoever was about to go does so after them."""
    look, there, turns = Look(), [{"x"}, {"x"}, {"x"}, set()], []
    monkeypatch.setattr(Look, "new", lambda self: {"process": set(), "folder or record": there.pop(0)})
    monkeypatch.setattr(leaks, "time", SimpleNamespace(monotonic=lambda: 5.0 * len(turns), sleep=turns.append))
    assert not look.leaks(patience=3) and not there


def test_a_process_that_ends_while_it_looks():
    """Who is on the way into ``/proc/PID`` when the process ends gets ESRCH, not ENOENT. A mount keeps such a way open."""
    ends, stays = (subprocess.Popen(["sleep", "100"]) for _ in range(2))
    linux.mount(f"/proc/{ends.pid}", f"/proc/{stays.pid}", None, "bind")
    try:
        ends.kill()
        ends.wait()
        with pytest.raises(ProcessLookupError):
            os.stat(f"/proc/{stays.pid}/stat")
        assert os.getpid() in leaks.processes()
    finally:
        linux.umount(f"/proc/{stays.pid}")
        stays.kill()
        stays.wait()


def test_an_old_folder_whose_dead_owner_s_pid_is_in_use_again_is_not_new():
    later = subprocess.Popen(["sleep", "100"])  # it has the pid, not the folder
    folder = os.path.join(tempfile.gettempdir(), f"suitcase-{later.pid}-old")
    os.mkdir(folder)
    try:
        look = Look()
        later.kill()
        later.wait()
        assert "folder or record" not in found(look)
    finally:
        os.rmdir(folder)


def test_what_networks_have_noted_counts_in_their_own_network_namespace(monkeypatch, tmp_path):
    monkeypatch.setattr(leaks.strangers, "shared", lambda: tmp_path)
    look = Look()
    (tmp_path / "1234567-ip").mkdir()
    assert not found(look), "another chapter's world has a namespace of its own"
    ours = tmp_path / f"{alive.here()}-ip"
    ours.mkdir()
    assert found(look) == {"folder or record": {str(ours)}}
    ours.rmdir()


# -- keeper and manager -----------------------------------------------------------------------------------------------


@pytest.fixture
def lives():
    one = Lives()
    yield one
    one.clean()


@requires("root", "overlay", "busybox")
def test_daemons_that_have_nothing_to_do_end_and_are_no_leak(lives):
    look = Look()
    one = lives.run("true")
    lives.ended(one)
    lives.clean()
    daemons = {pid_of("keeper"), pid_of("manager")}
    assert {int(line.split()[0]) for line in look.new()["process"]} >= daemons, "they are seen"
    assert not look.leaks()
    assert not pid_of("keeper") and not pid_of("manager")


@requires("root", "overlay", "busybox")
def test_daemons_that_still_have_a_container_are_a_leak(lives):
    look = Look()
    one = lives.run("while :; do sleep 1000; done")
    left = look.leaks(patience=0.2)
    names = {int(line.split()[0]): line.split()[1] for line in left["process"]}
    assert names[pid_of("keeper")] == "suitcase:keeper" and names[pid_of("manager")].startswith("suitcase:manage")
    assert names[one["state"]["pid"]] == "sh", "and what the keeper keeps"
    assert left["cgroup"] and any(one["id"][:12] in path for path in left["folder or record"])
    lives.clean()
    assert not look.leaks()


@requires("root", "overlay", "busybox")
def test_a_daemon_that_has_ended_and_that_nobody_waits_for_is_no_leak(lives, monkeypatch):
    """Where PID 1 waits for nobody it stays a zombie, with no environment to tell whose it was."""
    lives.ended(lives.run("true"))
    lives.clean()
    daemons = {pid_of("keeper"), pid_of("manager")}
    wait_for(rested)
    monkeypatch.delenv("SUITCASE_RUN")
    assert not daemons & set(leaks.ours())


@requires("root", "overlay", "busybox")
@pytest.mark.parametrize("other", ["store", "code"])
def test_daemons_of_another_store_or_of_other_code_are_another_notebooks(lives, monkeypatch, other, tmp_path):
    """They have the run folder in common, and stay for some seconds; nobody here can ask them to rest."""
    look = Look()
    lives.ended(lives.run("true"))
    daemons = {pid_of("keeper"), pid_of("manager")}
    with monkeypatch.context() as there:
        if other == "store":
            there.setenv("SUITCASE_STORE", str(tmp_path))
        else:
            there.setattr(calling, "key", lambda: "0123456789")
        assert all(daemons) and not daemons & set(leaks.ours())
    lives.clean()
    assert not look.leaks()


def test_where_no_daemon_runs_none_is_asked(monkeypatch):
    monkeypatch.setattr(calling, "knock", lambda name: pytest.fail("asked"))
    assert not Look().leaks()
