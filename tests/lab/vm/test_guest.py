"""What must also hold on a v2 kernel beside the limits: a container runs, is killed, is reaped after SIGKILL of its owner."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from helpers.needs import requires

import lib
from lib import linux, state
from lib.ingredients import cgroups
from lib.process import StepError

pytestmark = [requires("root", "overlay", "busybox"), pytest.mark.v2]


@requires("cgroup2")
def test_it_is_a_pure_v2_machine():
    kinds = {line.split()[2] for line in linux.read("/proc/self/mounts").splitlines() if line.split()[2].startswith("cgroup")}
    assert kinds == {"cgroup2"} and isinstance(cgroups.backend(), cgroups.V2)
    assert {"memory", "cpu", "pids"} <= set(cgroups.backend().controllers())


def test_a_container_runs_in_its_own_namespaces():
    done = lib.run("busybox", ["sh", "-c", "hostname; echo $$; ls /"], hostname="box", show=False, timeout=60)
    assert done.text.split()[:2] == ["box", "1"] and "sys" in done.text.split()


def test_an_error_arrives_with_its_advice():
    with pytest.raises(StepError, match="in none of the folders of PATH"):
        lib.run("busybox", ["nothing"], timeout=60)


def test_exec_joins_the_cgroup():
    with lib.start("busybox", ["sleep", "100"], memory="32m") as box:
        seen = box.exec(["cat", "/proc/self/cgroup"], show=False, timeout=60).text
        assert set(seen.splitlines()) == set(box.exec(["cat", "/proc/1/cgroup"], show=False, timeout=60).text.splitlines())


@requires("cgroup2")
def test_exec_where_cgroup_namespaces_are_walls():
    """systemd mounts v2 with nsdelegate: nobody is moved, or born, across the edge of the cgroup namespace that he is in."""
    with lib.start("busybox", ["sleep", "100"], memory="32m") as box:
        assert box.exec(["cat", "/proc/self/cgroup"], show=False, timeout=60).text == "0::/\n"


def test_gc_after_sigkill_of_the_owner():
    code = (
        "from lib import start; import time; box = start('busybox', ['sleep', '1000'], memory='32m')\n"
        "print(box.id, flush=True); time.sleep(100)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as owner:
        name = owner.stdout.readline().strip()
        (facts,) = [facts for facts in state.records() if facts["id"] == name]
        owner.kill()
    assert state.start_time(facts["pid"]) == facts["start_time"], "the container outlives its owner"
    assert state.gc() == [name]
    assert gone(facts["pid"])
    assert not any(os.path.exists(word) for _, word in facts["undos"])


def gone(pid: int) -> bool:
    """Ended, even if nobody has waited for it yet."""
    try:
        return linux.read(f"/proc/{pid}/stat").rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
