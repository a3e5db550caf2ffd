"""From a service to the facts of a container: the same that ``run`` writes down for the flags that mean the same."""

from __future__ import annotations

import io
import json
import textwrap

import click
import pytest
from helpers import layers as make
from helpers.layers import member
from helpers.runs import run

from lib.cli.containers.wished import wished
from lib.cli.flags.reading import in_full
from lib.compose.model import Project, Volume
from lib.compose.reading import Request, load
from lib.compose.services import Wanted, as_run, naming
from lib.compose.services import facts as facts_of

CONFIG = {
    "Entrypoint": ["/entry", "point"], "Cmd": ["from", "image"], "Env": ["PATH=/bin", "A=image", "E="], "User": "web", "WorkingDir": "/srv",
    "Labels": {"of": "image"}, "StopSignal": "SIGQUIT", "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/data": {}},
}  # fmt: skip
KEYS = {
    "nothing": "",
    "command": "command: [a, 'b c']",
    "an empty command": "command: []",
    "entrypoint": "entrypoint: [sh, -c]\ncommand: [x]",
    "entrypoint alone": "entrypoint: /run me",
    "environment": "environment: {B: '1', C: 'a b'}",
    "environment over the image's": "environment: [A=mine]",
    "working_dir": "working_dir: /w",
    "user": "user: '1000:1000'",
    "group_add": "group_add: [audio, '5']",
    "hostname": "hostname: h\ndomainname: d",
    "labels": "labels: {x: y, of: me}",
    "annotations": "annotations: {x: y}",
    "expose": "expose: ['81', 82-83/udp]",
    "ports": "ports: ['8080:80', '127.0.0.1:8081:81/udp', '82', '8090-8091:90-91', '[::1]:8083:83', '9000-9010:99']",
    "stop": "stop_signal: SIGINT\nstop_grace_period: 1m30s",
    "a fraction of a second is none less": "stop_grace_period: 500ms",
    "init": "init: true",
    "terminal": "tty: true\nstdin_open: true",
    "read_only": "read_only: true\ntmpfs: [/run, '/tmp:size=1m']",
    "capabilities": "cap_add: [NET_ADMIN]\ncap_drop: [ALL]",
    "privileged": "privileged: true",
    "security_opt": "security_opt: ['no-new-privileges:true', seccomp:unconfined]",
    "limits": "mem_limit: 64m\nmemswap_limit: 128m\nmem_reservation: 32m\ncpus: 0.5\ncpu_shares: 100\ncpuset: '0'\npids_limit: 30",
    "memory under pressure": "mem_swappiness: 0\noom_kill_disable: true",
    "disks": (
        "blkio_config: {weight: 300, weight_device: [{path: /dev/a, weight: 20}], device_read_bps: [{path: /dev/a, rate: 1mb}], "
        "device_read_iops: [{path: /dev/a, rate: 0}, {path: /dev/b, rate: 3}], device_write_bps: [{path: /dev/a, rate: 1k}], "
        "device_write_iops: [{path: /dev/a, rate: '5'}]}"
    ),
    "device_cgroup_rules": "device_cgroup_rules: ['c 10:229 rwm', 'a *:1 r']",
    "periods": "cpu_period: 50000\ncpu_quota: 25000",
    "deploy's limits": "deploy: {resources: {limits: {cpus: '0.25', memory: 32m, pids: 9}, reservations: {memory: 16m}}}",
    "shm_size": "shm_size: 1m",
    "sysctls": "sysctls: {net.core.somaxconn: 99}",
    "ulimits": "ulimits: {nofile: {soft: 10, hard: 20}, core: 0}",
    "oom_score_adj": "oom_score_adj: 100",
    "devices": "devices: ['/dev/fuse', '/dev/null:/dev/nothing:r']",
    "restart": "restart: on-failure:3",
    "restart always": "restart: always",
    "restart in quotes": "restart: 'no'",
    "deploy's restart": "deploy: {restart_policy: {condition: on-failure, max_attempts: 4}}",
    "logging": "logging: {driver: local, options: {max-size: 1m, max-file: '3'}}",
    "healthcheck": "healthcheck: {test: 'curl x', interval: 1s, timeout: 2s, retries: 4, start_period: 3s, start_interval: 5s}",
    "no healthcheck": "healthcheck: {disable: true}",
    "namespaces": "ipc: host\nuts: host\npid: host\ncgroup: host",
    "network none": "network_mode: none",
    "network host": "network_mode: host",
    "network bridge": "network_mode: bridge",
    "networks": (
        "networks: {front: {aliases: [www], ipv4_address: 172.30.0.5, priority: 5}, "
        "default: {gw_priority: 1, mac_address: '02:42:ac:11:65:43'}}"
    ),
    "an interface": "networks: {front: {interface_name: web0}}",
    "mac_address": "mac_address: '02:42:ac:11:65:43'",
    "dns": "dns: [1.1.1.1, '2606:4700:0::1111']\ndns_search: [x.test]\ndns_opt: ['ndots:2']",
    "extra_hosts": "extra_hosts: ['me:host-gateway', 'other=10.0.0.1', 'six:[::1]']",
    "volumes": "volumes: ['/etc:/e:ro', 'named:/n', '/anonymous', {type: volume, source: named, target: /m, volume: {nocopy: true}}]",
    "mounts": (
        "volumes: [{type: bind, source: /etc, target: /e, bind: {create_host_path: false, propagation: rslave}}, "
        "{type: tmpfs, target: /t, tmpfs: {size: 1m, mode: 0700}}, {type: volume, source: named, target: /s, volume: {subpath: x}}, "
        "{type: image, source: 'bare:1', target: /i, image: {subpath: etc}}]"
    ),
    "secrets": "secrets: [file]\nconfigs: [{source: file, target: /etc/file}]",
}  # fmt: skip


