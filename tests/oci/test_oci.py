"""The OCI translation: the five verbs on a bundle that ``runc spec`` wrote, and what is said when something is wrong."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from helpers.needs import requires
from helpers.waiting import wait_for

from lib import linux, oci, state
from lib.ingredients import Cgroup
from lib.ingredients.cgroups import ALLOWED
from lib.oci.translation import capabilities_of
from lib.process import Plan, StepError

pytestmark = requires("root", "busybox", "runc")
SCHEMAS = Path("/usr/share/gocode/src/github.com/opencontainers/runtime-spec/schema")


@pytest.fixture
def bundle(busybox, tmp_path):
    shutil.copytree(busybox, tmp_path / "rootfs", symlinks=True)
    subprocess.run(["runc", "spec"], cwd=tmp_path, check=True)
    change(tmp_path, lambda config: config["process"].update(terminal=False, args=["sleep", "1000"]))
    return tmp_path


def change(bundle: Path, how) -> None:
    config = json.loads((bundle / "config.json").read_text())
    how(config)
    (bundle / "config.json").write_text(json.dumps(config))


def command(*argv, code=0) -> str:
    """The command line in a process of its own, as a container manager would call it.

    Its output goes to files: a pipe would be held open by the container, which inherits it.
    """
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        done = subprocess.run([sys.executable, "-m", "lib.oci", *argv], stdout=output, stderr=errors, stdin=subprocess.DEVNULL, timeout=20)
        output.seek(0), errors.seek(0)
        told, wrong = output.read(), errors.read()
    assert done.returncode == code, wrong
    return wrong if code else told


def status(name: str) -> str:
    return json.loads(oci.state_json(name))["status"]


def until(name: str, word: str) -> None:
    wait_for(lambda: status(name) == word)


def test_the_life_of_a_container_over_five_commands(bundle):
    """Each command is a process of its own: what lies between them is on disk and in the kernel."""
    command("create", "--bundle", str(bundle), "one")
    assert status("one") == "created"
    command("start", "one")
    until("one", "running")
    told = json.loads(command("state", "one"))
    assert told["status"] == "running" and told["pid"] > 1 and told["bundle"] == str(bundle) and told["id"] == "one"
    assert Path(f"/proc/{told['pid']}/cmdline").read_bytes() == b"sleep\x001000\0"
    command("kill", "one", "KILL")
    until("one", "stopped")
    assert "pid" not in json.loads(oci.state_json("one")) or json.loads(oci.state_json("one"))["pid"] == 0
    command("delete", "one")
    assert "does not exist" in command("state", "one", code=1)


def test_a_frozen_one_is_killed_like_any_other(bundle):
    command("create", "--bundle", str(bundle), "cold")
    command("start", "cold")
    until("cold", "running")
    (facts,) = [facts for facts in state.records() if facts["id"] == "oci-cold"]
    (folder,) = [words[0] for call, *words in facts["undos"] if call == "kill_cgroup"]
    Cgroup(name=os.path.basename(folder)).freeze()
    command("kill", "cold", "KILL")
    until("cold", "stopped")
    command("delete", "cold")


def test_nothing_runs_before_start(bundle):
    change(bundle, lambda config: (config["process"].update(args=["touch", "/tmp/ran"]), config["root"].update(readonly=False)))
    oci.create("two", str(bundle))
    assert not (bundle / "rootfs/tmp/ran").exists() and status("two") == "created"
    oci.start("two")
    until("two", "stopped")
    assert (bundle / "rootfs/tmp/ran").exists()
    oci.delete("two")


def test_a_container_survives_its_maker_and_gc(bundle):
    command("create", "--bundle", str(bundle), "three")
    state.gc()
    assert status("three") == "created"
    oci.start("three")
    until("three", "running")
    state.gc()
    assert status("three") == "running"
    oci.delete("three", force=True)


@pytest.mark.skipif(not SCHEMAS.is_dir(), reason="needs golang-github-opencontainers-specs-dev")
@pytest.mark.filterwarnings("ignore:jsonschema.RefResolver")
@pytest.mark.parametrize("moment", ["created", "running", "stopped"])
def test_state_json_is_what_the_specification_says(bundle, moment):
    from jsonschema import Draft7Validator, RefResolver

    change(bundle, lambda config: config.update(annotations={"org.example": "yes"}))
    oci.create("four", str(bundle))
    if moment != "created":
        oci.start("four")
        until("four", "running")
    if moment == "stopped":
        oci.kill("four", "9")
        until("four", "stopped")
    schema = json.loads((SCHEMAS / "state-schema.json").read_text())
    validator = Draft7Validator(schema, resolver=RefResolver(f"file://{SCHEMAS}/state-schema.json", schema))
    told = json.loads(oci.state_json("four"))
    assert not list(validator.iter_errors(told))
    assert told["status"] == moment and told["annotations"] == {"org.example": "yes"}
    oci.delete("four", force=True)


def test_wrong_states_are_refused(bundle):
    oci.create("five", str(bundle))
    with pytest.raises(oci.OciError, match="cannot delete container 'five': it is created"):
        oci.delete("five")
    with pytest.raises(oci.OciError, match="exists already"):
        oci.create("five", str(bundle))
    assert status("five") == "created", "the second create must not disturb the first"
    oci.start("five")
    until("five", "running")
    with pytest.raises(oci.OciError, match="cannot start container 'five': it is running"):
        oci.start("five")
    oci.kill("five", "SIGKILL")
    until("five", "stopped")
    for verb in (oci.start, oci.kill):
        with pytest.raises(oci.OciError, match="it is stopped"):
            verb("five")
    oci.delete("five")


@pytest.mark.parametrize("verb", [oci.start, oci.state_json, oci.kill, oci.delete])
def test_an_unknown_container(verb):
    with pytest.raises(oci.OciError, match="container 'nobody' does not exist"):
        verb("nobody")


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".", "-x"])
def test_a_name_that_would_be_a_path(bundle, name):
    with pytest.raises(oci.OciError, match="is not a container name"):
        oci.create(name, str(bundle))


def test_bundles_that_are_none(bundle, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(oci.OciError, match=r"config.json does not exist: a bundle is"):
        oci.create("six", str(empty))
    (empty / "config.json").write_text("{")
    with pytest.raises(oci.OciError, match="is no OCI configuration"):
        oci.create("six", str(empty))
    (empty / "config.json").write_text('{"process": {"args": []}, "root": {}}')
    with pytest.raises(oci.OciError, match="is no OCI configuration"):
        oci.create("six", str(empty))
    change(bundle, lambda config: config["root"].update(path="nowhere"))
    with pytest.raises(oci.OciError, match=r"root.path: .*/nowhere is not a folder"):
        oci.create("six", str(bundle))


def test_an_unknown_namespace_and_signal_are_named(bundle):
    change(bundle, lambda config: config["linux"]["namespaces"].append({"type": "moon"}))
    with pytest.raises(oci.OciError, match="unknown type 'moon'"):
        oci.create("seven", str(bundle))
    change(bundle, lambda config: config["linux"]["namespaces"].pop())
    oci.create("seven", str(bundle))
    with pytest.raises(oci.OciError, match="no signal is called 'MOON'"):
        oci.kill("seven", "MOON")
    oci.delete("seven", force=True)


def test_a_signal_in_real_time_by_its_number(bundle):
    script = "trap 'exit 3' 37; touch /tmp/up; while :; do read -t 1 x < /dev/zero; done"
    change(bundle, lambda config: (config["process"].update(args=["sh", "-c", script]), config["root"].update(readonly=False)))
    oci.create("real", str(bundle))
    oci.start("real")
    wait_for((bundle / "rootfs/tmp/up").exists)
    command("kill", "real", "37")
    until("real", "stopped")
    oci.delete("real")


def test_delete_force_of_nobody_is_fine_and_delete_is_not():
    command("delete", "--force", "nobody")
    assert "does not exist" in command("delete", "nobody", code=1)


def mounted(bundle: Path, path: str, *rows: dict) -> list[list[str]]:
    """What /proc/self/mountinfo says of ``path`` and below in a container with these mounts too: through us, and through runc."""
    change(bundle, lambda config: config["mounts"].extend(rows))
    change(bundle, lambda config: config["process"].update(args=["cat", "/proc/self/mountinfo"], rlimits=[]))
    config = oci.load(str(bundle))
    ours = Plan(["/bin/cat", "/proc/self/mountinfo"], oci.ingredients(config, str(bundle), "oci-words")).run(show=False, timeout=30).text
    theirs = subprocess.run(["runc", "run", "st-words"], cwd=bundle, capture_output=True, text=True, timeout=60).stdout
    told = []
    for text in (ours, theirs):
        rows = [line.split(" - ")[0].split()[4:] for line in text.splitlines()]
        told.append(sorted(" ".join(word.split(":")[0] for word in row) for row in rows if row[0].startswith(path)))
    return told


@pytest.fixture
def shared(tmp_path_factory):
    """A folder of the host's with a mount below it, both shared."""
    top = tmp_path_factory.mktemp("shared")
    linux.mount("tmpfs", str(top), "tmpfs")
    (top / "deep").mkdir()
    linux.mount("tmpfs", str(top / "deep"), "tmpfs", "nosuid")
    linux.mount(None, str(top), None, "rshared")
    yield str(top)
    linux.umount(str(top), linux.MNT_DETACH)


