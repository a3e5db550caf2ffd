"""``inspect``: a container as Docker's API tells of it; ``port``, ``version`` and ``info``."""

from __future__ import annotations

import json
import os
import platform
import re

import pytest
from helpers.facts import ZERO, facts, ident, keep, living

from lib.cli.listing.document import document, mount
from lib.ingredients.cgroups import rare
from lib.state import kept
from lib.volumes import parsed

STARTED = "2026-11-29T03:20:02.000000001Z"


def told(suitcase, words: str):
    said = suitcase(f"inspect {words}")
    assert (said.code, said.err) == (0, ""), said
    return json.loads(said.out)


def test_a_container(suitcase):
    keep(facts(7, "shop", config={"user": "web", "labels": {"a": "b"}, "attach": ["stdout"]}, state={"error": "no such file"}))
    place = kept.place(ident(7))
    assert told(suitcase, "shop") == [
        {
            "Id": ident(7),
            "Created": "2026-11-29T03:20:01.123456789Z",
            "Path": "sh",
            "Args": ["-c", "sleep 1"],
            "State": {
                "Status": "created",
                "Running": False,
                "Paused": False,
                "Restarting": False,
                "OOMKilled": False,
                "Dead": False,
                "Pid": 0,
                "ExitCode": 0,
                "Error": "no such file",
                "StartedAt": ZERO,
                "FinishedAt": ZERO,
            },
            "Image": "sha256:" + "a" * 64,
            "LogPath": f"{place}/log",
            "Name": "/shop",
            "RestartCount": 0,
            "Driver": "overlay",
            "Platform": "linux",
            "HostConfig": {
                "Binds": None,
                "LogConfig": {"Type": "json-file", "Config": {}},
                "NetworkMode": "none",
                "PortBindings": {},
                "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
                "AutoRemove": False,
                "CapAdd": None,
                "CapDrop": None,
                "CgroupnsMode": "private",
                "IpcMode": "private",
                "PidMode": "",
                "GroupAdd": None,
                "OomScoreAdj": 0,
                "Devices": [],
                "Privileged": False,
                "ReadonlyRootfs": False,
                "SecurityOpt": None,
                "UTSMode": "",
                "VolumesFrom": None,
                "ShmSize": 67108864,
                "Memory": 0,
                "MemorySwap": 0,
                "MemoryReservation": 0,
                "NanoCpus": 0,
                "CpuShares": 0,
                "CpuPeriod": 0,
                "CpuQuota": 0,
                "CpusetCpus": "",
                "CpusetMems": "",
                "PidsLimit": None,
                "MemorySwappiness": None,
                "OomKillDisable": False if rare.has_file_of_v1("memory.oom_control") else None,
                "BlkioWeight": 0,
                "BlkioWeightDevice": [],
                "BlkioDeviceReadBps": [],
                "BlkioDeviceReadIOps": [],
                "BlkioDeviceWriteBps": [],
                "BlkioDeviceWriteIOps": [],
                "DeviceCgroupRules": None,
                "Ulimits": [],
            },
            "GraphDriver": {"Name": "overlay", "Data": {"UpperDir": f"{place}/upper"}},
            "Mounts": [],
            "Config": {
                "Hostname": ident(7)[:12],
                "Domainname": "",
                "User": "web",
                "AttachStdin": False,
                "AttachStdout": True,
                "AttachStderr": False,
                "Tty": False,
                "OpenStdin": False,
                "StdinOnce": False,
                "Env": ["PATH=/bin"],
                "Cmd": ["sh", "-c", "sleep 1"],
                "Image": "shop:1",
                "Volumes": None,
                "WorkingDir": "",
                "Entrypoint": None,
                "Labels": {"a": "b"},
            },
            "NetworkSettings": {
                "Ports": {},
                "Networks": {
                    "none": {"NetworkID": "", "EndpointID": "", "Gateway": "", "IPAddress": "", "IPPrefixLen": 0, "MacAddress": ""}
                },
            },
        }
    ]


