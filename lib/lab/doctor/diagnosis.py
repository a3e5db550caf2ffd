"""From facts to rows: what this machine has, what it lacks, what that costs the reader, what to do.

Pure, so that every lack can be tested on any machine.
"""

from __future__ import annotations

from dataclasses import dataclass

from lib.lab.doctor.chapterneeds import NEEDS

OLDEST = (3, 11)
CONTROLLERS = {"memory", "cpu", "pids"}
OTHER_MACHINE = "take a Linux with root: a virtual machine will do (PLATFORMS.md)"


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


SPARE = {"time"}  # user-mode-linux has none, nor has a kernel before 5.6; a container is none the worse for it


def namespaces_row(tried: dict) -> Row:
    bad = {kind: error for kind, error in tried.items() if error}
    if not bad.keys() - SPARE:
        without = f" (no {', '.join(bad)} namespace, which no chapter needs)" if bad else ""
        return Row("namespaces", " ".join(kind for kind in tried if kind not in bad) + without, True)
    first = next(iter(bad.values()))
    cost = f"A container without its own {', '.join(bad)} is not one"
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
