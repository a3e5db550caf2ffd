"""Each key that is done, and its effect: read by the running process, or in what the kernel tells of it. Ignored, the test fails."""

from __future__ import annotations

import io
import os
import textwrap

import pytest
from helpers.lives import BUSYBOX, log
from helpers.needs import requires
from helpers.waiting import wait_for

from lib import linux
from lib.compose.reading import Request, load
from lib.compose.services.possible import Impossible
from lib.engine import usage

pytestmark = requires("root", "overlay", "busybox")

# key → what the service says, the line that the container runs, and what that prints
KEYS = {
    "command": ("command: [echo, said]", "", "said"),
    "entrypoint": ("entrypoint: [echo, from, entrypoint]", "", "from entrypoint"),
    "environment": ("environment: {A: one, B: 'two words'}", "echo $A $B", "one two words"),
    "working_dir": ("working_dir: /made/here", "pwd", "/made/here"),
    "user": ("user: '12:34'", "id -u; id -g", "12 34"),
    "group_add": ("user: '12:34'\ngroup_add: ['56']", "id -G", "34 56"),
    "hostname": ("hostname: me", "hostname", "me"),
    "domainname": ("hostname: me\ndomainname: d.test", "cat /proc/sys/kernel/domainname; hostname -f", "d.test me.d.test"),
    "read_only": ("read_only: true", "touch /x 2>&1", "touch: /x: Read-only file system"),
    "tmpfs": ("tmpfs: ['/t:size=1m']", "df -k /t | tail -1 | tr -s ' ' | cut -d' ' -f1,2", "tmpfs 1024"),
    "init": ("init: true", "tr '\\0' '\\n' < /proc/1/cmdline | head -1 | grep -c sh", "0"),
    "cap_add": ("cap_add: [NET_ADMIN]", "grep CapEff /proc/self/status | cut -f2", "00000000a80435fb"),
    "cap_drop": ("cap_drop: [ALL]", "grep CapEff /proc/self/status | cut -f2", "0000000000000000"),
    "privileged": ("privileged: true", "test -e /dev/kmsg && echo yes", "yes"),
    "security_opt": ("security_opt: ['no-new-privileges:true']", "grep NoNewPrivs /proc/self/status | cut -f2", "1"),
    "ulimits": ("ulimits: {nofile: {soft: 10, hard: 20}}", "ulimit -n; ulimit -Hn", "10 20"),
    "sysctls": ("sysctls: {net.core.somaxconn: '99'}", "cat /proc/sys/net/core/somaxconn", "99"),
    "shm_size": ("shm_size: 1m", "df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2", "1024"),
    "oom_score_adj": ("oom_score_adj: 321", "cat /proc/self/oom_score_adj", "321"),
    "devices": ("devices: ['/dev/null:/dev/nothing']", "ls -l /dev/nothing | cut -c1", "c"),
    "dns": ("network_mode: bridge\ndns: [10.9.8.7]", "grep nameserver /etc/resolv.conf", "nameserver 10.9.8.7"),
    "dns_search": ("network_mode: bridge\ndns_search: [x.test]", "grep search /etc/resolv.conf", "search x.test"),
    "dns_opt": ("network_mode: bridge\ndns_opt: ['ndots:7']", "grep -o ndots:7 /etc/resolv.conf", "ndots:7"),
    "extra_hosts": ("extra_hosts: ['other:10.9.8.7']", "grep other /etc/hosts | tr '\\t' ' '", "10.9.8.7 other"),
    "network_mode none": ("network_mode: none", "ls /sys/class/net", "lo"),
    "mac_address": ("mac_address: '02:42:ac:11:65:43'", "cat /sys/class/net/eth0/address", "02:42:ac:11:65:43"),
    "networks": ("networks: {front: {ipv4_address: 172.30.250.5}}", "hostname -i", "172.30.250.5"),
    "interface_name": ("networks: {front: {interface_name: web0}}", "ls /sys/class/net | tail -1", "web0"),
    "aliases": ("networks: {front: {aliases: [other]}}", "nslookup other 2>&1 | grep -c other", "1"),
    "bind": ("volumes: ['./given:/given:ro']", "cat /given/file; touch /given/x 2>&1", "x touch: /given/x: Read-only file system"),
    "volume": ("volumes: ['named:/named']",
        "grep -o 'demo_named/data /named' /proc/self/mountinfo", "demo_named/data /named",
    ),
    "tmpfs mount": ("volumes: [{type: tmpfs, target: /t, tmpfs: {size: 1m, mode: 0700}}]", "stat -c %a /t", "700"),
    "image mount": (f"volumes: [{{type: image, source: '{BUSYBOX}', target: /i}}]", "ls -d /i/bin", "/i/bin"),
    "secret of a file": ("secrets: [file]", "cat /run/secrets/file", "x"),
    "secret of a variable": (
        "secrets: [{source: variable, uid: '12', gid: '34', mode: 0440}]",
        "cd /run/secrets; cat variable; stat -c ' %a %u:%g' variable",
        "hidden 440 12:34",
    ),
    "secret of a file with an owner": (
        "secrets: [{source: file, target: mine, uid: '12', mode: 0400}]", "stat -c '%a %u' /run/secrets/mine", "400 12",
    ),
    "config of the file": ("configs: [{source: content, target: /etc/it}]", "cat /etc/it", "written here"),
    "config": ("configs: [content]", "cat /content", "written here"),
    "ipc": ("ipc: host", "readlink /proc/self/ns/ipc", os.readlink("/proc/self/ns/ipc")),
    "uts": ("uts: host", "readlink /proc/self/ns/uts", os.readlink("/proc/self/ns/uts")),
    "pid": ("pid: host", "readlink /proc/self/ns/pid", os.readlink("/proc/self/ns/pid")),
    "cgroup": ("cgroup: host", "readlink /proc/self/ns/cgroup", os.readlink("/proc/self/ns/cgroup")),
    "tty": ("tty: true", "test -t 1 && echo terminal", "terminal"),
    "stdin_open": ("stdin_open: true\ntty: true", "test -t 0 && echo there", "there"),
    "container_name": ("container_name: mine", "hostname -i | wc -w", "1"),
}  # fmt: skip
REST = """
networks: {front: {ipam: {config: [{subnet: 172.30.250.0/24}]}}}
volumes: {named: {}}
secrets: {file: {file: ./given/file}, variable: {environment: SECRET}}
configs: {content: {content: written here}}
"""


