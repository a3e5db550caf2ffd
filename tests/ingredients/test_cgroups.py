"""The limits, on whichever cgroup version this machine has; those marked v2 also run in the v2 guest."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from helpers.needs import requires
from helpers.waiting import wait_for

import lib
from lib import linux
from lib.ingredients import Cgroup, cgroups
from lib.process import Plan, StepError

pytestmark = [requires("root", "overlay", "busybox"), pytest.mark.v2]

EAT = "x=$(head -c {} /dev/zero | tr '\\0' x); echo ate"
BUSY = ["sh", "-c", "while :; do :; done"]


def run(*command, **options):
    return lib.run("busybox", list(command), **{"show": False, "timeout": 60} | options)


def inside(cgroup: Cgroup, pid: int) -> bool:
    return all(pid in map(int, linux.read(f"{folder}/cgroup.procs").split()) for folder in cgroup.folders.values())


# -- memory -----------------------------------------------------------------------------------


def test_memory_limit_kills_and_says_so():
    done = run("tail", "/dev/zero", memory="20m", memory_swap="20m")
    assert (done.code, done.reason) == (137, "killed by the memory limit (20 MiB)")


def test_within_the_limit_all_is_well():
    done = run("sh", "-c", EAT.format(1_000_000), memory="32m")
    assert (done.code, done.text, done.reason) == (0, "ate\n", "")


def test_a_child_was_killed_and_pid_1_went_on():
    done = run("sh", "-c", "tail /dev/zero; exit 7", memory="20m", memory_swap="20m")
    assert done.code == 7 and done.reason == "a process in it was killed by the memory limit (20 MiB), PID 1 was not"


def test_137_without_the_limit_is_not_blamed_on_it():
    with lib.start("busybox", ["sleep", "100"], memory="32m") as box:
        assert box.process.kill().reason == "ended by signal 9 (SIGKILL)"


def test_the_event_of_the_oom_killer_wakes_the_waiter():
    with (
        lib.create("busybox", ["sh", "-c", "tail /dev/zero; sleep 100"], memory="20m", memory_swap="20m") as box,
        box.cgroup.oom_watch() as watch,
    ):
        assert not watch.wait(0.05)
        box.start()
        assert watch.wait(50)
        assert box.cgroup.oom_kills == 1


def test_two_watchers_see_the_same_event():
    with lib.create("busybox", ["sh", "-c", "tail /dev/zero; sleep 100"], memory="20m", memory_swap="20m") as box:
        one, two = box.cgroup.oom_watch(), box.cgroup.oom_watch()
        with one, two:
            box.start()
            assert one.wait(50) and two.wait(50)


def test_words_and_numbers_are_v2s_on_either_version():
    with lib.start("busybox", ["sleep", "100"], memory="32m", cpus=0.5, pids_limit=20) as box:
        group = box.cgroup
        assert group.number("memory.max") == 32 << 20
        assert group.read("cpu.max") == "50000 100000"
        assert group.read("pids.max") == "20"
        assert group.number("pids.current") == 1 and group.pids() == [box.pid]
        stats = group.stats()
        assert stats["pids.current"] == 1 and 0 < stats["memory.current"] < 32 << 20 and stats["cpu.usage_usec"] > 0
        assert stats["oom_kill"] == 0 and set(stats) >= {"cpu.nr_periods", "cpu.nr_throttled", "cpu.throttled_usec"}
        assert not group.has("memory.peak") or stats["memory.peak"] >= stats["memory.current"] // 2


@requires("swap")
def test_swap_in_dockers_way():
    """Without a word as much swap as memory; the same number is none; -1 is without limit."""
    for given, v1, v2 in ((None, 64 << 20, str(32 << 20)), ("32m", 32 << 20, "0"), (-1, None, "max")):
        one = Cgroup(memory="32m", memory_swap=given)
        (text,) = [value for word, value in one.limits.items() if word == "memory.swap.max"]
        assert text == (v2 if one.backend.version == 2 else str(v1 or -1))
        assert run("true", memory="32m", memory_swap=given).code == 0


# -- cpu --------------------------------------------------------------------------------------


def test_half_a_cpu_is_throttled_and_the_kernel_counts_it():
    with lib.start("busybox", BUSY, cpus=0.2) as box:
        wait_for(lambda: box.cgroup.stats()["cpu.nr_throttled"] >= 3)
        stats = box.cgroup.stats()
        assert stats["cpu.throttled_usec"] > 0 and stats["cpu.nr_periods"] >= stats["cpu.nr_throttled"]
        assert stats["cpu.usage_usec"] <= stats["cpu.nr_periods"] * 20_000 + 60_000


def test_weight_is_written_in_v2s_words():
    with lib.start("busybox", ["sleep", "100"], cpu_weight=300) as box:
        (controller, name, text), *_ = box.cgroup.backend.translate("cpu.weight", "300")
        assert linux.read(f"{box.cgroup.folders[controller]}/{name}").strip() == text


@pytest.mark.parametrize("number", [-1, 0, -5])
def test_dockers_words_for_no_limit(number):
    with lib.start("busybox", ["sleep", "100"], pids_limit=number, memory="0", cpus=0) as box:
        assert box.cgroup.read("pids.max") == "max" and not box.cgroup.limits
    assert not Cgroup(pids=number).limits


def test_what_memory_and_swap_together_may_be():
    assert Cgroup(memory="64m", memory_swap="-1").limits == Cgroup(memory="64m", memory_swap=-1).limits
    assert Cgroup(memory="64m", memory_swap=0).limits == Cgroup(memory="64m").limits, "0 is no word at all"


@requires("cpuset")
def test_cpuset():
    assert run("grep", "Cpus_allowed_list", "/proc/self/status", cpuset="0").text.split() == ["Cpus_allowed_list:", "0"]


# -- pids, io -----------------------------------------------------------------------------------


def test_a_fork_bomb_is_held():
    with lib.start("busybox", ["sh", "-c", "f() { f | f & }; f; sleep 100"], pids_limit=12) as box:
        wait_for(lambda: box.cgroup.table("pids.events")["max"] > 0)
        assert box.cgroup.number("pids.current") <= 12


@requires("block device")
def test_io_limit_is_accepted_for_a_real_disk():
    disk = next(path for path in Path("/sys/block").iterdir() if (path / "device").exists() or path.name.startswith("ubd"))
    device = (disk / "dev").read_text().strip()
    done = Plan(["true"], [Cgroup(io=f"{device} wbps=1048576 riops=100")]).run(show=False)
    assert done.code == 0


# -- freeze, kill -------------------------------------------------------------------------------


def test_freeze_and_thaw():
    with lib.start("busybox", BUSY) as box:
        box.cgroup.freeze()
        assert box.cgroup.frozen
        used = box.cgroup.stats()["cpu.usage_usec"]
        linux.readable([], 0.15)
        assert box.cgroup.stats()["cpu.usage_usec"] - used < 5000
        box.cgroup.thaw()
        assert not box.cgroup.frozen
        wait_for(lambda: box.cgroup.stats()["cpu.usage_usec"] > used + 5000)


def test_kill_all_while_they_fork():
    """The bomb is faster than a loop over its pids would be, so it is frozen first (v1), or killed in one write (v2)."""
    bomb = [
        "sh",
        "-c",
        "f() { f | f & }; (while :; do f; sleep 0.01; done) & exec sleep 100",
    ]  # not as PID 1: it ends when it cannot fork
    with lib.start("busybox", bomb, pids_limit=60) as box:
        wait_for(lambda: box.cgroup.number("pids.current") > 20)
        box.cgroup.kill()
        wait_for(lambda: not box.cgroup.pids())
        assert box.wait(20).code == 137


def test_kill_all_when_frozen():
    with lib.start("busybox", BUSY) as box:
        box.cgroup.freeze()
        box.cgroup.kill()
        assert box.wait(20).code == 137


# -- where it is, and what is touched -------------------------------------------------------------


def test_the_process_and_its_children_are_inside_from_the_first_instruction():
    with lib.create("busybox", ["sleep", "100"], memory="32m") as box:
        assert inside(box.cgroup, box.pid)


@requires("cgroup2")
def test_born_in_its_cgroup():
    """clone3 with CLONE_INTO_CGROUP: nobody ever writes cgroup.procs."""
    with lib.create("busybox", ["true"], memory="32m") as box:
        assert not [step for step in box.plan.steps if step.call == "write" and "cgroup.procs" in step.args[0]]
        clone = next(step for step in box.plan.steps if step.call == "clone3")
        assert repr(clone.args[1]) == "<cgroup>" and box.pid in box.cgroup.pids()
        assert linux.read(f"/proc/{box.pid}/cgroup").strip().endswith(f"/{cgroups.PARENT}/{box.id}")


@requires("cgroup2")
def test_the_limits_can_be_read_inside():
    assert run("cat", "/sys/fs/cgroup/memory.max", memory="32m").text == f"{32 << 20}\n"


def test_nothing_outside_our_parent_is_written_to():
    with lib.create("busybox", ["true"], memory="32m", cpus=1, pids_limit=9) as box:
        tops = {folder.rpartition(f"/{cgroups.PARENT}/")[0] for folder in box.cgroup.folders.values()}
        for step in box.plan.steps:
            if step.shoes == "caller" and any(str(step.args[0]).startswith(f"{top}/") for top in tops):
                assert f"/{cgroups.PARENT}" in step.args[0], step


def test_a_limit_that_the_kernel_refuses_is_named():
    with pytest.raises(StepError, match=r"does not accept this value|outside of what the kernel allows"):
        Plan(["true"], [Cgroup(pids=10**15)]).run()


def test_the_cgroup_used_alone_in_a_plan():
    one = Cgroup(pids=5)
    with Plan(["sleep", "100"], [one]).start() as process:
        assert one.pids() == [process.pid]
    assert not any(os.path.exists(folder) for folder in one.folders.values())


def test_a_paused_container_that_is_killed_ends():
    with lib.start("busybox", ["sleep", "100"]) as box:
        box.cgroup.freeze()
        box.kill(9)
        assert box.wait(30).code == 137


def test_many_at_once():
    """Twenty threads, each with a container of its own limits."""
    results = []
    threads = [
        threading.Thread(target=lambda n=n: results.append((n, run("sh", "-c", f"exit {n}", pids_limit=n + 5).code))) for n in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [(n, n) for n in range(6)]


@requires("root", "memory")
def test_137_that_the_program_says_is_no_signal():
    assert run("sh", "-c", "exit 137").reason == ""


@requires("root", "memory")
def test_our_own_kill_is_not_put_down_to_an_older_oom_kill():
    """A child was killed by the limit, the container later by us: the reason must not blame the limit."""
    with lib.start("busybox", ["sh", "-c", "tail /dev/zero; sleep 100"], memory="20m", memory_swap="20m") as box:
        while not box.cgroup.oom_kills:
            linux.readable([], 0.01)
        box.kill()
        reason = box.wait().reason
    assert reason.startswith("ended by signal 9") and "a process in it was killed by the memory limit" in reason


def test_a_limit_without_its_unit_is_refused():
    with pytest.raises(ValueError, match="6 MiB"):
        Cgroup(memory=64)
