"""``top stats commit update``, and what ``run`` and ``create`` may limit, turn and share: read in the kernel, and in the program itself."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from helpers.lives import BUSYBOX, apart, printed
from helpers.needs import requires
from helpers.waiting import wait_for

from lib import linux
from lib.cli.containers import observing
from lib.engine import finding, usage
from lib.engine.usage import Usage, cpu_percent
from lib.ingredients.cgroups import cgroup
from lib.state import kept

pytestmark = requires("root", "overlay", "busybox")


@pytest.fixture
def lives(tmp_path, monkeypatch):
    """With a store of images of its own: what is committed here is in nobody's way."""
    monkeypatch.setenv("SUITCASE_IMAGES", str(tmp_path / "images"))
    with apart() as one:
        yield one


# -- top --------------------------------------------------------------------------------------------------------------


@requires("ps")
def test_top_shows_what_runs_in_there_and_nothing_else(suitcase, lives):
    one = lives.run("sleep 600 & echo up; exec sleep 601", "box")
    printed(one, b"up\n")
    head, *rows = [line.split() for line in suitcase("top box").out.splitlines()]
    assert head == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    assert sorted(row[-1] for row in rows) == ["600", "601"] and str(one["state"]["pid"]) in [row[1] for row in rows]
    assert suitcase("top box -o pid,comm").out.splitlines()[0].split() == ["PID", "COMMAND"]


@requires("ps")
def test_top_of_what_does_not_run_and_of_words_that_ps_does_not_know(suitcase, lives):
    one = lives.create("true", "box")
    assert suitcase("top box").err == f"suitcase: container {one['id']} is not running\n"
    assert suitcase("top nosuch").err == "suitcase: No such container: nosuch\n"
    lives.run("sleep 600", "runs")
    refused = suitcase("top runs --nonsense")
    assert refused.code == 1 and refused.err.startswith("suitcase: Error running ps: ")
    assert suitcase("top runs -o comm").err == "suitcase: Couldn't find PID field in ps output\n"


def test_a_program_writes_no_row_of_its_own():
    """Some characters are the end of a line to Python, and none to ps."""
    told = "PID CMD\n7 sh\u20287 forged\x1c7 forged\n8 other\n"
    assert observing.chosen(told, {7}) == (["PID", "CMD"], [["7", "sh 7 forged 7 forged"]])


@requires("ps")
def test_top_needs_no_cgroups(suitcase, lives, monkeypatch):
    def none():
        raise RuntimeError("no cgroup file system is mounted")

    one = lives.run("exec sleep 601", "box")
    monkeypatch.setattr(cgroup, "backend", none)
    assert str(one["state"]["pid"]) in suitcase("top box").out
    assert suitcase("stats --no-stream --format {{.PIDs}} box").out == "--\n"


@requires("ps", "docker")
def test_top_and_stats_beside_docker(suitcase, lives, docker, tmp_path):
    """The same heads, the same columns, the same processes."""
    from helpers.commands import given_to

    given_to(docker, suitcase, tmp_path, BUSYBOX)
    suitcase(f"run -d --name box --network none -m 64m {BUSYBOX} sleep 600")
    client = ["docker", "-H", docker.socket]
    subprocess.run(
        [*client, "run", "-d", "--name", "box", "--network", "none", "-m", "64m", BUSYBOX, "sleep", "600"], check=True, capture_output=True
    )
    try:
        for words in ("top box", "top box -o pid,args", "stats --no-stream", "stats --no-stream --format {{.Name}}/{{.NetIO}}/{{.PIDs}}"):
            theirs = subprocess.run([*client, *words.split()], capture_output=True, text=True, check=True).stdout
            assert shape(suitcase(words).out) == shape(theirs), words
    finally:
        subprocess.run([*client, "rm", "-f", "box"], check=True, capture_output=True)


def shape(text: str) -> list[list[str]]:
    """Columns without what is another at each look: numbers, times, and how far apart they stand."""
    return [[re.sub(r"^[0-9a-f]{12}$|[\d.:]+", "N", word) for word in line.split()] for line in text.splitlines()]


# -- stats ------------------------------------------------------------------------------------------------------------


