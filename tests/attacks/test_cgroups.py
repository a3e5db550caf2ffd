"""The process inside and the cgroups: root in a container makes itself root of namespaces of its own, and mounts the cgroup trees."""

from __future__ import annotations

import os

import pytest
from helpers.needs import requires
from helpers.waiting import wait_for

import lib
from lib.ingredients import cgroups
from lib.process import TimeLimit

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