def of(**parts) -> dict:
    return document(facts(**parts), kept.place(ident(1)))


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"memory": 64 << 20}, {"Memory": 64 << 20, "MemorySwap": 128 << 20}),
        ({"memory": "64m", "memory_swap": -1}, {"Memory": 64 << 20, "MemorySwap": -1}),
        ({"memory": 64 << 20, "memory_swap": 65 << 20}, {"MemorySwap": 65 << 20}),
        ({"cpus": 2.01}, {"NanoCpus": 2_010_000_000}),
        ({"cpu_weight": 100}, {"CpuShares": 2597}),
        ({"cpu_weight": 1}, {"CpuShares": 2}),
        ({"cpu_shares": 512, "cpu_period": 5000, "cpu_quota": 1000}, {"CpuShares": 512, "CpuPeriod": 5000, "CpuQuota": 1000}),
        ({"ipc": "host", "pid_mode": "host", "uts": "host", "cgroupns": "host"}, {"IpcMode": "host", "PidMode": "host", "UTSMode": "host"}),
        ({"sysctls": {"net.core.somaxconn": "9"}, "oom_score_adj": -5}, {"Sysctls": {"net.core.somaxconn": "9"}, "OomScoreAdj": -5}),
        (
            {"devices": ["/dev/null:/dev/x:r"]},
            {"Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/x", "CgroupPermissions": "r"}]},
        ),
        ({"cpuset": "0-1", "pids_limit": 10}, {"CpusetCpus": "0-1", "PidsLimit": 10}),
        ({"device_rates": [["/dev/sda", "wbps", 7]]}, {"BlkioDeviceWriteBps": [{"Path": "/dev/sda", "Rate": 7}], "BlkioDeviceReadBps": []}),
        ({"memory_swappiness": 0, "device_cgroup_rules": ["a *:* r"]}, {"MemorySwappiness": 0, "DeviceCgroupRules": ["a *:* r"]}),
        (
            {"blkio_weight": 300, "blkio_weight_devices": [["/dev/sda", 20]]},
            {"BlkioWeight": 300, "BlkioWeightDevice": [{"Path": "/dev/sda", "Weight": 20}]},
        ),
        ({"security_opt": ["no-new-privileges"]}, {"SecurityOpt": ["no-new-privileges"]}),
        ({"cap_add": ["net_admin", "CAP_CHOWN"], "cap_drop": ["all"]}, {"CapAdd": ["CAP_NET_ADMIN", "CAP_CHOWN"], "CapDrop": ["ALL"]}),
        ({"read_only": True, "privileged": True, "init": True}, {"ReadonlyRootfs": True, "Privileged": True, "Init": True}),
        ({"volumes": ["/a:/b:ro", "/c:/d"]}, {"Binds": ["/a:/b:ro", "/c:/d"]}),
        ({"tmpfs": ["/run", "/tmp:size=1m,mode=1777"]}, {"Tmpfs": {"/run": "", "/tmp": "size=1m,mode=1777"}}),
        ({"ulimits": {"nofile": [1024, 2048]}}, {"Ulimits": [{"Name": "nofile", "Soft": 1024, "Hard": 2048}]}),
    ],
)
def test_options_in_docker_s_units(options, found):
    there = of(options=options)["HostConfig"]
    assert {name: there[name] for name in found} == found


@pytest.mark.parametrize(
    ("volume", "mode", "writable", "propagation"),
    [
        ("/a:/b", "", True, "rprivate"),
        ("/a:/b:ro", "ro", False, "rprivate"),
        ("/a:/b:ro,rslave", "ro,rslave", False, "rslave"),
        ("/a:/b:private", "private", True, "private"),
    ],
)
def test_mounts(volume, mode, writable, propagation):
    assert mount(parsed(volume)) == {
        "Type": "bind",
        "Source": "/a",
        "Destination": "/b",
        "Mode": mode,
        "RW": writable,
        "Propagation": propagation,
    }