def test_stats_tells_what_a_container_uses(suitcase, lives):
    one = lives.run("i=0; while :; do i=$((i+1)); done", "busy", memory=64 << 20)
    lives.run("sleep 600", "idle")
    found = {row["Name"]: row for row in map(json.loads, suitcase("stats --no-stream --format json").out.splitlines())}
    assert float(found["busy"]["CPUPerc"][:-1]) > 5 > float(found["idle"]["CPUPerc"][:-1])
    assert found["busy"]["MemUsage"].endswith(" / 64MiB") and found["busy"]["PIDs"] == "1" and found["busy"]["NetIO"] == "0B / 0B"
    assert [line.split()[0] for line in suitcase(f"stats --no-stream {one['id'][:5]}").out.splitlines()] == ["CONTAINER", one["id"][:12]]


def test_stats_of_what_does_not_run(suitcase, lives):
    lives.create("true", "never")
    assert suitcase("stats --no-stream").out.splitlines()[1:] == []
    assert suitcase("stats --no-stream -a --format '{{.Name}} {{.CPUPerc}} {{.MemUsage}}'").out == "never -- -- / --\n"
    assert suitcase("stats --no-stream nosuch").err == "suitcase: No such container: nosuch\n"


def test_a_stream_is_drawn_in_its_own_place(capsys):
    observing.redraw("NAME\nbox\n")
    assert capsys.readouterr().out == "\033[HNAME\033[K\nbox\033[K\n\033[J"


def test_how_busy_a_processor_was_is_seen_between_two_looks():
    before = Usage(10.0, 1_000_000, *[0] * 7)
    assert cpu_percent(before, before._replace(moment=12.0, cpu=2_000_000)) == 50
    assert cpu_percent(before, before) == 0


def test_processes_in_cgroups_of_the_containers_own_count_too(lives):
    one = lives.run("sleep 600", "box")
    group = usage.group_of(one)
    own = f"{group.place_of_processes}/own"
    os.mkdir(own)
    child = subprocess.Popen(["sleep", "600"])
    try:
        with open(f"{own}/cgroup.procs", "w") as file:
            file.write(str(child.pid))
        assert usage.pids(one) == sorted([one["state"]["pid"], child.pid])
    finally:
        child.kill()
        child.wait()
        wait_for(lambda: not os.path.exists(own) or os.rmdir(own) is None)


# -- update -----------------------------------------------------------------------------------------------------------


def test_update_changes_one_that_runs_and_its_next_start(suitcase, lives):
    lives.run("sleep 600", "box", memory=64 << 20)
    assert suitcase("update -m 128m --memory-swap 256m --cpus 0.5 --pids-limit 77 box").out == "box\n"
    group = usage.group_of(finding.find("box"))
    assert [group.read(word) for word in ("memory.max", "cpu.max", "pids.max")] == [str(128 << 20), "50000 100000", "77"]
    assert (
        suitcase("inspect -f '{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}}' box").out
        == f"{128 << 20} 500000000 77\n"
    )
    assert suitcase("update -m 32m --memory-swap 64m box").code == 0, "less than before, too"
    assert group.read("memory.max") == str(32 << 20)


def test_what_update_cannot_do_changes_nothing(suitcase, lives):
    lives.create("true", "box")
    assert suitcase("update box").err == "suitcase: you must provide one or more flags when using this command\n"
    assert suitcase("update -m 1k box").code == 1 and "the smallest limit is 6 MiB" in suitcase("update -m 1k box").err
    assert suitcase("update --cpus 1 --cpu-quota 5000 box").err.startswith("suitcase: Conflicting options: Nano CPUs and CPU Quota")
    assert finding.find("box")["options"].get("memory") is None
    assert suitcase("update -m 64m nosuch").err == "suitcase: No such container: nosuch\n"


@pytest.mark.v2
@pytest.mark.parametrize("at", [1, 2, 3])
def test_an_update_that_fails_half_way_leaves_every_limit_as_it_was(suitcase, lives, monkeypatch, at):
    lives.run("sleep 600", "box", memory=64 << 20, cpus=0.5, pids_limit=50)
    group, before = usage.group_of(finding.find("box")), finding.find("box")["options"]
    limits = [group.read(word) for word in ("memory.max", "cpu.max", "pids.max")]
    write, written = linux.write, []

    def refusing(path: str, text: str) -> None:
        written.append(path)
        if len(written) == at:
            raise OSError(errno.EBUSY, "the kernel says no", path)
        write(path, text)

    monkeypatch.setattr(linux, "write", refusing)
    failed = suitcase("update -m 128m --memory-swap 256m --cpus 0.7 --pids-limit 77 box")
    assert failed.code == 1 and "the kernel says no" in failed.err
    assert [group.read(word) for word in ("memory.max", "cpu.max", "pids.max")] == limits
    assert finding.find("box")["options"] == before


