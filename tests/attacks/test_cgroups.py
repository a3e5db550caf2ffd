"""The process inside and the cgroups: root in a container makes itself root of namespaces of its own, and mounts the cgroup trees."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.needs import requires
from helpers.waiting import wait_for

import lib
from lib import linux, state
from lib.ingredients import cgroups
from lib.process import TimeLimit, waiting
from lib.state import reaping, undos

pytestmark = requires("root", "overlay", "busybox")

# The machine's own unshare(1): busybox' knows no cgroup namespace.
TOOLS = [f"{path}:{path}:ro" for path in ("/usr", "/lib", "/lib64") if os.path.exists(path)]
AS_ROOT_OF_ITS_OWN = ["/usr/bin/unshare", "--user", "--map-root-user", "--mount", "--cgroup", "sh", "-c"]
# Of every tree that the kernel has: what is its root, as seen from in here? One file with the processes in it is enough to tell.
EVERY_TREE = """
mkdir -p /tmp/cg
while IFS=: read number names path; do
    if [ -z "$names" ]; then how="-t cgroup2"; else how="-t cgroup -o $names"; fi
    mount $how cgroup /tmp/cg 2>/dev/null || continue
    echo "${names:-unified} $path $(ls -d /tmp/cg/*/ 2>/dev/null | wc -l) $(tr '\\n' ',' < /tmp/cg/cgroup.procs)"
    umount /tmp/cg
done < /proc/self/cgroup
"""


def seen() -> dict[str, tuple[str, int, str]]:
    """For each tree: the path of its root as the namespace calls it, how many folders there are below it, who is in it."""
    done = lib.run("busybox", [*AS_ROOT_OF_ITS_OWN, EVERY_TREE], volumes=TOOLS, show=False, timeout=60)
    rows = [line.split(" ") for line in done.text.splitlines()]
    return {name: (path, int(folders), who) for name, path, folders, who in rows}


@pytest.mark.v2
def test_no_tree_of_cgroups_shows_more_than_the_containers_own():
    """Where it had no cgroup of its own, its namespace would begin at the machine's root: it could freeze and kill whom it likes."""
    trees = seen()
    mounted, unified = cgroups.backends.mounted()
    assert set(",".join(trees).split(",")) >= mounted.keys() | ({"unified"} if unified else set())
    for name, (path, folders, who) in trees.items():
        assert (path, folders) == ("/", 0), (name, path, folders)
        assert "0" not in who.split(","), f"{name}: a 0 is a process of the host's, which has no number in here"


@pytest.mark.v2
@pytest.mark.skipif("SUITCASE_GUEST" not in os.environ, reason="a tree more is the whole machine's: only in the lab VM")
def test_nor_does_a_tree_of_v1_that_somebody_has_mounted_beside_v2(tmp_path):
    """A VPN has net_cls so, say. Who joins a container is in its folder, too."""
    code = f"""
import lib
from pathlib import Path
print(lib.run("busybox", {[*AS_ROOT_OF_ITS_OWN, EVERY_TREE]}, volumes={TOOLS}, show=False, timeout=60).text)
with lib.start("busybox", ["sleep", "99"]) as box, box.exec_plan(["sleep", "99"]).start() as guest:
    print(*(Path("/proc", str(one), "cgroup").read_text() for one in (box.pid, guest.pid)))
print(list(Path({str(tmp_path)!r}, {cgroups.PARENT!r}).glob("*/")))
"""
    subprocess.run(["mount", "-t", "cgroup", "-o", "none,name=vpn", "vpn", str(tmp_path)], check=True)
    try:
        (tmp_path / "excluded").mkdir()
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=90)
    finally:
        for folder in (*tmp_path.glob("*/*/"), *tmp_path.glob("*/")):
            folder.rmdir()
        linux.umount(str(tmp_path))
    assert re.search(r"^name=vpn / 0 [^0]", said.stdout, re.MULTILINE), said.stdout + said.stderr
    theirs = re.findall(f"name=vpn:/{cgroups.PARENT}/(.+)", said.stdout)
    assert len(theirs) == 2 and len(set(theirs)) == 1 and said.stdout.endswith("\n[]\n"), said.stdout + said.stderr