def test_what_is_only_there_if_it_was_said():
    log = of(log={"driver": "none", "max_size": 1000, "max_file": 3})
    assert log["LogPath"] == "" and log["HostConfig"]["LogConfig"] == {"Type": "none", "Config": {"max-size": "1000", "max-file": "3"}}
    config = of(config={"exposed_ports": {"80/tcp": {}}, "stop_signal": "SIGQUIT", "stop_timeout": 0, "volumes": {"/data": {}}})["Config"]
    expected = {"ExposedPorts": {"80/tcp": {}}, "StopSignal": "SIGQUIT", "StopTimeout": 0, "Volumes": {"/data": {}}}
    assert {name: config[name] for name in expected} == expected
    assert not {"ExposedPorts", "StopSignal", "StopTimeout", "Init", "Tmpfs"} & {*of()["Config"], *of()["HostConfig"]}


def test_one_that_runs_and_one_that_ended(suitcase):
    keep(facts(1, "runs", state=living(STARTED)))
    keep(facts(2, "ended", state={"status": "exited", "exit_code": 137, "oom_killed": True, "started": STARTED, "finished": STARTED}))
    keep(facts(3, "unknown", state={"status": "exited", "exit_code": None}))
    form = "{{.State.Status}} {{.State.Running}} {{.State.Pid}} {{.State.ExitCode}} {{.State.OOMKilled}} {{.State.FinishedAt}}"
    assert suitcase(f"inspect -f '{form}' runs ended").out.splitlines() == [
        f"running true {os.getpid()} 0 false {ZERO}",
        f"exited false 0 137 true {STARTED}",
    ]
    assert suitcase("inspect -f '{{json .State.ExitCode}}' unknown").out == "null\n"


def test_several_by_name_by_id_and_an_image(suitcase, library):
    keep(facts(1, "one"))
    keep(facts(0xAB, "two"))
    image = library.find("shop:1").id
    names = f"one /two {ident(0xAB)[:12]} shop:1 {image}"
    assert [one["Id"] for one in told(suitcase, names)] == [ident(1), ident(0xAB), ident(0xAB), image, image]
    assert suitcase("inspect --format json one shop:1").out.count("\n") == 1
    assert suitcase("inspect -f {{.Name}} one two").out == "/one\n/two\n"


def test_a_container_comes_before_an_image_of_the_same_name(suitcase, library):
    library.tag("shop:1", "both")
    keep(facts(1, "both"))
    ids = {"": ident(1), "--type container": ident(1), "--type=image": library.find("shop:1").id}
    assert {words: told(suitcase, f"{words} both")[0]["Id"] for words in ids} == ids


def test_what_was_found_is_told_all_the_same(suitcase):
    keep(facts(1, "one"))
    said = suitcase("inspect nosuch one neither")
    assert (said.code, said.err) == (1, "suitcase: no such object: nosuch\nno such object: neither\n")
    assert [one["Name"] for one in json.loads(said.out)] == ["/one"]
    said = suitcase("inspect -f {{.Name}} nosuch one")
    assert (said.code, said.out, said.err) == (1, "/one\n", "suitcase: no such object: nosuch\n")
    assert suitcase("inspect nosuch").out == "[]\n" and suitcase("inspect -f {{.Id}} nosuch").out == "\n"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("--type image one", 1, "No such image: one"),
        ("--type container shop:1", 1, "No such container: shop:1"),
        ("--type volume one", 1, "get one: no such volume"),
        ("--type network one", 1, "network one not found"),
        ("--type plugin one", 1, 'unknown type: "plugin": must be one of "container", "image", "network", "volume"'),
        ("--type= one", 1, 'type is empty: must be one of "container", "image", "network", "volume"'),
        ("-f {{.Nosuch}} one", 1, "template parsing error: no field 'Nosuch' in {{.Nosuch}}; there is Id, Created, Path, Args, State, "),
        ("-f {{.State.nosuch}} one", 1, "template parsing error: no field 'nosuch' in {{.State.nosuch}}; there is Status, Running, "),
        ("-f {{.Id one", 64, "template parsing error: unclosed action in '{{.Id'"),
        ("-f '{{range .Args}}' nosuch", 64, "template parsing error: {{range .Args}}: it needs its {{end}}"),
        ("", 1, "'suitcase inspect' requires at least 1 argument"),
        ("'' ", 1, "no such object: "),
        ("../../etc", 1, "no such object: ../../etc"),
        ("-z one", 125, "unknown shorthand flag: 'z' in -z"),
    ],
)
def test_what_cannot_be_told(suitcase, words, code, said):
    keep(facts(1, "one"))
    found = suitcase(f"inspect {words}")
    assert found.code == code and found.err.startswith(f"suitcase: {said}"), found