WORDS = [
    "rbind,rslave,ro,noatime", "rbind,rprivate,ro", "bind,private,nosuid,nodev,noexec", "rbind,rprivate,nodiratime,strictatime",
    "rbind,rslave,rw,exec,sync,lazytime,defaults", "bind,slave,ro,rw", "rbind,rshared", "rbind,runbindable",
]  # fmt: skip


@pytest.mark.parametrize("words", WORDS)
def test_the_words_of_a_bind_mount_are_runcs(bundle, shared, words):
    ours, theirs = mounted(bundle, "/x", {"destination": "/x", "type": "bind", "source": shared, "options": words.split(",")})
    assert ours == theirs and len(ours) == (2 if "rbind" in words else 1)


def test_a_word_with_an_r_before_it_is_for_the_whole_tree(bundle, shared):
    """runc of before 1.2 does not know them."""
    row = {"destination": "/x", "type": "bind", "source": shared, "options": ["rbind", "rprivate", "rro", "rnoexec", "nosuid", "rnoatime"]}
    ours, _ = mounted(bundle, "/x", row)
    assert ours == ["/x ro,nosuid,noexec,noatime", "/x/deep ro,nosuid,noexec,noatime"]


def test_the_words_of_a_file_system(bundle):
    words = ["rw", "nosuid", "rnodev", "relatime", "sync", "rprivate", "async", "size=64k", "mode=700"]
    change(bundle, lambda config: config["mounts"].append({"destination": "/y", "type": "tmpfs", "source": "y", "options": words}))
    change(bundle, lambda config: config["process"].update(args=["grep", " /y ", "/proc/self/mounts"]))
    config = oci.load(str(bundle))
    told = Plan(["/bin/grep", " /y ", "/proc/self/mounts"], oci.ingredients(config, str(bundle), "oci-fs")).run(show=False, timeout=30).text
    assert set(told.split()[3].split(",")) >= {"rw", "nosuid", "nodev", "relatime", "size=64k", "mode=700"} and "sync" not in told


