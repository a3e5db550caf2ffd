"""What machine is this, and what can it do? Found out by trying, not by guessing (``python -m lib.lab``).

``probe`` gathers facts, ``judge`` turns facts into rows (pure, so that every lack can be tested on any machine), ``missing_for`` picks what
a chapter cannot go without, ``opening`` says it in one line, as each chapter's first cell prints it.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

PROBE = Path(__file__).with_name("probe.py")
LIMIT = 15  # seconds for all experiments together; they take far less than one
OLDEST = (3, 11)
FIRST_PID_NAMESPACE = 0xEFFFFFFC  # PROC_PID_INIT_INO in the kernel's include/linux/proc_ns.h
SYS_ADMIN = 1 << 21  # capabilities(7): the one that mounts and namespaces need

# What a chapter cannot go without, by the name of a row.
BASIC = ("linux", "python", "root", "namespaces")
NEEDS = {
    "01": (*BASIC, "overlay", "cgroup", "busybox"),
    "02": (*BASIC, "overlay", "cgroup", "busybox"),
    "03": (*BASIC, "overlay", "busybox", "docker-registry"),
    "04": (*BASIC, "overlay", "busybox", "nft"),
    "05": (*BASIC, "overlay", "cgroup", "busybox", "nft"),
    "06": (*BASIC, "overlay", "cgroup", "busybox"),
    "07": (*BASIC, "overlay", "cgroup", "busybox", "nft"),
}
IN_LAB = ("01", "02", "03")  # the chapters that run whole in the lab VM
COMPARES = ("01",)  # of these, not where the lab VM's processor is emulated: what compares times finds other ones there
PREPARED = {"01": ("nodejs", "python3", "nginx-light")}  # root file systems that a chapter wants; they are made outside, as root
LAB_HAS = {"root", "namespaces", "overlay", "cgroup", "experiments"}  # what the lab VM does not take from this machine
PEERS = ("runc", "crun", "podman", "buildah", "skopeo", "umoci", "docker-registry", "bwrap", "docker")
CONTROLLERS = {"memory", "cpu", "pids"}
SBIN = "/usr/sbin:/sbin"
# Where a machine may be (``inside``), and whose kernel its containers share then.
WHERE = {
    "": "this very machine",
    "a virtual machine": "the virtual machine: the house around them has a price, too",
    "WSL2": "the virtual machine that Windows runs for WSL2 (Docker Desktop uses it)",
    "a container": "whoever runs that container, and it cannot be told from inside who else shares it",
}
OTHER_MACHINE = "take a Linux with root: a virtual machine will do (README.md, 'Other systems')"


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    found: str
    ok: bool
    cost: str = ""  # what the reader loses if it is missing
    cure: str = ""  # what to do
    needed: bool = True  # False: nice to have

    @property
    def message(self) -> str:
        """What is missing, what that costs, what to do."""
        return f"{self.name}: {self.found}. {self.cost}. What to do: {self.cure}."


# -- probing -------------------------------------------------------------------------------------


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


SYSCTLS = ("kernel/apparmor_restrict_unprivileged_userns", "kernel/unprivileged_userns_clone", "user/max_user_namespaces")


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


# -- judging ---------------------------------------------------------------------------------------


def judge(facts: dict) -> list[Row]:
    """The table. Off Linux only its first two lines make sense."""
    rows = [linux_row(facts), python_row(facts)]
    if not rows[0].ok:
        return rows
    tried = facts["tried"]
    if "error" in tried:
        return [*rows, Row("experiments", tried["error"], False, "Nothing is known about this machine", "run python -m lib.lab as root")]
    rows += [root_row(facts), namespaces_row(tried["namespaces"]), overlay_row(facts), cgroup_row(tried["cgroup"])]
    rows += [busybox_row(facts), nft_row(facts), userns_row(facts)]
    rows += [lab_row(facts["lab"])] if "lab" in facts else []
    return rows + program_rows(facts["programs"], facts["docker_daemon"])


def linux_row(facts: dict) -> Row:
    where = f", in {facts['inside']}" if facts["inside"] else ""
    found = f"{facts['system']} {facts['release']} ({facts['arch']}{where})"
    cost = "Containers are made by the Linux kernel: no cell that makes one can run here"
    return Row("linux", found, facts["system"] == "Linux", cost, OTHER_MACHINE)


def python_row(facts: dict) -> Row:
    version = tuple(facts["python"])
    return Row(
        "python", ".".join(map(str, version)), version >= OLDEST, "Nothing of the project runs with a Python before 3.11",
        "install a newer one (Debian 12 and Ubuntu 24.04 have it) and name it: make tutorial PYTHON=/usr/bin/python3.12",
    )  # fmt: skip


def root_row(facts: dict) -> Row:
    cost = "Limits (cgroups), device nodes and the host's network need root, so no chapter runs whole; single cells may"
    if facts["uid"] != 0:
        cure = "sudo make tutorial (no sudo? su - makes you root), best in a virtual machine of your own"
        return Row("root", f"no, uid {facts['uid']}", False, cost, cure)
    if not facts["capable"]:
        found = "root without the rights of root (CAP_SYS_ADMIN is missing: this is somebody's container)"
        return Row("root", found, False, cost, f"docker run --privileged, or {OTHER_MACHINE}")
    return Row("root", "yes", True)


def namespaces_row(tried: dict) -> Row:
    bad = {kind: error for kind, error in tried.items() if error}
    if not bad:
        return Row("namespaces", " ".join(tried), True)
    first = next(iter(bad.values()))
    cost = f"A container without its own {', '.join(bad)} is none"
    return Row("namespaces", f"not to be had: {', '.join(bad)} ({first})", False, cost, f"run as root; if you are root, {OTHER_MACHINE}")


def overlay_row(facts: dict) -> Row:
    error = facts["tried"]["overlay"]
    where = f"{facts['store']} on {facts['store_fs'] or 'an unknown file system'}"
    if not error:
        return Row("overlay", f"works in {where}", True)
    cost = "Containers cannot share an image's files: no layers, no container on an image"
    if "No such device" in error:
        cure = f"modprobe overlay as root; if that fails, {OTHER_MACHINE}"
        return Row("overlay", "this kernel has no overlay file system", False, cost, cure)
    if "chroot" in error:
        cure = f"enter it with pivot_root instead of chroot, or {OTHER_MACHINE}"
        return Row("overlay", error, False, cost, cure)
    if "Permission denied" in error and facts["uid"] != 0:
        found = f"not for uid {facts['uid']} in {where} ({error})"
        return Row("overlay", found, False, cost, "run as root, or set SUITCASE_STORE to a folder of yours")
    place = "ext4, xfs, btrfs or tmpfs (a shared folder of a virtual machine will not do)"
    cure = f"put the store on {place}: export SUITCASE_STORE=/folder/there"
    return Row("overlay", f"does not work in {where} ({error})", False, cost, cure)


def cgroup_row(tried: dict) -> Row:
    cost = "No limits for memory, cpu and processes, so nothing is measured or killed by them"
    if not tried["version"]:
        return Row("cgroup", "no cgroup file system is mounted", False, cost, "as root: mount -t cgroup2 none /sys/fs/cgroup")
    kind = f"v{tried['version']}"
    if lacking := CONTROLLERS - set(tried["controllers"]):
        found = f"{kind} without {', '.join(sorted(lacking))}"
        return Row("cgroup", found, False, cost, "boot with cgroup_enable=memory (some ARM boards switch it off), or " + OTHER_MACHINE)
    if tried["error"]:
        found = f"{kind}, but no group of our own can be made ({tried['error']})"
        return Row("cgroup", found, False, cost, "run as root, outside of a container")
    return Row("cgroup", f"{kind} with {' '.join(tried['controllers'])}", True)


def busybox_row(facts: dict) -> Row:
    path = facts["programs"].get("busybox", "")
    cost = "The chapters' small root file system is made of it"
    if path and not facts.get("busybox_runs", True):
        return Row("busybox", f"{path} does not run", False, cost, "sudo apt-get install --reinstall busybox-static")
    return Row("busybox", path or "not installed", bool(path), cost, "sudo apt-get install busybox-static (make setup does it)")


def nft_row(facts: dict) -> Row:
    cost, error = "Containers get no network but their own loopback (chapters 4, 5 and 7)", facts["tried"]["nft"]
    if not facts["programs"].get("nft"):
        return Row("nft", "not installed", False, cost, "sudo apt-get install nftables (make setup does it)")
    if error:
        cure = "modprobe nf_tables as root; if you are not root, become it; else " + OTHER_MACHINE
        return Row("nft", f"the kernel refused a table ({error})", False, cost, cure)
    return Row("nft", facts["programs"]["nft"], True)


def userns_row(facts: dict) -> Row:
    """User namespaces for ordinary users, with the switch that is off, if one is."""
    error, sysctl = facts["tried"]["userns"], facts["sysctl"]
    if not error:
        return Row("user namespaces", "for everybody", True, needed=False)
    cost = "Containers without root cannot be shown; with root everything else runs"
    switches = {
        "kernel/apparmor_restrict_unprivileged_userns": ("1", "0", "Ubuntu's AppArmor rule takes their rights away"),
        "kernel/unprivileged_userns_clone": ("0", "1", "Debian's switch is off"),
        "user/max_user_namespaces": ("0", "15000", "the number allowed is 0"),
    }
    for name, (bad, good, words) in switches.items():
        if sysctl.get(name) == bad:
            cure = f"sudo sysctl {name.replace('/', '.')}={good} (until the next boot), or run as root"
            return Row("user namespaces", f"only for root: {words}", False, cost, cure, needed=False)
    return Row("user namespaces", f"only for root ({error})", False, cost, "run as root, outside of a container", needed=False)


def lab_row(lab: dict) -> Row:
    if lab["backend"]:
        return Row("lab VM", f"boots, by {lab['backend']}", True, needed=False)
    cost = "No kernel of one's own with root and cgroup v2 (Python (lab VM) in JupyterLab)"
    cure = "sudo apt-get install user-mode-linux kmod (x86-64; on other processors qemu-system-arm), then python -m lib.lab install"
    return Row("lab VM", f"none here ({lab['why']})", False, cost, cure, needed=False)


def program_rows(programs: dict, daemon: str) -> list[Row]:
    """Programs that the chapters compare with, or need for one section; without a registry chapter 3 has nowhere to push to."""
    costs = {
        "mmdebstrap": "A real Debian as a root file system is left out",
        "ip": "Networks by hand are left out",
        "docker-registry": "No registry of one's own, to push images to and to pull them from",
    }
    rows, needed = [], {name for wanted in NEEDS.values() for name in wanted}
    for name, path in programs.items():
        if name in ("busybox", "nft"):
            continue
        package = {"bwrap": "bubblewrap", "docker": "docker.io", "ip": "iproute2"}.get(name, name)
        cost = costs.get(name, "The comparison with it is left out")
        found = path or "not installed"
        if name == "docker" and path:
            found += ", the daemon answers" if daemon else ", no daemon answers"
        rows.append(Row(name, found, bool(path), cost, f"sudo apt-get install {package}", needed=name in needed))
    return rows


# -- asking -------------------------------------------------------------------------------------------


def look(facts: dict | None = None) -> list[Row]:
    """The rows for this machine, or for facts that are given."""
    return judge(facts or cached_facts())


@cache
def cached_facts() -> dict:
    return probe()


def missing_for(chapter: str, rows: list[Row]) -> list[str]:
    """One message for each thing that the chapter cannot go without and that is missing. A lack that explains the others comes alone."""
    wanted = NEEDS.get(chapter, BASIC)
    bad = [row for row in rows if not row.ok and row.needed and (row.name in wanted or row.name == "experiments")]
    decisive = [row for row in bad if row.name in ("linux", "python", "root")]
    return [row.message for row in decisive[:1] or bad]


def opening(chapter: str, facts: dict | None = None) -> str:
    """The one line of a chapter's first cell: what machine this is, and whether the chapter runs whole on it."""
    facts = facts or cached_facts()
    where = f", in {facts['inside']}" if facts["inside"] else ""
    who = "root" if facts["uid"] == 0 else f"uid {facts['uid']}, not root"
    version = facts["tried"].get("cgroup", {}).get("version")
    groups = f", cgroup v{version}" if version else ""
    machine = f"{facts['name']}, {facts['system']} {facts['release']} on {facts['arch']}{where}, {who}{groups}"
    rows = judge(facts)
    messages = missing_for(chapter, rows)
    if facts["inside"].startswith("the lab VM") and chapter not in runs_in(facts["inside"]):
        messages.append(f"The lab VM lacks a part of what it needs: {OTHER_MACHINE}.")
    if messages:
        return f"{machine}. Chapter {int(chapter)} does not run whole here. {other_kernel(chapter, facts, rows) or messages[0]}"
    return f"{machine}. Chapter {int(chapter)} runs whole here."