@pytest.mark.v2
@requires("cgroup2")
def test_nobody_lifts_his_own_limit_on_v2():
    """The cgroup where a namespace begins is no part of it, where v2 is mounted as systemd mounts it (nsdelegate). See cgroups(7)."""
    script = "mkdir /tmp/cg; mount -t cgroup2 cgroup /tmp/cg && echo max > /tmp/cg/memory.max; cat /tmp/cg/memory.max"
    done = lib.run("busybox", [*AS_ROOT_OF_ITS_OWN, script], volumes=TOOLS, memory="64m", show=False, timeout=60)
    assert done.text.splitlines()[-1] == str(64 << 20), done.text


@requires("cgroup1")
def test_a_container_that_has_frozen_itself_is_ended_like_any_other():
    script = "mkdir /tmp/cg; mount -t cgroup -o freezer cgroup /tmp/cg && echo FROZEN > /tmp/cg/freezer.state; sleep 99"
    with lib.start("busybox", [*AS_ROOT_OF_ITS_OWN, script], volumes=TOOLS) as box:
        wait_for(lambda: box.cgroup.frozen)
        with pytest.raises(RuntimeError, match="is paused"):
            box.exec(["true"])
        assert box.process.kill().code == 137


@pytest.mark.v2
def test_whoever_joins_a_container_that_freezes_just_then_is_let_out_of_it_again():
    """The container does it, between our look and our step in; and our waiting must not be without an end, nor end its pause."""
    with lib.start("busybox", ["sleep", "99"]) as box:
        joining = box.exec_plan(["true"])
        box.cgroup.freeze()
        with pytest.raises(TimeLimit):
            joining.run(timeout=0.5)
        assert box.cgroup.frozen and box.cgroup.pids() == [box.pid]


@pytest.mark.v2
def test_a_second_command_is_killed_in_a_frozen_container_and_nobody_else():
    with lib.start("busybox", ["sleep", "99"]) as box, box.exec_plan(["sleep", "99"]).start() as guest:
        box.cgroup.freeze()
        assert guest.kill().code == 137
        assert box.cgroup.frozen and box.cgroup.pids() == [box.pid]


@pytest.mark.v2
def test_cgroups_nested_deeper_than_a_path_can_be_are_removed():
    with lib.start("busybox", ["sleep", "99"]) as box:
        for folder in set(box.cgroup.folders.values()):
            nest(folder, 25)
        folders = box.cgroup.folders.values()
    assert not [folder for folder in folders if os.path.exists(folder)]


