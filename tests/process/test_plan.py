"""A plan is data: it can be printed, sorted and sent without root and before anything runs."""

from __future__ import annotations

import marshal
from pathlib import Path

import pytest

import lib
from lib.ingredients import Bind, Cgroup, Hostname, Join, Loopback, Namespaces, RootFS, Time, Tmpfs, User
from lib.ingredients.cgroups import V1, V2
from lib.ingredients.rootfs import escape
from lib.process import CALLER, CHILD, ORDER, STAGES, Plan, Ref, Step, calls, in_words, signal_number
from lib.state import Record


def whole_plan() -> Plan:
    root = RootFS(["/base"], "/scratch", [Bind("/data", source="/srv"), Tmpfs("/cache")], read_only=True)
    return Plan(["sh"], [Namespaces("pid", "ipc", "cgroup", "time"), User(), Hostname("box"), Loopback(), root], {"A": "b"}, tty=True)


def test_steps_are_sorted_by_the_one_list_of_stages():
    """Whatever the order of the ingredients, the kernel's order comes out."""
    plan = whole_plan()
    backwards = Plan(plan.argv, list(reversed(plan.ingredients)), plan.env, tty=True)
    for one in (plan, backwards):
        positions = [ORDER[step.stage] for step in one.steps]
        assert positions == sorted(positions)
    assert [step.stage for step in plan.steps] == [step.stage for step in backwards.steps]


def test_the_clone_is_one_call_for_all_namespaces():
    clones = [step for step in whole_plan().steps if step.call == "clone3"]
    assert len(clones) == 1
    assert clones[0].args[0] == ["ipc", "mnt", "net", "pid", "user", "uts"]


def test_printed_plan_names_each_step_with_its_reason():
    text = str(whole_plan())
    for word in ("pivot_root('/base')", "link_up('lo')", "[child]", "[caller]", "execve(['sh']", STAGES["mask"].why):
        assert word in text
    assert max(map(len, text.splitlines())) < 300


def test_every_step_has_a_reason_and_a_known_call():
    for step in whole_plan().steps:
        assert step.why or step.call == "symlink", step
        known = set(calls.CALLS) | {"clone3", "stdio", "terminal", "wait_for_start", "under_init", "execve"}
        assert step.call in known, step


def test_the_plan_crosses_the_socket_as_plain_data():
    rows = [step.data(index) for index, step in enumerate(whole_plan().steps)]
    assert marshal.loads(marshal.dumps(rows)) == rows


@pytest.mark.parametrize(
    "argv, words",
    [
        ([], "no command specified"),
        ("ls", 'is one text: .*\\["sh", "-c"'),
        (b"ls", "is one text"),
        (["ls", b"-l"], "b'-l' in the command is no text .str., but bytes; os.fsdecode"),
        (["ls", 1], "1 in the command is no text"),
        (["ls", None], "None in the command"),
        (["ls", "a\0b"], "has a NUL in it"),
        (["ls", "\ud800"], "half a character"),
    ],
)
def test_a_command_that_cannot_be_meant(argv, words):
    with pytest.raises(ValueError, match=words):
        Plan(argv)


@pytest.mark.parametrize(
    "env, words",
    [
        ({"": "A"}, "invalid environment variable: =A"),
        ({"A=B": "x"}, "invalid environment variable: A=B=x"),
        ({"A": None}, "the variable 'A': None is no text"),
        ({"A": 1}, "the variable 'A': 1 is no text"),
        ({b"A": "x"}, "the name of the variable b'A' is no text"),
        ({"A": "x\0y"}, "the variable 'A': .* has a NUL in it"),
    ],
)
def test_a_variable_that_cannot_be_meant(env, words):
    with pytest.raises(ValueError, match=words):
        Plan(["true"], env=env)


def test_a_path_may_be_a_word_of_a_command_and_bytes_that_are_no_text_may_be_in_it():
    assert Plan([Path("/bin/ls"), "\udcff"]).argv == ["/bin/ls", "\udcff"]


@pytest.mark.parametrize("name", ["..", "a/b", "../../x", "a\0"])
def test_a_name_that_would_lead_elsewhere(name):
    with pytest.raises(ValueError, match="is not a name"):
        Cgroup(name=name)
    with pytest.raises(ValueError, match="is not a name"):
        Record(name, ())


