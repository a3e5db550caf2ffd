"""What ``run`` and ``create`` say of swappiness, the OOM killer, the weights of disks and rules for devices: read in the kernel."""

from __future__ import annotations

import json

import pytest
from helpers.lives import BUSYBOX
from helpers.needs import requires
from helpers.waiting import wait_for

from lib import linux
from lib.engine import finding, usage
from lib.ingredients.cgroups import rare, rules_of

pytestmark = requires("root", "overlay", "busybox")


def inspected(suitcase) -> dict:
    return json.loads(suitcase("inspect box").out)[0]["HostConfig"]


# -- memory ---------------------------------------------------------------------------------------------------------------


EAT = r"x=$(head -c 40000000 /dev/zero | tr '\\0' x)"


@requires("cgroup1", "memory")
def test_a_container_that_nobody_kills_for_its_memory_waits_and_can_be_removed(suitcase, lives):
    words = "-m 20m --memory-swap 20m --memory-swappiness 0 --oom-kill-disable"
    done = suitcase(f'run -d --network none --name box {words} {BUSYBOX} sh -c "{EAT}"')
    assert (done.code, done.err) == (0, "")
    folder = usage.group_of(finding.find("box")).folders["memory"]
    assert linux.read(f"{folder}/memory.swappiness") == "0\n"
    wait_for(lambda: "oom_kill_disable 1\nunder_oom 1\n" in linux.read(f"{folder}/memory.oom_control"))
    found = inspected(suitcase)
    assert (found["MemorySwappiness"], found["OomKillDisable"]) == (0, True)
    assert suitcase("rm -f box").code == 0


def test_what_the_kernel_does_not_have_is_told_and_left_out(suitcase, lives, monkeypatch):
    monkeypatch.setattr(rare, "had_here", lambda *words: False)
    rule = "--device-cgroup-rule 'c 10:229 rwm'"
    done = suitcase(f"create --name box --memory-swappiness 5 --oom-kill-disable --blkio-weight 100 {rule} {BUSYBOX} true")
    assert sorted(done.err.splitlines()) == sorted(f"WARNING: {text}" for name, text in rare.DISCARDED.items() if "devices" not in name)
    found = inspected(suitcase)
    assert (found["MemorySwappiness"], found["BlkioWeight"], found["DeviceCgroupRules"]) == (None, 0, None)
    assert suitcase("start box").code == 0


@requires("cgroup1", "memory")
def test_without_a_limit_the_whole_machine_may_be_eaten(suitcase, lives):
    done = suitcase(f"create --name box --oom-kill-disable {BUSYBOX} true")
    assert (done.code, done.err) == (0, f"WARNING: {rare.NO_LIMIT}\n")


# -- disks ----------------------------------------------------------------------------------------------------------------


def test_the_weight_of_a_container_at_its_disks(suitcase, lives):
    suitcase(f"run -d --network none --name box --blkio-weight 300 {BUSYBOX} sleep 601")
    if not rare.weight_word():
        pytest.skip("this kernel does not weigh what containers read and write")
    assert inspected(suitcase)["BlkioWeight"] == 300
    assert weight_of("box") == rare.in_the_files_words(300)
    assert suitcase("update --blkio-weight 500 box").out == "box\n"
    assert weight_of("box") == rare.in_the_files_words(500)
    assert "Range of blkio weight is from 10 to 1000" in suitcase("update --blkio-weight 9 box").err
    assert inspected(suitcase)["BlkioWeight"] == 500 and weight_of("box") == rare.in_the_files_words(500)


def weight_of(name: str) -> int:
    """As the kernel has it."""
    group = usage.group_of(finding.find(name))
    ((controller, file, _),) = group.backend.translate(rare.weight_word(), "default 10")
    return int(linux.read(f"{group.folders[controller]}/{file}").split()[-1])


def test_an_update_that_the_kernel_cannot_do_is_told(suitcase, lives, monkeypatch):
    lives.create("true", "box")
    monkeypatch.setattr(rare, "weight_word", lambda: "")
    assert suitcase("update --blkio-weight 500 box").out == f"box\n{rare.DISCARDED['blkio_weight']}\n"
    assert inspected(suitcase)["BlkioWeight"] == 0