@pytest.mark.parametrize("word", ["frobnicate", "idmap", "tmpcopyup", "size=1m"])
def test_a_word_that_a_bind_mount_cannot_have_is_named(bundle, word):
    row = {"destination": "/x", "type": "bind", "source": "/usr", "options": ["rbind", word]}
    change(bundle, lambda config: config["mounts"].append(row))
    said = command("create", "--bundle", str(bundle), "words", code=1)
    assert "mounts: /x: " in said and repr(word) in said


SHAPES = [("mounts", [{}]), ("mounts", 5), ("process", {"args": "sh"}), ("process", {"args": [5]}), ("linux", {"namespaces": [{}]})]


@pytest.mark.parametrize("path, value", SHAPES)
def test_a_configuration_of_another_shape_is_one_line(bundle, path, value):
    change(bundle, lambda config: config.update({path: config[path] | value if isinstance(value, dict) else value}))
    said = command("create", "--bundle", str(bundle), "shape", code=1)
    assert said.startswith("oci: ") and "Traceback" not in said


def test_an_error_while_creating_leaves_nothing(bundle):
    change(bundle, lambda config: config["mounts"].append({"destination": "/x", "type": "moonfs", "source": "x"}))
    with pytest.raises(StepError, match="this kernel has no such file system"):
        oci.create("eight", str(bundle))
    assert "moonfs" in command("create", "--bundle", str(bundle), "eight", code=1)