def test_signals_by_name_and_by_number():
    for word in ("TERM", "SIGTERM", "term", "15"):
        assert signal_number(word) == 15
    assert [signal_number(word) for word in ("37", "RTMIN+3", "SIGRTMIN+3", "RTMAX-1", "32")] == [37, 37, 37, 63, 32]
    for word in ("", "0", "65", "-1", "MOON", "RTMIN+99", "1.5", "²"):
        with pytest.raises(ValueError, match="no signal is called"):
            signal_number(word)
    assert in_words(128 + 37) == "ended by signal 37 (SIGRTMIN+3)" and in_words(128) == in_words(128 + 65) == ""


def test_shoes_follow_from_the_stage():
    assert Step("prepare", "mkdir").shoes == CALLER and Step("pivot", "pivot_root").shoes == CHILD


def test_refs_are_filled_in_where_they_stand():
    assert calls.resolve({calls.REF: "cgroup"}, {"cgroup": 7}) == 7
    assert calls.resolve("/proc/{pid}/uid_map", {"pid": 12}) == "/proc/12/uid_map"
    assert repr(Ref("cgroup")) == "<cgroup>"


def test_join_opens_all_before_it_joins_the_first():
    steps = Join(paths={"mnt": "/a", "user": "/b", "net": "/c"}).steps()
    assert [step.call for step in steps] == ["open"] * 3 + ["setns"] * 3 + ["own_null"]
    assert [step.args[1] for step in steps[3:6]] == ["user", "net", "mnt"]


def test_v2_writes_its_own_words_and_is_born_inside(monkeypatch):
    made = Cgroup.__new__(Cgroup)
    made.backend, made.name = V2("/nowhere"), "x"
    made.folders = made.backend.folders("x")
    assert made.backend.translate("memory.max", "1") == [("", "memory.max", "1")]
    assert [step.call for step in made.backend.join_steps(made.folders)] == ["write", "open", "clone3"]


def test_v1_is_the_dictionary():
    one = V1({"cpu": "/c/cpu,cpuacct", "cpuacct": "/c/cpu,cpuacct", "memory": "/c/memory", "freezer": "/c/freezer"})
    assert one.translate("cpu.max", "50000 100000") == [("cpu", "cpu.cfs_period_us", "100000"), ("cpu", "cpu.cfs_quota_us", "50000")]
    assert one.translate("cpu.weight", "1")[0][2] == "2" and one.translate("cpu.weight", "10000")[0][2] == "262144"
    assert one.translate("io.max", "8:0 wbps=5") == [("blkio", "blkio.throttle.write_bps_device", "8:0 5")]
    weights = [("blkio", "blkio.bfq.weight", "20"), ("blkio", "blkio.bfq.weight_device", "8:0 500")]
    assert one.translate("io.bfq.weight", "default 20\n8:0 500") == weights
    steps = one.join_steps(one.folders("x"))
    assert len(steps) == len({step.args[0] for step in steps}) == 3, "cpu and cpuacct in one hierarchy are one folder"


def test_what_cannot_be_meant_is_said_before_anything_runs():
    for wrong in (lambda: Namespaces("mount"), lambda: Cgroup(memory="8m", memory_swap="7m"), lambda: Cgroup(cpus=0.001)):
        with pytest.raises(ValueError):
            wrong()


def test_time_offsets_are_written_before_the_clone():
    assert [step.stage for step in Time(boottime=5).steps()] == ["join", "join"]


def test_escape_of_overlay_separators():
    assert escape("/a:b,c\\d") == "/a\\:b\\,c\\\\d"


def test_exit_codes_in_dockers_way():
    assert in_words(137) == "ended by signal 9 (SIGKILL)" and in_words(1) == ""


def test_a_stage_that_does_not_exist_is_told_with_those_that_do():
    with pytest.raises(ValueError, match=r"no stage 'mount' \(do you mean 'mounts'\?\); in this order they are: prepare, .*exec"):
        Step("mount", "umask", (0,))


def test_an_option_that_does_not_exist_is_told_with_the_nearest():
    with pytest.raises(TypeError, match="no option 'pids': do you mean pids_limit"):
        lib.run("busybox", ["true"], pids=3)
    with pytest.raises(TypeError, match=r"no option 'colour'; it has name, .*pids_limit"):
        lib.run("busybox", ["true"], colour="red")