def test_the_weight_at_one_disk_where_its_scheduler_weighs(monkeypatch):
    monkeypatch.setattr(rare, "weight_word", lambda: "io.bfq.weight")
    monkeypatch.setattr(rare, "number_of", lambda path: "8:0")
    asked = {"blkio_weight": 20, "blkio_weight_devices": [["/dev/sda", 500]]}
    served_by = iter(["none [bfq]\n", "[bfq] none\n", "[none] bfq\n"])
    monkeypatch.setattr(linux, "read", lambda path: next(served_by))
    found = rare.words((), None, False, *asked.values())
    assert found == {"io.bfq.weight": "default 20\n8:0 500"}
    told: list[str] = []
    assert rare.without_what_lacks(asked, told.append) == asked and not told
    assert rare.without_what_lacks(asked, told.append) == {"blkio_weight": 20} and told == [rare.DISCARDED["blkio_weight_devices"]]


# -- devices --------------------------------------------------------------------------------------------------------------

READ, BOTH = "read\n", "read\nwritten\n"
TRY = "mknod /dev/f c 10 229 && { (exec 3< /dev/f) && echo read; (exec 3> /dev/f) && echo written; }"  # anybody may open /dev/fuse


RULES = (
    ([], ""), (["c 10:229 r"], READ), (["c 10:* rwm"], BOTH), (["a *:229 rw"], BOTH), (["a 5:3 rwm", "b *:* rwm", "c 10:229 m"], ""),
)  # fmt: skip


@requires("cgroup1")
def test_a_rule_opens_what_it_names_and_nothing_else(suitcase, lives):
    for rules, opened in RULES:
        words = " ".join(f"--device-cgroup-rule '{one}'" for one in rules)
        done = suitcase(f"run --network none --name box {words} {BUSYBOX} sh -c '{TRY}'")
        assert done.out == opened, (rules, done.err)
        assert inspected(suitcase)["DeviceCgroupRules"] == (rules or None)
        suitcase("rm box")


def test_the_letter_that_is_everything_to_the_kernel_is_both_kinds_here():
    assert rules_of("a 1:3 r") == ["b 1:3 r", "c 1:3 r"] and rules_of("c *:7 m") == ["c *:7 m"]


@requires("cgroup2")
@pytest.mark.v2
def test_what_v2_does_not_have_is_told(suitcase, lives):
    """A rule gives nothing there: nobody can make a node."""
    words = "--memory-swappiness 5 --oom-kill-disable --device-cgroup-rule 'c 10:229 rwm'"
    done = suitcase(f"run --network none --name box {words} {BUSYBOX} sh -c '{TRY}'")
    assert done.out == ""
    assert all(rare.DISCARDED[name] in done.err for name in ("memory_swappiness", "oom_kill_disable", "device_cgroup_rules"))
    assert inspected(suitcase)["OomKillDisable"] is None


REFUSED = {
    "--memory-swappiness 101": "invalid value: 101. Valid memory swappiness range is 0-100",
    "--memory-swappiness x": 'invalid argument "x" for "--memory-swappiness" flag: strconv.ParseInt: parsing "x": invalid syntax',
    "--blkio-weight 9": "Range of blkio weight is from 10 to 1000",
    "--blkio-weight -5": 'for "--blkio-weight" flag: strconv.ParseUint: parsing "-5": invalid syntax',
    "--blkio-weight 70000": 'for "--blkio-weight" flag: strconv.ParseUint: parsing "70000": value out of range',
    "--blkio-weight-device /dev/null": "bad format: /dev/null",
    "--blkio-weight-device null:20": "bad format for device path: null:20",
    "--blkio-weight-device /dev/null:9": "invalid weight for device: /dev/null:9",
    "--blkio-weight-device /dev/null:20": "/dev/null is no block device",
    "--device-cgroup-rule 'c 1:3'": "invalid device cgroup format 'c 1:3'",
    "--device-cgroup-rule 'a'": "invalid device cgroup format 'a'",
    "--device-cgroup-rule 'c 1:4294967296 r'": "invalid device cgroup format 'c 1:4294967296 r'",
}  # fmt: skip


def test_what_means_nothing_is_refused_in_dockers_words(suitcase, lives):
    for words, told in REFUSED.items():
        done = suitcase(f"run --name box {words} {BUSYBOX} true")
        assert done.code == 125 and told in done.err, words
    assert suitcase("ps -aq").out == ""