@pytest.fixture
def images(tmp_path):
    library = make.library(tmp_path / "images")
    make.image(library, make.tar(member("x")), name="bare:1", config={})
    return make.image(library, make.tar(member("x")), name="shop:1", config=CONFIG)


def read(keys: str, tmp_path) -> Project:
    """A project whose service ``web`` has these keys."""
    (tmp_path / "file").write_text("x")
    text = "name: demo\nservices:\n  web:\n    image: shop:1\n" + textwrap.indent(keys, "    ")
    text += "\nnetworks: {front: {}}\nvolumes: {named: {}}\nsecrets: {file: {file: ./file}}\nconfigs: {file: {file: ./file}}\n"
    return load(Request(files=("-",), stdin=io.StringIO(text), cwd=str(tmp_path), environ={}, directory=str(tmp_path))).project


def of_run(words: list[str], image) -> dict:
    context = click.Context(run, info_name="run", **run.context_settings)
    return wished(run.main(in_full(context, words[1:]), prog_name="run", standalone_mode=False), image)


@pytest.mark.parametrize("name", KEYS)
def test_a_service_is_what_run_says_in_its_words(name, images, tmp_path):
    wanted = read(KEYS[name], tmp_path)
    service = wanted.services["web"]
    ours = facts_of(Wanted(wanted, service), images)
    theirs = of_run(as_run(wanted, service), images)
    assert ours == json.loads(json.dumps(ours)), "as it comes back from its file"
    del ours["compose"]
    labels = ours["config"]["labels"]
    ours["config"]["labels"] = {key: value for key, value in labels.items() if not key.startswith("com.docker.compose.")}
    assert labels["com.docker.compose.service"] == "web"
    if service.entrypoint:  # ``--entrypoint`` takes one word
        for one in (ours, theirs):
            one["config"] |= {"entrypoint": None, "cmd": None}
    assert ours == theirs


@pytest.mark.parametrize(("grant", "name"), [("uid: root", "uid"), ("uid: '-5'", "uid"), ("gid: '4294967295'", "gid")])
def test_the_owner_of_a_copied_file_is_a_number(grant, name, images, tmp_path):
    wanted = read(f"secrets: [{{source: file, {grant}}}]", tmp_path)
    with pytest.raises(ValueError, match=f"{name} of file must be a number, not"):
        facts_of(Wanted(wanted, wanted.services["web"]), images)


def test_no_label_of_a_file_makes_something_another_projects(images, tmp_path):
    label = f"{naming.LABEL}.project"
    wanted = read(f"labels: {{{label}: other}}", tmp_path)
    facts = facts_of(Wanted(wanted, wanted.services["web"]), images)
    assert facts["config"]["labels"][label] == facts["compose"]["project"] == "demo"
    assert naming.labels_of(wanted, "volume", "v", Volume(name="v", labels={label: "other"}))[label] == "demo"
