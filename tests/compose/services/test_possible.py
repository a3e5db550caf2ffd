"""Values of the right form that mean nothing all the same: each is told with its place, and nothing has been made by then."""

from __future__ import annotations

import io

import pytest

from lib.compose.reading import Request, load
from lib.compose.reading.nodes import at
from lib.compose.services.possible import Impossible, check

REFUSED = {
    "mac_address: zz": "5:5: services.web.mac_address: zz is not a valid mac address",
    "networks: {default: {mac_address: zz}}": "5:26: services.web.networks.default.mac_address: zz is not a valid mac address",
    "networks: {default: {ipv4_address: 1.2.3}}": "5:26: services.web.networks.default.ipv4_address: '1.2.3' does not appear to be",
    "network_mode: foo": "5:5: services.web.network_mode: network_mode cannot be 'foo': none, host, bridge,",
    "ports: [{target: 70000}]": "5:13: services.web.ports[0]: invalid containerPort: 70000",
    "ports: ['1:1', {target: 80, published: '99999'}]": "5:20: services.web.ports[1]: invalid hostPort: 99999",
    "ports: [{target: 80, protocol: foo}]": "5:13: services.web.ports[0]: invalid proto: foo",
    "expose: [zz]": "5:5: services.web.expose: invalid range format for --expose: invalid start port 'zz'",
    "dns: [zz]": "5:11: services.web.dns[0]: 'zz' does not appear to be",
    "extra_hosts: ['a:zz']": "5:5: services.web.extra_hosts.a: 'zz' does not appear to be",
    "cpuset: x": "5:5: services.web.cpuset: Invalid value x for cpuset cpus",
    "cpuset: '9998,9999'": "5:5: services.web.cpuset: Requested CPUs are not available - requested 9998,9999, available: ",
    "cpu_shares: -4": "5:5: services.web.cpu_shares: invalid CPU shares (-4): value must be a positive integer",
    "cpu_period: 5": "5:5: services.web.cpu_period: CPU cfs period can not be less than 1ms",
    "mem_limit: 1k": "5:5: services.web.mem_limit: memory=1024 bytes: the smallest limit is 6 MiB",
    "deploy: {resources: {limits: {cpus: '-1'}}}": "5:35: services.web.deploy.resources.limits.cpus: range of CPUs is from 0.01 to",
    "deploy: {resources: {limits: {memory: 1k}}}": "5:35: services.web.deploy.resources.limits.memory: memory=1024 bytes",
    "deploy: {restart_policy: {condition: foo}}": "5:14: services.web.deploy.restart_policy: restart cannot be 'foo'",
    "restart: foo": "5:5: services.web.restart: restart cannot be 'foo': no, always,",
    "restart: 'always:3'": "5:5: services.web.restart: restart cannot be 'always:3': only on-failure has a number of tries",
    "shm_size: -5": "5:5: services.web.shm_size: invalid size: -5",
    "ulimits: {nofile: {soft: 5, hard: 2}}": "5:15: services.web.ulimits.nofile: ulimit soft limit must be less than or equal to",
    "ulimits: {foo: 5}": "5:15: services.web.ulimits.foo: invalid ulimit type: foo",
    "sysctls: {kernel.foo: 1}": "5:5: services.web.sysctls: sysctl 'kernel.foo' is not allowed",
    "stop_signal: SIGFOO": "5:5: services.web.stop_signal: no signal is called 'SIGFOO'",
    "devices: ['/dev/null:/dev/x:q']": "5:5: services.web.devices: invalid device specification: /dev/null:/dev/x:q",
    "networks: {default: {ipv4_address: 10.0.0.5}}": "5:26: services.web.networks.default.ipv4_address: user specified IP address is",
    "networks: {n: {ipv4_address: 10.8.0.5}}": "5:20: services.web.networks.n.ipv4_address: no configured subnet contains IP address 10.8",
    "networks: {n: {interface_name: a-name-of-16-chr}}": "5:20: services.web.networks.n.interface_name: a-name-of-16-chr cannot be the",
    "mem_swappiness: 101": "5:5: services.web.mem_swappiness: Invalid value: 101, valid memory swappiness range is 0-100",
    "device_cgroup_rules: ['c 1:3 r', 'c 1:3 x']": "5:38: services.web.device_cgroup_rules[1]: invalid device cgroup format 'c 1:3 x'",
    "blkio_config: {weight: 9}": "5:20: services.web.blkio_config.weight: Range of blkio weight is from 10 to 1000",
    "blkio_config: {weight_device: [{path: /dev/null, weight: 1001}]}": "5:36: services.web.blkio_config.weight_device[0]: invalid weight",
    "blkio_config: {device_read_bps: [{path: /dev/null, rate: 1m}]}": "5:38: services.web.blkio_config.device_read_bps[0]: /dev/null is no",
    "blkio_config: {device_write_iops: [{path: /dev/nosuch, rate: 1}]}": "5:40: services.web.blkio_config.device_write_iops[0]: /dev/no",
    "blkio_config: {device_write_bps: [{path: /dev/null, rate: -1}]}": "5:39: services.web.blkio_config.device_write_bps[0]: invalid rate",
    "tmpfs: ['/x:size=abc']": '5:5: services.web.tmpfs: invalid tmpfs option "size=abc": the kernel would not take that value',
    "tmpfs: ['/x:mode=9']": '5:5: services.web.tmpfs: invalid tmpfs option "mode=9"',
    "tmpfs: ['/x:uid=root']": '5:5: services.web.tmpfs: invalid tmpfs option "uid=root"',
    "network_mode: 'service:db'\n    extra_hosts: ['a:1.2.3.4']": "6:5: services.web.extra_hosts: conflicting options: custom host-to-IP",
    "network_mode: 'container:x'\n    ports: ['80']": "6:5: services.web.ports: conflicting options: port publishing and the container",
    "network_mode: 'service:db'\n    hostname: a": "6:5: services.web.hostname: conflicting options: hostname and the network mode",
    "tmpfs: [x]": "5:5: services.web.tmpfs: invalid mount path: 'x'",
    "volumes: ['/x:relative']": "5:15: services.web.volumes[0]: invalid volume specification: '/x:relative'",
    "cap_add: [FOO]": "5:5: services.web.cap_add: invalid capability",
    "security_opt: [foo]": "5:5: services.web.security_opt: --security-opt foo is not done here",
    "ipc: foo": "5:5: services.web.ipc: ipc cannot be 'foo': host is possible, and private shareable none",
    "pid: foo": "5:5: services.web.pid: pid cannot be 'foo': host is possible",
    "userns_mode: foo": "5:5: services.web.userns_mode: userns_mode can be host",
    "working_dir: relative": "5:5: services.web.working_dir: the working directory 'relative' is invalid",
    "healthcheck: {test: x, interval: -1s}": "5:5: services.web.healthcheck: Interval in Healthcheck cannot be less than 1ms",
    "logging: {driver: json-file, options: {max-size: zz}}": "5:5: services.web.logging: invalid size: 'zz'",
}
POSSIBLE = [
    "mac_address: '02-42:AC:11:65:43'",
    "networks: {n: {ipv4_address: 10.9.0.5, interface_name: a-name-of-15-ch}}",
    "tmpfs: ['/x:size=50%,mode=1777,uid=0,nr_inodes=1k,ro', /y]",
    "pids_limit: -7",
    "mem_swappiness: 0\n    oom_kill_disable: true\n    device_cgroup_rules: ['a *:* rwm']\n    blkio_config: {weight: 10}",
    "mem_limit: 64m\n    memswap_limit: 128m\n    mem_reservation: 32m",
    "cpuset: '0'",
    "network_mode: 'service:db'",
    "pid: 'service:db'",
    "ulimits: {nofile: {soft: 5, hard: -1}}",
    "extra_hosts: ['a:host-gateway']",
    "volumes: ['data:/d', /own, {type: tmpfs, target: /t}]",
    "network_mode: host\n    uts: host",
    "deploy: {resources: {limits: {memory: 64m}, reservations: {memory: 32m}}}",
    "deploy: {restart_policy: {condition: any, max_attempts: 3, delay: 5s, window: 1m}}",
]


def read(keys: str):
    text = f"name: demo\nservices:\n  web:\n    image: x\n    {keys}\n  db:\n    image: x\nvolumes: {{data: }}\n"
    text += "networks: {n: {ipam: {config: [{subnet: 10.9.0.0/24}]}}}\n"
    return load(Request(files=("-",), stdin=io.StringIO(text), cwd="/", environ={}, directory="/"))


@pytest.mark.parametrize("keys", REFUSED)
def test_what_means_nothing_is_told_with_its_place(keys):
    found = read(keys)
    with pytest.raises(Impossible) as caught:
        check(found.project, found.project.services["web"])
    assert f"{at(found.tree, caught.value.path)}: {caught.value}".startswith(f"-:{REFUSED[keys]}")


@pytest.mark.parametrize("keys", POSSIBLE)
def test_what_can_be_passes(keys):
    found = read(keys)
    check(found.project, found.project.services["web"])