def test_an_update_that_cannot_be_written_down_is_taken_back_and_the_next_container_has_its_own(suitcase, lives, monkeypatch):
    for name in ("one", "two"):
        lives.run("sleep 600", name, pids_limit=50)
    save = kept.save

    def full(facts: dict, where=None) -> None:
        if facts["name"] == "one":
            raise OSError(errno.ENOSPC, "No space left on device")
        save(facts, where)

    monkeypatch.setattr(kept, "save", full)
    said = suitcase("update --pids-limit 77 one two")
    monkeypatch.undo()
    assert said.code == 1 and said.out == "two\n" and "no space left on device" in said.err
    assert [usage.group_of(finding.find(name)).read("pids.max") for name in ("one", "two")] == ["50", "77"]


# -- commit -----------------------------------------------------------------------------------------------------------


def test_commit_keeps_what_was_written_and_the_words(suitcase, lives):
    lives.ended(lives.run("echo one > /one; rm /bin/awk", "box"))
    said = suitcase("commit -a Me -m 'by hand' -c 'ENV A=b' -c 'CMD [\"cat\", \"/one\"]' box localhost/made:1")
    assert said.code == 0 and re.fullmatch("sha256:[0-9a-f]{64}\n", said.out), said
    assert suitcase("run --rm --network none localhost/made:1").out == "one\n"
    assert suitcase("run --rm --network none localhost/made:1 sh -c 'echo $A; ls /bin/awk 2>/dev/null'").out == "b\n"
    assert suitcase("inspect -f '{{.Author}}' localhost/made:1").out == "Me\n"
    newest = suitcase("history --no-trunc localhost/made:1").out.splitlines()[1]
    assert "by hand" in newest and "sh -c echo one > /one; rm /bin/awk" in newest


def test_commit_keeps_how_it_is_asked_after_its_health(suitcase, lives):
    suitcase(f"create --name box --network none --health-cmd true --health-interval 3s {BUSYBOX} true")
    assert suitcase("commit box localhost/made:1").code == 0
    assert suitcase("create --name other --network none localhost/made:1").code == 0
    told = json.loads(suitcase("inspect -f '{{json .Config.Healthcheck}}' other").out)
    assert told == {"Test": ["CMD-SHELL", "true"], "Interval": 3 * 10**9}


def test_what_commit_cannot_do(suitcase, lives):
    lives.create("true", "box")
    assert suitcase("commit nosuch").err == "suitcase: No such container: nosuch\n"
    assert suitcase("commit box UPPER").code == 1
    assert suitcase("commit -c 'RUN x' box").code == 1
    assert suitcase("images -q").out.count("\n") == 1