def test_two_whose_ids_begin_alike(suitcase):
    keep(facts(0xA01, "one"))
    keep(facts(0xA02, "two"))
    assert "No such container" not in suitcase("inspect 000000000a").err and suitcase("inspect 000000000a").code == 1
    assert told(suitcase, "000000000a01")[0]["Name"] == "/one"


def test_a_damaged_file_is_no_missing_container(suitcase):
    keep(facts(1, "one"))
    (kept.place(ident(1)) / kept.NAME).write_text("{")
    said = suitcase(f"inspect {ident(1)[:12]}")
    assert said.code == 1 and "is damaged: suitcase rm -f " in said.err


def test_sizes(suitcase, library):
    library.folders(library.find("shop:1"))
    keep(facts(1, "one", chains=library.find("shop:1").chain_ids))
    (kept.place(ident(1)) / "upper").mkdir()
    (kept.place(ident(1)) / "upper/new").write_bytes(b"x" * 100)
    (one,) = told(suitcase, "-s one")
    assert (one["SizeRw"], one["SizeRootFs"]) == (100, 100)
    assert suitcase("inspect -s shop:1").err == "WARNING: --size ignored for image\n"


# -- port, version, info ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("one", 0, ""),
        ("one 80", 1, "suitcase: no public port '80' published for one\n"),
        ("one 53/UDP", 1, "suitcase: no public port '53/UDP' published for one\n"),
        ("one http", 1, "suitcase: invalid port 'http': a number up to 65535, and /tcp, /udp or /sctp\n"),
        ("one 80/icmp", 1, "suitcase: invalid port '80/icmp': a number up to 65535, and /tcp, /udp or /sctp\n"),
        ("one 65536", 1, "suitcase: invalid port '65536': "),
        ("one " + "9" * 5000, 1, "suitcase: invalid port '999"),
        ("nosuch", 1, "suitcase: No such container: nosuch\n"),
        ("", 1, "suitcase: 'suitcase port' requires at least 1 and at most 2 arguments\n"),
    ],
)
def test_port(suitcase, words, code, said):
    keep(facts(1, "one"))
    found = suitcase(f"port {words}")
    assert (found.code, found.out) == (code, "") and found.err.startswith(said) and bool(found.err) == bool(code)


def test_version(suitcase):
    said = suitcase("version").out
    assert re.match(r"Client:\n Version: +\S+\n Python", said) and "\n\nEngine:\n Version: " in said
    found = json.loads(suitcase("version --format json").out)
    assert found["Engine"]["KernelVersion"] == platform.release() and found["Client"]["Os"] == "linux"
    assert suitcase("version -f '{{.Client.Version}} {{.Engine.Version}}'").out.split() == [found["Client"]["Version"]] * 2
    assert "there is Client, Engine" in suitcase("version -f {{.Server.Version}}").err
    assert suitcase("version x").code == 1 and suitcase("version -f '{{'").code == 64


def test_info(suitcase):
    keep(facts(1, "runs", state=living(STARTED)))
    for number in (2, 3):
        keep(facts(number, state={"status": "exited"}))
    keep(facts(4))
    found = json.loads(suitcase("info -f json").out)
    assert [found[name] for name in ("Containers", "ContainersRunning", "ContainersPaused", "ContainersStopped")] == [4, 1, 0, 3]
    assert (found["Images"], found["OSType"], found["DockerRootDir"]) == (2, "linux", os.environ["SUITCASE_STORE"])
    said = suitcase("info").out
    assert "Engine:\n Containers: 4\n  Running: 1\n  Paused: 0\n  Stopped: 3\n Images: 2\n" in said
    assert re.search(r"\n Total Memory: [\d.]+[GM]iB\n", said)
    assert suitcase("info -f '{{.Containers}}/{{.NCPU}}'").out == f"4/{len(os.sched_getaffinity(0))}\n"