def runs_in(lab: str) -> tuple[str, ...]:
    """The chapters that run whole in a lab VM, by what it is called and what set-up has prepared for it."""
    from lib.lab.vm import host

    there = {name.partition("-")[2] for name in host.prepared()}
    left_out = {chapter for chapter, wanted in PREPARED.items() if not there.issuperset(wanted)} | set(COMPARES if "(TCG)" in lab else ())
    return tuple(chapter for chapter in IN_LAB if chapter not in left_out)


def other_kernel(chapter: str, facts: dict, rows: list[Row]) -> str:
    """The kernel to take instead, if it has what is missing here and this machine can boot it; tried, which takes some seconds."""
    bad = {row.name for row in rows if not row.ok and (row.name in NEEDS[chapter] or row.name == "experiments")}
    if facts["inside"].startswith("the lab VM") or chapter not in IN_LAB or not bad <= LAB_HAS:
        return ""
    from lib.lab.vm import backends

    name, _ = backends.pick(fetch=False)
    if not name or chapter not in runs_in(backends.BACKENDS[name].title()):
        return ""
    return "Take the kernel 'Python (lab VM)' (Kernel, then Change Kernel; make lab installs it): in it you are root, and it runs whole."


def table(rows: list[Row]) -> str:
    """The rows as text, the lacks explained below."""
    width = max(len(row.name) for row in rows)
    lines = [f"{'yes' if row.ok else 'NO' if row.needed else 'no':<4} {row.name:<{width}}  {row.found}" for row in rows]
    lacks = []
    for cost, group in by_cost(rows).items():
        lacks += [", ".join(row.name for row in group), f"    costs you:  {cost}", f"    what to do: {cures(group)}"]
    return "\n".join([*lines, *(["", *lacks] if lacks else [])])