def nest(folder: str, depth: int) -> None:
    """Folders in folders, whose path is longer than PATH_MAX (4096 bytes)."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(depth):
        os.mkdir("x" * 200, dir_fd=fd)
        below = os.open("x" * 200, os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)


@requires("cgroup1")
def test_pid_1_in_a_frozen_cgroup_below_its_own_is_killed():
    with lib.start("busybox", ["sleep", "99"]) as box:
        ice = f"{box.cgroup.folders['freezer']}/ice"
        os.mkdir(ice)
        linux.write(f"{ice}/freezer.state", "FROZEN")
        linux.write(f"{ice}/cgroup.procs", str(box.pid))
        box.kill(9)
        assert box.wait(30).code == 137


@requires("cgroup1")
def test_whoever_is_put_back_into_the_ice_is_taken_out_again(monkeypatch):
    """Root in there may move whom it sees, as often as we do."""
    tries = []

    def undone_at_first(self, *words):
        tries.append(words)
        if len(tries) > 2:
            set_free(self, *words)

    set_free = cgroups.V1.set_free
    monkeypatch.setattr(cgroups.V1, "set_free", undone_at_first)
    with lib.start("busybox", ["sleep", "99"]) as box, box.exec_plan(["sleep", "99"]).start() as guest:
        box.cgroup.freeze()
        assert guest.kill().code == 137 and len(tries) > 2, "until he has ended"


@requires("cgroup1")
def test_one_who_joined_and_cannot_be_killed_does_not_save_the_container(monkeypatch):
    monkeypatch.setattr(waiting, "UNKILLABLE", 0.2)
    monkeypatch.setattr(cgroups.V1, "set_free", lambda *words: None)
    with lib.start("busybox", ["sleep", "99"]) as box, box.exec_plan(["sleep", "99"]).start() as guest:
        box.cgroup.freeze()
        with pytest.raises(TimeoutError, match="did not end within"):
            guest.kill()
        assert box.process.kill().code == 137 and guest.wait(30).code == 137


@requires("cgroup1")
def test_a_number_that_is_somebody_elses_by_now_is_not_killed(monkeypatch):
    """Who was listed a moment ago has ended, on his way out of a cgroup that is not yet frozen."""
    real, told = undos._members, []

    def members(above, name):
        told.append(name)
        return real(above, name) + ([bystander.pid] if len(told) == 2 else [])  # the first one asks if anybody is there

    with lib.start("busybox", ["sleep", "600"]) as box, subprocess.Popen(["sleep", "600"]) as bystander:
        monkeypatch.setattr(undos, "_members", members)
        state.kill_groups(box.process.undos)
        try:
            assert box.wait(30).code == 137 and len(told) > 2 and bystander.poll() is None
        finally:
            bystander.kill()


@pytest.mark.v2
def test_limits_that_keep_it_from_ending_are_lifted():
    """Some hundred pages at a millisecond of a processor in a second, and a disk that is let give a byte a second: minutes, or days."""
    with lib.start("busybox", ["sleep", "99"], cpus=0.01) as box:
        folders = box.cgroup.folders
        below = f"{folders.get('cpu', folders.get(''))}/below"
        os.mkdir(below)
        if box.cgroup.backend.version == 1:
            linux.write(f"{below}/cpu.cfs_quota_us", "1000")
            throttle = f"{folders['blkio']}/blkio.throttle.read_bps_device"
            linux.write(throttle, f"{block_device()} 1")
        share = f"{below}/cpu.shares" if box.cgroup.backend.version == 1 else f"{folders['']}/cpu.weight"
        idle, usual = f"{os.path.dirname(share)}/cpu.idle", linux.read(share)
        linux.write(share, "2")
        if os.path.exists(idle):  # Linux 5.15
            linux.write(idle, "1")
        state.release_groups(box.process.undos)
        assert box.cgroup.read("cpu.max").startswith("max")
        assert linux.read(share) == usual and (not os.path.exists(idle) or linux.read(idle) == "0\n")
        if box.cgroup.backend.version == 1:
            assert linux.read(f"{below}/cpu.cfs_quota_us").strip() == "-1" and not linux.read(throttle).strip()


@pytest.mark.v2
def test_limits_that_keep_a_second_command_from_ending_are_lifted_and_no_limit_of_ours():
    with lib.start("busybox", ["sleep", "99"], cpus=0.5) as box, box.exec_plan(["sleep", "99"]).start() as guest:
        (member,) = (one for one in guest.plan.ingredients if hasattr(one, "set_free"))
        group = box.cgroup
        if group.backend.version == 1:
            throttle = f"{group.folders['blkio']}/blkio.throttle.read_bps_device"
            linux.write(throttle, f"{block_device()} 1")
            linux.write(f"{group.folders['cpu']}/cpu.cfs_quota_us", "1000")
        else:
            linux.write(f"{group.folders['']}/cpu.max", "1000 100000")
        member.set_free(guest.pid)
        assert group.read("cpu.max") == "50000 100000"
        if group.backend.version == 1:
            assert not linux.read(throttle).strip()


def block_device() -> str:
    return next(Path("/sys/block").glob("[!lr]*/dev"), Path("/sys/block/loop0/dev")).read_text().strip()


def test_what_does_not_end_stays_on_record_untouched(monkeypatch):
    """Else each later start would wait for every one of its folders."""
    with lib.start("busybox", ["sleep", "99"]) as box:
        facts = dict(box.process.record.facts)
        monkeypatch.setattr(reaping.linux, "readable", lambda *words: [])
        (error,) = reaping.attempted(facts, [])
        monkeypatch.undo()
        assert "did not end within 5 s" in str(error) and os.path.isdir(box.folder)


@pytest.mark.v2
@requires("cgroup2")
def test_it_makes_only_so_many_cgroups():
    """The kernel has ids for 65,535 memory cgroups; who took them all would keep every other container from starting."""
    with lib.start("busybox", ["sleep", "99"]) as box:
        assert linux.read(f"{box.cgroup.folders['']}/cgroup.max.descendants").strip() == "1000"
