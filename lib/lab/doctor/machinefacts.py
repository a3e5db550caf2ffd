"""Facts about this machine, found out by trying and not by guessing: what it is, what is installed, what ``probe.py`` could do."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
from pathlib import Path

PROBE = Path(__file__).with_name("probe.py")
LIMIT = 15  # seconds for all experiments together; they take far less than one
FIRST_PID_NAMESPACE = 0xEFFFFFFC  # PROC_PID_INIT_INO in the kernel's include/linux/proc_ns.h
SYS_ADMIN = 1 << 21  # capabilities(7): the one that mounts and namespaces need
PEERS = ("runc", "crun", "podman", "buildah", "skopeo", "umoci", "docker-registry", "bwrap", "docker")
SBIN = "/usr/sbin:/sbin"
SYSCTLS = ("kernel/apparmor_restrict_unprivileged_userns", "kernel/unprivileged_userns_clone", "user/max_user_namespaces")


def probe(peers: bool = False) -> dict:
    """Facts about this machine. Changes nothing and leaves nothing."""
    from lib import state

    facts = {
        "system": platform.system(), "release": platform.release(), "arch": platform.machine(), "name": os_name(),
        "inside": inside(), "python": list(sys.version_info[:3]), "uid": os.geteuid() if hasattr(os, "geteuid") else -1,
        "capable": has_capability(), "store": str(state.store()), "store_fs": "", "sysctl": {}, "tried": {},
        "programs": {}, "docker_daemon": "",
    }  # fmt: skip
    if facts["system"] != "Linux":
        return facts
    from lib.advice import filesystem_of

    facts["store_fs"] = filesystem_of(facts["store"]) or ""
    facts["sysctl"] = {name: text for name in SYSCTLS if (text := read(f"/proc/sys/{name}")) is not None}
    facts["tried"] = experiments(facts["store"])
    facts["programs"] = {name: find(name) for name in ("busybox", "nft", "mmdebstrap", "ip", *PEERS)}
    facts["busybox_runs"] = runs("busybox", "true")
    if peers:
        facts["docker_daemon"] = ping_docker()
        facts |= {} if "SUITCASE_GUEST" in os.environ else {"lab": lab_vm()}
    return facts


def lab_vm() -> dict:
    """Which back end boots the lab VM here, tried by booting it, or why none does. Fetches nothing."""
    from lib.lab.vm import backends

    name, why = backends.pick(fetch=False)
    return {"backend": backends.BACKENDS[name].title() if name else "", "why": why}


def find(name: str) -> str:
    """Where a program is, or "". Also where Debian keeps root's programs: an ordinary user's PATH has not got those (nft, say)."""
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:{SBIN}") or ""


def read(path: str) -> str | None:
    with contextlib.suppress(OSError):
        return Path(path).read_text(errors="replace").strip()
    return None


def experiments(store: str) -> dict:
    """What ``probe.py`` found; an error of the whole script stands under ``error``."""
    from lib.process import completed  # it needs Linux; this module is for finding out

    try:
        done = completed([sys.executable, "-I", "-S", str(PROBE), store], timeout=LIMIT)
        return json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return {"error": f"the experiments had not ended after {LIMIT} seconds"}
    except ValueError:
        return {"error": (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]}


def runs(*command: str) -> bool:
    from lib.process import completed

    try:
        return completed(command, timeout=5).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def has_capability() -> bool:
    """CAP_SYS_ADMIN: root in somebody's container often lacks it."""
    for line in (read("/proc/self/status") or "").splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) & SYS_ADMIN)
    return False


def os_name() -> str:
    for line in (read("/etc/os-release") or "").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.split("=", 1)[1].strip('"').split(" (")[0].replace("GNU/Linux ", "")
    return platform.system()


def inside() -> str:
    """The lab VM, a virtual machine, WSL2 or a container; "" if nothing tells."""
    if "SUITCASE_GUEST" in os.environ:
        return f"the lab VM ({os.environ['SUITCASE_GUEST']})"
    if "microsoft" in platform.release().lower():
        return "WSL2"
    with contextlib.suppress(OSError):
        if os.stat("/proc/self/ns/pid").st_ino != FIRST_PID_NAMESPACE:
            return "a container"
    flags = next((line for line in (read("/proc/cpuinfo") or "").splitlines() if line.startswith(("flags", "Features"))), "")
    return "a virtual machine" if " hypervisor" in flags else ""


def ping_docker() -> str:
    """Docker's answer to GET /_ping, or "" when no daemon answers."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as line:
        line.settimeout(1)
        line.connect("/var/run/docker.sock")
        line.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
        return "OK" if b"200" in line.recv(200).split(b"\r\n")[0] else ""
    return ""