def test_a_create_that_is_killed_in_the_middle_is_reaped(bundle):
    code = (
        "import os; from lib import oci, process\n"
        "process.Process.let_go = lambda self: os.kill(os.getpid(), 9)\n"
        f"oci.create('half', {str(bundle)!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert done.returncode == -9 and status("half") == "created"
    assert state.gc() == ["oci-half"]
    with pytest.raises(oci.OciError, match="does not exist"):
        oci.state_json("half")


def test_a_missing_program_is_told_at_start(bundle):
    change(bundle, lambda config: config["process"].update(args=["no-such-program"]))
    oci.create("nine", str(bundle))
    oci.start("nine")
    until("nine", "stopped")
    oci.delete("nine")


def test_what_is_left_out_is_said(bundle):
    config = json.loads((bundle / "config.json").read_text())
    config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW"}
    assert oci.not_understood(config) == ["linux.seccomp"]
    command("create", "--bundle", str(bundle), "ten")
    oci.delete("ten", force=True)


def test_capabilities_and_devices_are_those_of_the_configuration(bundle):
    config = json.loads((bundle / "config.json").read_text())
    parts = {type(one).__name__: one for one in oci.ingredients(config, str(bundle), "x")}
    asked = config["process"]["capabilities"]["bounding"]
    assert {f"CAP_{name}" for name in parts["Capabilities"].names} == set(asked)
    assert oci.devices([]) == ALLOWED, "runc filters, too, if the configuration says nothing"


NONE, ALL = {"allow": False, "access": "rwm"}, {"allow": True, "access": "rwm"}


def row(words: str, allow: bool = True) -> dict:
    kind, numbers, access = words.split()
    major, minor = (-1 if word == "*" else int(word) for word in numbers.split(":"))
    return {"allow": allow, "type": kind, "major": major, "minor": minor, "access": access}


@pytest.mark.parametrize(
    ("rows", "more"),
    [
        ([NONE], []),
        ([NONE, row("c 10:200 rwm")], ["c 10:200 rwm"]),
        ([row("c 10:200 rwm")], ["c 10:200 rwm"]),  # nothing is allowed to begin with
        ([row("c 10:200 rwm"), NONE], []),
        ([ALL, NONE, row("b 7:* r"), row("b 7:* w")], ["b 7:* rw"]),
        ([row("u 9:1 rwm"), row("c 9:1 w", allow=False)], ["c 9:1 rm"]),
        ([row("c 9:1 rwm"), row("b 7:0 rw"), row("c *:* rwm", allow=False)], ["b 7:0 rw"]),
        ([row("b 7:0 rwm"), row("b 8:* rwm", allow=False)], ["b 7:0 rwm"]),
    ],
)
def test_rows_of_devices_are_read_in_their_order(rows, more):
    assert oci.devices(rows) == (*ALLOWED, *more)


@pytest.mark.parametrize("rows", [[ALL], [NONE, ALL], [row("c 9:1 rwm", allow=False), ALL]])
def test_everything_may_be_opened_only_if_the_last_word_is_all(rows):
    assert oci.devices(rows) is None


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([ALL, row("b 8:0 rwm", allow=False)], r"\[1\]: all were allowed before it"),
        ([row("b 8:* rwm"), row("b 8:0 w", allow=False)], r"\[1\]: b 8 \* was allowed before it"),
        ([row("c 1:* rwm"), row("c *:11 r", allow=False)], r"\[1\]: c 1 \* was allowed before it"),
        ([NONE, {"allow": True, "major": 1, "minor": 11}], r"\[1\]: whoever allows one number says the type"),
        ([row("p 1:2 rwm")], r"\[0\]: the type is"),
        ([row("c 1:2 rwx")], r"\[0\]: the type is"),
    ],
)
def test_rows_of_devices_that_cannot_be_carried_out_are_refused(rows, words):
    with pytest.raises(oci.OciError, match=words):
        oci.devices(rows)