def verdict(rows: list[Row]) -> str:
    """The table in one sentence."""
    if [row for row in rows if row.needed and not row.ok]:
        return "NO: not all chapters run whole here. (no, in small letters: only a comparison or a section is left out.)"
    return "Nothing that a chapter needs is missing. Next: sudo make tutorial"


def by_cost(rows: list[Row]) -> dict[str, list[Row]]:
    """The lacks, those with the same cost together."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if not row.ok:
            groups.setdefault(row.cost, []).append(row)
    return groups


def cures(group: list[Row]) -> str:
    """What to do about all of them; several packages go into one command."""
    install = "sudo apt-get install "
    if all(row.cure.startswith(install) for row in group):
        return install + " ".join(row.cure.removeprefix(install) for row in group)
    return "; ".join(dict.fromkeys(row.cure for row in group))


def main(argv: list[str] | None = None) -> int:
    """``python -m lib.lab [--json]``: 0 if all chapters can run whole here, 1 if something that one needs is missing, 2 wrong use."""
    argv = sys.argv[1:] if argv is None else argv
    if argv not in ([], ["--json"]):
        print("usage: python -m lib.lab [--json | install | uninstall]", file=sys.stderr)
        return 2
    facts = probe(peers=True)
    rows = judge(facts)
    if argv:
        print(json.dumps({"facts": facts, "rows": [asdict(row) for row in rows]}, indent=1))
    else:
        print(f"{facts['name']}\n{table(rows)}\n\n{verdict(rows)}")
    return int(any(row.needed and not row.ok for row in rows))