@requires("docker")
def test_docker_takes_what_commit_made(suitcase, lives, docker, tmp_path):
    from helpers.commands import given_to

    lives.ended(lives.run("echo one > /one", "box"))
    suitcase('commit -c \'CMD ["cat", "/one"]\' box localhost/made:2')
    given_to(docker, suitcase, tmp_path, "localhost/made:2")
    done = subprocess.run(
        ["docker", "-H", docker.socket, "run", "--rm", "--network", "none", "localhost/made:2"], capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("one\n", "")


# -- limits, knobs, shared namespaces ---------------------------------------------------------------------------------

READS = {
    "--ulimit nofile=100:200": ("ulimit -n; ulimit -Hn", "100\n200\n"),
    "--ulimit core=0 --ulimit nproc=50:60": ("ulimit -c; ulimit -u; ulimit -Hu", "0\n50\n60\n"),
    "--shm-size 32m": ("df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2", "32768\n"),
    "--sysctl kernel.msgmax=4096 --sysctl net.core.somaxconn=99": (
        "cat /proc/sys/kernel/msgmax /proc/sys/net/core/somaxconn",
        "4096\n99\n",
    ),
    "--oom-score-adj 300": ("cat /proc/self/oom_score_adj", "300\n"),
    "--oom-score-adj 0": ("cat /proc/self/oom_score_adj", "0\n"),
    "--domainname corp.example": ("cat /proc/sys/kernel/domainname", "corp.example\n"),
    "--hostname web --domainname corp.example": ("hostname; hostname -f", "web\nweb.corp.example\n"),
    "--hostname web.corp.example": ("hostname; hostname -s; hostname -f", "web.corp.example\nweb\nweb.corp.example\n"),
    "--init": ("readlink /proc/1/exe", "/memfd:docker-init (deleted)\n"),
    "--group-add 77 --group-add daemon": ("id -G", "0 1 77\n"),
    "--user 1000 --group-add 77": ("id -G", "0 77\n"),
    "--shm-size 1": ("df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2", "4\n"),
    "--device /dev/tty --device /dev/full --device /dev/null:/dev/full": ("echo lost > /dev/full && echo written", "written\n"),
    "--privileged --device /dev/tty --device /dev/zero:/dev/nought": ("head -c 1 /dev/nought | od -An -tx1", " 00\n"),
    "--device /dev": ("head -c 1 /dev/zero | od -An -tx1", " 00\n"),
    "--device /dev/null:/dev/deep/zero": ("ls -l /dev/deep/zero | tr -s ' ' | cut -d' ' -f1,5,6", "crw-rw-rw- 1, 3\n"),
}


@pytest.mark.v2
@pytest.mark.parametrize("words", READS)
def test_what_run_is_told_holds_in_there(suitcase, lives, words):
    line, expected = READS[words]
    groups = "mkdir -p /etc; " if "daemon" in words else ""
    if groups:
        lives.ended(lives.run("mkdir -p /etc; echo daemon:x:1: > /etc/group", "base"))
        suitcase("commit base localhost/groups:1")
    image = "localhost/groups:1" if groups else BUSYBOX
    said = suitcase(f'run --rm --network none {words} {image} sh -c "{line}"')
    assert (said.out, said.code) == (expected, 0), said


def test_limits_are_the_cgroups(suitcase, lives):
    words = "--cpu-shares 512 --cpu-period 50000 --cpu-quota 25000 -m 64m --memory-reservation 32m"
    assert suitcase(f"run -d --name box --network none {words} {BUSYBOX} sleep 600").code == 0
    group = usage.group_of(finding.find("box"))
    assert (group.read("cpu.max"), group.read("memory.low")) == ("25000 50000", str(32 << 20))
    told = suitcase(
        "inspect -f '{{.HostConfig.CpuShares}} {{.HostConfig.CpuPeriod}} {{.HostConfig.CpuQuota}} {{.HostConfig.MemoryReservation}}' box"
    )
    assert told.out == f"512 50000 25000 {32 << 20}\n"


def test_namespaces_may_be_the_machines(suitcase, lives):
    kinds = ("ipc", "uts", "cgroup", "pid")
    script = f"for kind in {' '.join(kinds)}; do readlink /proc/self/ns/$kind; done"
    said = suitcase(f"run --rm --network none --ipc host --uts host --cgroupns host --pid host {BUSYBOX} sh -c '{script}'")
    assert said.out.split() == [os.readlink(f"/proc/self/ns/{kind}") for kind in kinds]


def test_a_container_may_see_the_processes_of_another(suitcase, lives):
    lives.run("exec sleep 601", "one")
    assert "sleep 601" in suitcase(f"run --rm --network none --pid container:one {BUSYBOX} ps").out
    lives.create("true", "never")
    assert "it is not running" in suitcase(f"run --rm --network none --pid container:never {BUSYBOX} ps").err


def test_a_container_may_share_the_memory_of_another(suitcase, lives):
    lives.run("echo hello > /dev/shm/word; exec sleep 601", "one", ipc="shareable")
    assert suitcase("exec one sh -c 'until test -s /dev/shm/word; do :; done'").code == 0
    run = f"run --rm --network none --ipc container:one {BUSYBOX} sh -c"
    assert suitcase(f"{run} 'cat /dev/shm/word; readlink /proc/self/ns/ipc'").out.splitlines() == [
        "hello", suitcase("exec one readlink /proc/self/ns/ipc").out.strip(),
    ]  # fmt: skip
    assert suitcase("inspect -f '{{.HostConfig.IpcMode}}' one").out == "shareable\n"
    suitcase(f"run -d --network none --name two --ipc container:one {BUSYBOX} sleep 601")
    assert suitcase(f"run --rm --network none --ipc container:two {BUSYBOX} cat /dev/shm/word").out == "hello\n", "what it has from another"
    lives.create("true", "never", ipc="shareable")
    refused = suitcase(f"run --rm --network none --ipc container:never {BUSYBOX} true")
    assert "can't join IPC of container" in refused.err and "is not running" in refused.err


@pytest.mark.parametrize("words", ["", "--ipc private", "--ipc none"])
def test_nobody_shares_the_memory_of_one_that_has_not_said_so(suitcase, lives, words):
    ident = suitcase(f"run -d --network none {words} --name one {BUSYBOX} sleep 601").out.strip()
    refused = suitcase(f"run --rm --network none --ipc container:one {BUSYBOX} true")
    hint = "non-shareable IPC (hint: use IpcMode:shareable for the donor container)"
    assert refused.code == 125 and f"can't join IPC of container {ident}: {hint}" in refused.err
    assert suitcase("exec one ls -d /dev/shm").code == (words == "--ipc none")


@pytest.mark.v2
@requires("block device")
def test_the_rate_of_a_disk_is_limited(suitcase, lives):
    disk = next(path for path in Path("/sys/block").iterdir() if (path / "device").exists() or path.name.startswith("ubd"))
    path, number = f"/dev/{disk.name}", (disk / "dev").read_text().strip()
    words = f"--device-read-bps {path}:1mb --device-write-bps {path}:2m --device-read-iops {path}:300 --device-write-iops {path}:0"
    suitcase(f"run -d --network none --name box {words} {BUSYBOX} sleep 601")
    group = usage.group_of(finding.find("box"))
    for word, limit in (("rbps", 1 << 20), ("wbps", 2 << 20), ("riops", 300)):
        ((controller, name, _),) = group.backend.translate("io.max", f"{number} {word}={limit}")
        assert re.search(rf"^{number} .*\b{limit}\b", linux.read(f"{group.folders[controller]}/{name}"), re.MULTILINE), word
    told = suitcase("inspect -f '{{json .HostConfig.BlkioDeviceReadBps}} {{json .HostConfig.BlkioDeviceWriteIOps}}' box").out
    assert told == f'[{{"Path":"{path}","Rate":1048576}}] []\n'


REFUSED = {
    "--ulimit nonsense=1": 'invalid ulimit type: nonsense',
    "--ulimit nofile=2:1": "ulimit soft limit must be less than or equal to hard limit: 2 > 1",
    "--sysctl kernel.panic=1": "sysctl 'kernel.panic' is not allowed: it would change the whole machine",
    "--sysctl net/../kernel/panic=1": "is not allowed",
    "--network host --sysctl net.core.somaxconn=9": "sysctl 'net.core.somaxconn' is not allowed",
    "--oom-score-adj 2000": "range for oom score adj is [-1000, 1000]",
    "--device /dev/nosuch": 'error gathering device information while adding custom device "/dev/nosuch": no such file or directory',
    "--device /etc/passwd": "not a device node",
    "--ipc nonsense": "--ipc: invalid IPC mode: nonsense",
    "--pid container:nosuch": "No such container: nosuch",
    "--device-read-bps /dev/null": "bad format: /dev/null",
    "--device-read-bps x:1": "bad format for device path: x:1",
    "--device-write-bps /dev/null:fast": "The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. Unit",
    "--device-write-iops /dev/null:1k": "The correct format is <device-path>:<number>. Number must be a positive integer",
    "--device-read-iops /dev/null:1": "/dev/null is no block device",
    "--device-read-iops /dev/nosuch:1": "/dev/nosuch: no such file or directory",
    "--group-add nosuch": "unable to find group nosuch",
}  # fmt: skip


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_meant_is_told_before_anything_is_made(suitcase, lives, words):
    said = suitcase(f"run --rm --network none {words} {BUSYBOX} true".replace("--network none --network host", "--network host"))
    assert said.code == 125 and REFUSED[words] in said.err, said
    assert suitcase("ps -aq").out == ""


@pytest.mark.v2
def test_a_device_that_was_not_named_may_not_be_opened(suitcase, lives):
    """On v1 the cgroup says so; of the machine's nodes only those that were asked for are there at all."""
    assert suitcase(f"run --rm --network none {BUSYBOX} ls /dev/deep").code == 1