def test_a_bundle_that_allows_one_device_more_opens_no_other(bundle):
    os.mknod(bundle / "rootfs/loop", 0o666 | stat.S_IFCHR, os.makedev(10, 237))
    change(bundle, lambda config: config["linux"]["resources"].update(devices=[row("c 1:11 r")]))
    assert re.search("/loop: (Operation not permitted|Permission denied)", told_by(bundle, "head -c 1 /loop"))


def test_who_is_given_no_capabilities_has_none(bundle):
    config = json.loads((bundle / "config.json").read_text())
    del config["process"]["capabilities"]
    (given,) = capabilities_of(config["process"])
    assert not given.names


def test_a_device_node_that_a_bundle_brings_along_is_closed(bundle):
    """By the list of devices, or on v2, where there is none, by ``nodev`` on the root; the null device in its own /dev works."""
    os.mknod(bundle / "rootfs/disk", 0o666 | stat.S_IFBLK, os.makedev(7, 0))
    change(bundle, lambda config: config["linux"]["resources"].clear())
    assert re.search("/disk: (Operation not permitted|Permission denied)", told_by(bundle, "echo > /dev/null && head -c 1 /disk"))


def told_by(bundle: Path, script: str) -> str:
    """What a shell in it says, of its errors too."""
    change(bundle, lambda config: config["process"].update(args=["sh", "-c", script]))
    with (bundle / "told").open("w+") as told:
        create = [sys.executable, "-m", "lib.oci", "create", "--bundle", str(bundle), "node"]
        subprocess.run(create, check=True, stdout=told, stderr=told, stdin=subprocess.DEVNULL)
        oci.start("node")
        until("node", "stopped")
        oci.delete("node")
        told.seek(0)
        return told.read()


def test_resources_in_dockers_words():
    group = oci.cgroup({"memory": {"limit": 1 << 25}, "cpu": {"quota": 50000, "period": 100000}, "pids": {"limit": 9}}, "x")
    assert group.limits["cpu.max"] == "50000 100000" and group.limits["pids.max"] == "9" and group.memory == 1 << 25


def test_wrong_use_of_the_command_line():
    assert "create --bundle DIR ID" in command("frobnicate", code=2)


def test_no_memory_limit_and_what_is_not_understood():
    assert oci.cgroup({"memory": {"limit": -1}}, "x").limits == {}
    config = {"process": {"args": ["x"], "oomScoreAdj": 5}, "linux": {"sysctl": {"a": "b"}, "resources": {"cpu": {"shares": 9}}}}
    assert {"linux.sysctl", "linux.resources.cpu.shares", "process.oomScoreAdj"} == set(oci.not_understood(config))


@pytest.mark.parametrize(
    "path",
    ["linux.devices", "linux.resources.unified", "linux.resources.blockIO", "linux.resources.memory.disableOOMKiller", "process.scheduler",
     "linux.resources.cpu.mems", "linux.resources.hugepageLimits", "domainname", "linux.resources.aWordOfTheFuture"],
)  # fmt: skip
def test_a_word_that_nobody_reads_is_named(path):
    *above, last = path.split(".")
    part = {last: {"some": "thing"}}
    for name in reversed(above):
        part = {name: part}
    assert oci.not_understood({"process": {"args": ["x"]}} | part) == [path]


def test_a_relative_bind_source_is_meant_from_the_bundle(tmp_path):
    (tmp_path / "rootfs").mkdir()
    root = oci.Root({"root": {"path": "rootfs"}}, str(tmp_path))
    assert root.mount({"destination": "/d", "type": "bind", "source": "data", "options": ["rbind"]}).source == str(tmp_path / "data")