def project_of(keys: str, folder, more: str = ""):
    """A project whose service ``web`` has these keys."""
    (folder / "given").mkdir(exist_ok=True)
    (folder / "given/file").write_text("x\n")
    text = f"name: demo\nservices:\n{textwrap.indent(more, '  ')}\n  web:\n    image: {BUSYBOX}\n    stop_grace_period: 0s\n"
    text += textwrap.indent(keys, "    ") + REST
    environ = {"SECRET": "hidden"}
    return load(Request(files=("-",), stdin=io.StringIO(text), cwd=str(folder), environ=environ, directory=str(folder))).project


def printed(bench, name: str = "demo-web-1") -> str:
    """What it has printed when it has ended, in one line."""
    wait_for(lambda: bench.facts(name)["state"]["status"] == "exited")
    return " ".join(log(bench.facts(name)).decode().split())


@pytest.mark.parametrize("name", KEYS)
def test_the_process_sees_it(bench, tmp_path, name):
    keys, line, expected = KEYS[name]
    words = "" if not line else f"\ncommand: [sh, -c, {line.replace('$', '$$')!r}]" if '"' not in line else ""
    bench.do(project_of(keys + words, tmp_path))
    assert printed(bench, "mine" if name == "container_name" else "demo-web-1") == expected


@pytest.mark.parametrize("name", [name for name, (_, line, _) in KEYS.items() if line and name != "container_name"])
def test_without_the_key_it_would_not(bench, tmp_path, name):
    """Else the test before this one says nothing."""
    _, line, expected = KEYS[name]
    bench.do(project_of(f"command: [sh, -c, {line.replace('$', '$$')!r}]", tmp_path))
    assert printed(bench) != expected


LIMITS = {
    "mem_limit": ("mem_limit: 64m", "memory.max", str(64 << 20)),
    "memory of deploy": ("deploy: {resources: {limits: {memory: 32m}}}", "memory.max", str(32 << 20)),
    "cpus": ("cpus: 0.5", "cpu.max", "50000 100000"),
    "cpu_quota": ("cpu_period: 50000\ncpu_quota: 20000", "cpu.max", "20000 50000"),
    "pids_limit": ("pids_limit: 33", "pids.max", "33"),
    "cpuset": ("cpuset: '0'", "cpuset.cpus", "0"),
}


@pytest.mark.parametrize("name", LIMITS)
def test_the_kernel_holds_it_to_that(bench, tmp_path, name):
    keys, word, expected = LIMITS[name]
    bench.do(project_of(f"{keys}\ncommand: [sleep, '1000']", tmp_path))
    assert usage.group_of(bench.facts("demo-web-1")).read(word) == expected


def test_what_the_engine_is_told(bench, tmp_path):
    keys = "restart: unless-stopped\nlogging: {options: {max-size: 1m}}\nstop_signal: INT\nlabels: {a: b}\nannotations: {c: d}"
    bench.do(project_of(keys + "\nexpose: ['81']\ncommand: [sleep, '1000']", tmp_path))
    facts = bench.facts("demo-web-1")
    assert facts["restart"]["name"] == "unless-stopped" and facts["log"]["max_size"] == 10**6 and facts["annotations"] == {"c": "d"}
    config = facts["config"]
    assert config["stop_signal"] == "INT" and config["labels"]["a"] == "b" and "81/tcp" in config["exposed_ports"]


@pytest.mark.parametrize(("key", "namespace"), [("ipc", "ipc"), ("pid", "pid"), ("network_mode", "net")])
def test_it_lives_in_a_namespace_of_another_service(bench, tmp_path, key, namespace):
    other = f"db:\n  image: {BUSYBOX}\n  ipc: shareable\n  stop_grace_period: 0s\n  command: [sleep, '1000']"
    hook = "post_start: [{command: [sh, -c, 'echo me > /dev/shm/x']}]"
    bench.do(project_of(f"{key}: service:db\ncommand: [sleep, '1000']\n{hook}", tmp_path, other))
    pids = [bench.facts(name)["state"]["pid"] for name in ("demo-db-1", "demo-web-1")]
    kinds = ("ipc", "pid", "net")
    same = [kind for kind in kinds if len({os.readlink(f"/proc/{pid}/ns/{kind}") for pid in pids}) == 1]
    assert same == [namespace]
    shared = [linux.read(f"/proc/{pid}/root/dev/shm/x") for pid in pids if os.path.exists(f"/proc/{pid}/root/dev/shm/x")]
    assert shared == (["me\n"] * 2 if key == "ipc" else ["me\n"]), "who shares the namespace shares the memory, too"


@pytest.mark.parametrize("word", ["volumes_from: [db]", "volumes_from: ['db:ro']"])
def test_it_has_the_volumes_of_another_service(bench, tmp_path, word):
    other = f"db:\n  image: {BUSYBOX}\n  stop_grace_period: 0s\n  command: [sleep, '1000']\n  volumes: ['named:/data']"
    bench.do(project_of(f"{word}\ncommand: [sh, -c, 'touch /data/x 2>&1; ls /data']", tmp_path, other))
    assert printed(bench) == ("touch: /data/x: Read-only file system" if word.endswith("ro']") else "x")


def test_hooks_too_get_no_new_privileges(bench, tmp_path):
    hook = "[sh, -c, 'grep NoNewPrivs /proc/self/status > /it']"
    keys = f"security_opt: ['no-new-privileges:true']\npost_start: [{{command: {hook}}}]\ncommand: [sleep, '1000']"
    bench.do(project_of(keys, tmp_path))
    with open(f"/proc/{bench.facts('demo-web-1')['state']['pid']}/root/it") as file:
        assert file.read().split() == ["NoNewPrivs:", "1"]


def test_what_is_not_done_of_security_opt_is_refused(bench, tmp_path):
    with pytest.raises(Impossible, match=r"--security-opt seccomp:profile\.json is not done here"):
        bench.do(project_of("security_opt: ['seccomp:profile.json']", tmp_path))
