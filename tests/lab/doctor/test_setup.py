"""The set-up: one list of everything, files that derive from it, a machine that lacks something, the commands that README.md names."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lib.lab.doctor import machine, machinefacts
from lib.lab.doctor.chapterneeds import PREPARED
from lib.lab.doctor.diagnosis import judge
from lib.lab.doctor.report import verdict
from lib.lab.jupyter import batch, parameters
from lib.lab.jupyter.chapterlist import CHAPTERS, ROOT, there
from lib.lab.vm import backends, host

README = (ROOT / "README.md").read_text()
PAGES = {name: (ROOT / name).read_text() for name in ("README.md", "USING.md", "PLATFORMS.md", "LAB.md", "CONTRIBUTING.md")}
MAKEFILE = (ROOT / "Makefile").read_text()


# -- one list --------------------------------------------------------------------------------------


def test_derived_files_agree_with_pyproject():
    done = subprocess.run([sys.executable, "tools/lock.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_stale_derived_file_is_found(tmp_path):
    copy_of = tmp_path / "project"
    shutil.copytree(ROOT, copy_of, ignore=shutil.ignore_patterns(".venv", ".git", "build", "notebooks"))
    (copy_of / "binder/apt.txt").write_text("busybox\n")
    done = subprocess.run([sys.executable, "tools/lock.py", "--check"], cwd=copy_of, capture_output=True, text=True)
    assert (done.returncode, "binder/apt.txt" in done.stdout) == (1, True)


def test_every_pin_is_exact_and_once():
    pins = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==\S+( ; platform_machine == .\w+.)?", line) for line in pins)
    names = [line.split("==")[0] for line in pins]
    assert names == sorted(set(names)) and {"jupyterlab", "papermill", "pytest", "setuptools"} <= set(names)


def test_the_list_of_packages_is_well_formed():
    rows = [line.split(maxsplit=2) for line in (ROOT / "tools/packages.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert all(len(row) == 3 and re.fullmatch("(chapters|lab|beside|peers|vagrant|arm64)(:(amd64|arm64))?", row[1]) for row in rows)
    assert len({(row[0], row[1].partition(":")[2]) for row in rows}) == len(rows)


def test_vagrant_reads_the_list_and_has_no_copy():
    """By provision.sh, which calls setup.sh."""
    vagrantfile, provision = ((ROOT / name).read_text() for name in ("Vagrantfile", "tools/provision.sh"))
    assert "bash /vagrant/tools/provision.sh" in vagrantfile and "tools/setup.sh chapters beside python bases" in provision
    for name in ("apt-get", "busybox-static", "jupyterlab=", "papermill"):
        assert name not in vagrantfile + provision


def test_scripts_are_sound():
    for script in (
        "tools/setup.sh",
        "tools/provision.sh",
        "tools/uninstall.sh",
        "tests/arm64/guest.sh",
        "tests/arm64/root.sh",
        "tests/arm64/run.sh",
        "tests/vagrant/box.sh",
        "tests/vagrant/run.sh",
        ".ci/run",
        "binder/postBuild",
        "binder/start",
    ):
        assert os.access(ROOT / script, os.X_OK), f"{script} is not executable"
        assert subprocess.run(["bash", "-n", ROOT / script]).returncode == 0


# -- setup.sh on machines that lack something: a copy of the project with faked programs ----------------------


@pytest.fixture
def bare(tmp_path):
    """The few files that setup needs, and a folder of faked programs that comes first on the PATH."""
    for name in ("tools/setup.sh", "tools/packages.txt", "requirements.lock", "pyproject.toml"):
        place = tmp_path / "project" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, place)
    (tmp_path / "fakes").mkdir()
    return tmp_path


def fake(bare: Path, name: str, script: str) -> Path:
    path = bare / "fakes" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def setup(bare: Path, *words: str, **environment: str) -> subprocess.CompletedProcess:
    known = {key: value for key, value in os.environ.items() if key not in ("PYTHON", "VENV")}
    known |= {"PATH": f"{bare / 'fakes'}:{os.environ['PATH']}", **environment}
    return subprocess.run([bare / "project/tools/setup.sh", *words], capture_output=True, text=True, env=known)


def test_setup_takes_the_groups_that_are_named(bare):
    (bare / "project/tools/packages.txt").write_text("one chapters x\ntwo lab x\nthree beside x\n")
    fake(bare, "id", "echo 1000")
    fake(bare, "dpkg-query", "exit 1")
    assert "stay missing: one three \n" in setup(bare, "chapters", "beside").stderr
    assert "stay missing: two \n" in setup(bare, "lab").stderr


def test_an_old_python_is_told_by_setup(bare):
    old = fake(bare, "python3.9", 'case "$2" in *sys.executable*) echo "$0";; *"< (3, 11)"*) exit 1;; *) echo 3.9;; esac')
    done = setup(bare, "python", PYTHON=str(old))
    assert done.returncode == 3
    assert f"{old} is 3.9, too old" in done.stderr and "make tutorial PYTHON=" in done.stderr


def test_a_python_without_venv_is_told(bare):
    lame = fake(bare, "python3.12", 'case "$2" in *sys.executable*) echo "$0";; *ensurepip*) exit 1;; esac')
    done = setup(bare, "python", PYTHON=str(lame))
    assert (done.returncode, "has no venv (package python3-venv)" in done.stderr) == (3, True)


def test_setup_refuses_a_word_that_it_does_not_know(bare):
    done = setup(bare, "chapters", "peer")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "usage: tools/setup.sh [WORD ...], of these: arm64 beside chapters lab peers vagrant python bases\n"


def test_not_linux_is_told_and_apt_is_not_touched(bare):
    fake(bare, "uname", "echo Darwin")
    fake(bare, "apt-get", "echo apt was called >&2; exit 9")
    done = setup(bare, "chapters", PYTHON=str(fake(bare, "none", "exit 1")))
    assert "this is Darwin, not Linux" in done.stderr and "apt was called" not in done.stderr


def test_not_root_is_told_what_is_missing(bare):
    fake(bare, "id", "echo 1000")
    fake(bare, "dpkg-query", "exit 1")
    done = setup(bare, "chapters", PYTHON=str(fake(bare, "none", "exit 1")))
    assert "not root, so these packages stay missing: python3" in done.stderr and "sudo apt-get install" in done.stderr


def test_what_is_installed_is_said_before(bare):
    """Only the missing package; announced before apt runs; a peer that the release has not is left out with a word."""
    fake(bare, "id", "echo 0")
    fake(bare, "dpkg-query", 'case "$*" in *busybox-static*|*umoci*) exit 1;; *) echo "install ok installed";; esac')
    fake(bare, "apt-cache", 'case "$2" in umoci) echo "  Candidate: (none)";; *) echo "  Candidate: 1.0";; esac')
    fake(bare, "apt-get", f'echo "APT $*" >> {bare}/called')
    text = (bare / "project/tools/setup.sh").read_text()
    (bare / "project/tools/setup.sh").write_text(text.replace("/usr/sbin/policy-rc.d", str(bare / "policy-rc.d")))
    done = setup(bare, "chapters", "peers", PYTHON=str(fake(bare, "none", "exit 1")))
    install = (bare / "called").read_text().splitlines()[-1]
    assert install.endswith("install -y --no-install-recommends busybox-static")
    assert "as root, apt-get now installs 1 missing package" in done.stderr and "a root file system of 2 MB" in done.stderr
    assert "no package umoci" in done.stderr
    assert not (bare / "policy-rc.d").exists()


@pytest.mark.parametrize(
    ("architecture", "taken"), [("amd64", "busybox-static alike"), ("arm64", "busybox-static other"), ("riscv64", "busybox-static")]
)
def test_a_package_for_one_architecture_is_only_for_that(bare, architecture, taken):
    (bare / "project/tools/packages.txt").write_text("busybox-static chapters x\nalike chapters:amd64 x\nother chapters:arm64 x\n")
    fake(bare, "id", "echo 1000")
    fake(bare, "dpkg", f"echo {architecture}")
    fake(bare, "dpkg-query", "exit 1")
    done = setup(bare, "chapters", PYTHON=str(fake(bare, "none", "exit 1")))
    assert f"not root, so these packages stay missing: {taken} \n" in done.stderr


def test_without_dpkg_the_kernel_tells_the_architecture(bare):
    (bare / "project/tools/packages.txt").write_text("alike chapters:amd64 x\nother chapters:arm64 x\n")
    fake(bare, "uname", 'case "$1" in -m) echo aarch64;; *) echo Linux;; esac')
    for name in ("dpkg", "dpkg-query"):
        fake(bare, name, "exit 127")
    fake(bare, "id", "echo 1000")
    done = setup(bare, "chapters", PYTHON=str(fake(bare, "none", "exit 1")))
    assert "stay missing: other \n" in done.stderr


def test_a_second_setup_does_nothing():
    if not (Path(sys.prefix) / ".suitcase-setup").exists():
        pytest.skip("this Python's packages were not installed by tools/setup.sh")
    done = subprocess.run(["tools/setup.sh", "python"], cwd=ROOT, capture_output=True, text=True, env=os.environ | {"VENV": sys.prefix})
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


# -- the machine: real probes ----------------------------------------------------------------------------------


def test_the_probes_leave_nothing_behind():
    before = sorted(os.listdir("/tmp")), Path("/proc/self/mounts").read_text()
    machinefacts.probe(peers=True)
    after = sorted(os.listdir("/tmp")), Path("/proc/self/mounts").read_text()
    assert not [name for name in set(after[0]) - set(before[0]) if "probe" in name] and before[1] == after[1]


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root, to become somebody else")
def test_the_probes_of_an_ordinary_user_leave_nothing_behind():
    """Overlay leaves a folder with mode 000 in the store, and only root gets through it without more ado."""
    with tempfile.TemporaryDirectory(prefix="st-", dir="/tmp") as home:
        os.chown(home, 65534, 65534)
        shutil.copytree(ROOT / "lib", f"{home}/lib")  # this checkout may lie where an ordinary user does not get
        command = [os.path.realpath(sys.executable), "-I", "-S", f"{home}/lib/lab/doctor/probe.py", f"{home}/store"]
        done = subprocess.run(command, user=65534, group=65534, extra_groups=[], capture_output=True, text=True, cwd="/")
        assert '"overlay"' in done.stdout, done.stderr
        assert sorted(os.listdir(home)) == ["lib"]


def test_the_table_is_printed_as_text_and_as_json():
    text = subprocess.run([sys.executable, "-m", "lib.lab"], cwd=ROOT, capture_output=True, text=True)
    assert text.returncode in (0, 1) and "overlay" in text.stdout and not text.stderr
    assert subprocess.run([sys.executable, "-m", "lib.lab", "--json"], cwd=ROOT, capture_output=True).stdout.startswith(b"{")
    assert subprocess.run([sys.executable, "-m", "lib.lab", "--nonsense"], cwd=ROOT, capture_output=True).returncode == 2


def test_an_experiment_that_hangs_is_ended(monkeypatch, tmp_path):
    hanging = tmp_path / "probe.py"
    hanging.write_text("import time; time.sleep(600)")
    monkeypatch.setattr(machinefacts, "PROBE", hanging)
    monkeypatch.setattr(machinefacts, "LIMIT", 0.5)
    assert "had not ended" in machinefacts.experiments("/nowhere")["error"]


# -- the machine: every lack, faked ------------------------------------------------------------------------------

GOOD = {
    "system": "Linux", "release": "6.1.0", "arch": "x86_64", "name": "Debian 12", "inside": "", "python": [3, 12, 1], "uid": 0,
    "capable": True, "store": "/var/lib/suitcase", "store_fs": "ext4", "sysctl": {}, "busybox_runs": True, "docker_daemon": "OK",
    "programs": dict.fromkeys(("busybox", "nft", "mmdebstrap", "ip", *machinefacts.PEERS), "/usr/bin/x"),
    "tried": {
        "namespaces": dict.fromkeys(("mnt", "uts", "ipc", "pid", "net", "cgroup", "time"), ""), "userns": "", "overlay": "", "nft": "",
        "cgroup": {"version": 2, "controllers": ["cpu", "memory", "pids"], "error": ""},
    },
}  # fmt: skip
APPARMOR = {"sysctl": {"kernel/apparmor_restrict_unprivileged_userns": "1"}, "tried.userns": "PermissionError: x"}
LACKS = {  # what is faked → the row that tells, words of what was found, words of the way out
    "not Linux": ({"system": "Darwin", "tried": {}}, "linux", "Darwin", "virtual machine"),
    "no root": ({"uid": 1000}, "root", "uid 1000", "sudo make tutorial"),
    "root without rights": ({"capable": False}, "root", "CAP_SYS_ADMIN", "--privileged"),
    "old Python": ({"python": [3, 9, 2]}, "python", "3.9.2", "PYTHON=/usr/bin/python3.12"),
    "no network namespace": ({"tried.namespaces.net": "OSError: x"}, "namespaces", "not to be had: net", "run as root"),
    "no overlay": ({"tried.overlay": "OSError: [Errno 19] mount: No such device: '/m'"}, "overlay", "no overlay file", "modprobe overlay"),
    "store on a bad file system": (
        {"store_fs": "vboxsf", "tried.overlay": "OSError: [Errno 22] mount: Invalid argument"}, "overlay", "on vboxsf", "SUITCASE_STORE=",
    ),
    "store of somebody else": (
        {"uid": 1000, "tried.overlay": "PermissionError: Permission denied"}, "overlay", "uid 1000", "SUITCASE_STORE",
    ),
    "a chroot": ({"tried.overlay": "OSError: this is a chroot (x)"}, "overlay", "this is a chroot", "pivot_root"),
    "no cgroup": ({"tried.cgroup": {"version": 0, "controllers": [], "error": "x"}}, "cgroup", "no cgroup file system", "mount -t cgroup2"),
    "cgroup without memory": ({"tried.cgroup.controllers": ["cpu", "pids"]}, "cgroup", "v2 without memory", "cgroup_enable=memory"),
    "cgroup read-only": ({"tried.cgroup.error": "OSError: Read-only"}, "cgroup", "no group of our own", "outside of a container"),
    "no nft": ({"programs.nft": ""}, "nft", "not installed", "nftables"),
    "nft refused": ({"tried.nft": "OSError: Operation not supported"}, "nft", "refused", "modprobe nf_tables"),
    "no busybox": ({"programs.busybox": ""}, "busybox", "not installed", "busybox-static"),
    "broken busybox": ({"busybox_runs": False}, "busybox", "does not run", "--reinstall"),
    "AppArmor's rule": (APPARMOR, "user namespaces", "AppArmor", "kernel.apparmor_restrict_unprivileged_userns=0"),
    "Debian's switch": (
        {"sysctl": {"kernel/unprivileged_userns_clone": "0"}, "tried.userns": "x"}, "user namespaces", "Debian's switch", "userns_clone=1",
    ),
    "no user namespaces": (
        {"sysctl": {"user/max_user_namespaces": "0"}, "tried.userns": "x"}, "user namespaces", "allowed is 0", "max_user_namespaces",
    ),
    "probes failed": ({"tried": {"error": "it hung"}}, "experiments", "it hung", "as root"),
    "no runc": ({"programs.runc": ""}, "runc", "not installed", "apt-get install runc"),
}  # fmt: skip


def faked(changes: dict) -> dict:
    facts = copy.deepcopy(GOOD)
    for path, value in changes.items():
        *folders, last = path.split(".")
        place = facts
        for name in folders:
            place = place[name]
        place[last] = value
    return facts


def test_a_good_machine_lacks_nothing():
    assert all(row.ok for row in judge(GOOD))
    assert machine.opening("02", GOOD).endswith("Chapter 2 runs whole here.")


@pytest.mark.parametrize("name", LACKS)
def test_each_lack_has_one_message(name):
    changes, wanted, found, cure = LACKS[name]
    bad = [row for row in judge(faked(changes)) if not row.ok]
    row = next(row for row in bad if row.name == wanted)
    assert found in row.message and cure in row.message and row.cost
    assert len([row for row in bad if row.name == wanted]) == 1


def test_the_table_ends_with_a_verdict():
    assert "make tutorial" in verdict(judge(GOOD)) == verdict(judge(faked({"programs.runc": ""})))
    assert verdict(judge(faked({"uid": 1000}))).startswith("NO")


def test_a_lack_that_explains_the_others_comes_alone():
    facts = faked({"uid": 1000, "tried.overlay": "PermissionError: Permission denied", "tried.cgroup.error": "x", "tried.nft": "x"})
    assert [text.split(":")[0] for text in machine.missing_for("05", judge(facts))] == ["root"]


def test_a_chapter_asks_only_for_what_it_needs():
    rows = judge(faked({"programs.nft": ""}))
    assert machine.missing_for("02", rows) == []
    assert [text.split(":")[0] for text in machine.missing_for("04", rows)] == ["nft"]


@pytest.mark.parametrize("chapter", [one.number for one in CHAPTERS])
def test_the_opening_is_one_line(chapter, monkeypatch):
    monkeypatch.setattr(backends, "pick", lambda **_: ("", "not here"))
    for changes in ({}, {"uid": 1000}, {"system": "Darwin", "tried": {}}, {"inside": "WSL2"}):
        line = machine.opening(chapter, faked(changes))
        assert "\n" not in line and f"Chapter {int(chapter)}" in line
        assert ("runs whole here" in line) == (changes in ({}, {"inside": "WSL2"}))


def test_what_no_chapter_needs_stops_none():
    facts = faked({"tried.namespaces.time": "OSError: Invalid argument"})
    assert machine.opening("02", facts).endswith("Chapter 2 runs whole here.")
    (row,) = [row for row in judge(facts) if row.name == "namespaces"]
    assert row.ok and "no time namespace, which no chapter needs" in row.found


def qemu_lacks(monkeypatch, what: str) -> None:
    for question in ("lacks", "unfetched"):
        monkeypatch.setattr(backends.BACKENDS["qemu"], question, lambda: what, raising=False)


def test_the_opening_names_the_kernel_in_which_the_chapter_runs(monkeypatch):
    """Where this machine boots it. Not for a chapter that does not run whole in it, and not on another system."""
    monkeypatch.setattr(backends, "pick", lambda **_: ("uml", ""))
    qemu_lacks(monkeypatch, "its kernel")
    assert "Take the kernel 'Python (lab VM)'" in machine.opening("02", faked({"uid": 1000}))
    assert "lab VM" not in machine.opening("04", faked({"uid": 1000})) + machine.opening("02", GOOD)
    qemu_lacks(monkeypatch, "")
    assert "Take the kernel 'Python (lab VM)'" in machine.opening("04", faked({"uid": 1000})), "QEMU's kernel has what it needs"
    for elsewhere in ({"system": "Darwin", "tried": {}}, {"uid": 1000, "programs.busybox": ""}):
        assert "lab VM" not in machine.opening("02", faked(elsewhere)), "what this machine lacks, the lab VM lacks too"
    monkeypatch.setattr(backends, "pick", lambda **_: ("", "not here"))
    assert "lab VM" not in machine.opening("02", faked({"uid": 1000}))


def test_the_table_tells_who_boots_the_lab_vm(monkeypatch):
    (row,) = [row for row in judge(faked({"lab": {"backend": "user-mode-linux", "why": ""}})) if row.name == "lab VM"]
    assert row.ok and "user-mode-linux" in row.found
    (row,) = [row for row in judge(faked({"lab": {"backend": "", "why": "no ptrace"}})) if row.name == "lab VM"]
    assert not row.ok and not row.needed and "no ptrace" in row.found and "user-mode-linux" in row.cure
    monkeypatch.setattr(backends, "pick", lambda **_: ("uml", ""))
    assert machinefacts.lab_vm() == {"backend": "user-mode-linux", "why": ""}


def test_the_opening_tells_that_this_is_the_lab_vm(monkeypatch):
    monkeypatch.setenv("SUITCASE_GUEST", "user-mode-linux")
    facts = faked({"inside": machinefacts.inside()})
    assert "in the lab VM (user-mode-linux), root, cgroup v2. Chapter 2 runs whole here." in machine.opening("02", facts)
    said = machine.opening("04", faked({"inside": machinefacts.inside(), "tried.nft": "OSError: No such file or directory"}))
    assert "Chapter 4 does not run whole here. It needs nftables' families ip and inet" in said and "install --backend qemu" in said
    assert "Chapter 7 does not run whole here. The lab VM lacks" in machine.opening("07", facts)
    monkeypatch.setattr(host, "prepared", lambda: {f"bookworm-{name}": "" for name in PREPARED["01"]})
    assert "Chapter 1 runs whole here." in machine.opening("01", facts)
    monkeypatch.setattr(host, "prepared", lambda: {})
    assert "Chapter 1 does not run whole here." in machine.opening("01", facts), "root file systems were not prepared"
    monkeypatch.undo()
    monkeypatch.setenv("SUITCASE_GUEST", "QEMU (TCG)")
    assert "Chapter 1 does not run whole here." in machine.opening("01", faked({"inside": machinefacts.inside()})), "it compares times"
    assert "Chapter 4 runs whole here, in some 4 minutes" in machine.opening("04", faked({"inside": machinefacts.inside()}))
    monkeypatch.setenv("SUITCASE_GUEST", "QEMU (KVM)")
    assert machine.opening("04", faked({"inside": machinefacts.inside()})).endswith("Chapter 4 runs whole here.")


# -- uninstall --------------------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A store and a place for records in folders that also hold something of somebody else's."""
    for name, variable in (("store", "SUITCASE_STORE"), ("run", "SUITCASE_RUN")):
        monkeypatch.setenv(variable, str(tmp_path / name))
        (tmp_path / name).mkdir()
    (tmp_path / "store/bases/busybox").mkdir(parents=True)
    (tmp_path / "store/containers").mkdir()
    return tmp_path


def uninstall() -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "lib.state", "uninstall"], cwd=ROOT, capture_output=True, text=True)


def test_uninstall_removes_what_is_ours_and_the_folder_if_it_is_empty_then(elsewhere):
    done = uninstall()
    assert (done.returncode, done.stderr, list(elsewhere.iterdir())) == (0, "", [])
    assert uninstall().returncode == 0, "a second time there is nothing to do"


def test_uninstall_leaves_what_is_not_ours(elsewhere):
    (elsewhere / "store/holiday.jpg").write_text("mine")
    done = uninstall()
    assert os.listdir(elsewhere / "store") == ["holiday.jpg"] and "stays, it holds holiday.jpg" in done.stdout


def test_uninstall_refuses_while_a_container_lives(elsewhere):
    keeper = "from lib import state; state.Record('abc123', []); print('there', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", keeper], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout.readline() == "there\n"
        done = uninstall()
        owner.communicate("\n")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1) and "nothing was removed" in done.stderr and "abc123" in done.stderr
    assert (elsewhere / "store/bases/busybox").is_dir()
    assert uninstall().returncode == 0, "the owner has ended, so nothing keeps it now"
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize(("venv", "stays"), [("inside/.venv", False), ("outside/.venv", True)])
def test_the_script_removes_the_packages_only_inside_this_folder(tmp_path, venv, stays):
    (tmp_path / "inside/tools").mkdir(parents=True)
    shutil.copy(ROOT / "tools/uninstall.sh", tmp_path / "inside/tools")
    (tmp_path / "inside/Makefile").write_text("clean:\n")
    place = tmp_path / venv
    (place / "bin").mkdir(parents=True)
    (place / "pyvenv.cfg").touch()
    (place / "bin/python").symlink_to("/bin/true")
    script = tmp_path / "inside/tools/uninstall.sh"
    done = subprocess.run([script], capture_output=True, text=True, env=os.environ | {"VENV": str(place)})
    assert (done.returncode, place.exists(), "stays: it is not in this folder" in done.stdout) == (0, stays, stays), done.stderr


# -- other parameters -----------------------------------------------------------------------------------------


def test_every_chapter_is_also_run_with_other_parameters():
    """tests/other_parameters.txt names each chapter that has parameters, with values that are not the defaults."""
    text = " ".join(line.split("#")[0] for line in (ROOT / "tests/other_parameters.txt").read_text().splitlines())
    chapters = there()
    values = parameters.check_parameters(text, chapters, ROOT / "notebooks")
    defaults = {one.number: parameters.parameters_of(one.path(ROOT / "notebooks")) for one in chapters}
    assert set(values) == {number for number, known in defaults.items() if known}
    assert not [name for number, row in values.items() for name, value in row.items() if defaults[number][name] == value]


# -- README and Makefile ------------------------------------------------------------------------------------------


def test_every_command_of_the_readme_exists():
    targets = set(re.findall(r"^([a-z0-9-]+):", MAKEFILE, re.MULTILINE))
    named = {
        word for page in PAGES.values() for word in re.findall(r"`(?:sudo )?make ([a-z][a-z0-9-]*)|^(?:sudo )?make ([a-z-]+)", page, re.M)
    }
    named = {one or other for one, other in named}
    assert named <= targets, f"README.md and the pages beside it name {named - targets}"
    assert {"tutorial", "test", "lab", "outputs", "bench", "doctor", "clean", "uninstall"} <= named


def test_jupyterlab_asks_no_newcomer_whether_he_wants_news():
    settings = ROOT / "lib/lab/jupyter/settings"
    words = json.loads((settings / "overrides.json").read_text())["@jupyterlab/apputils-extension:notification"]
    assert words == {"fetchNews": "false", "checkForUpdates": False}
    for file in ("Makefile", "tools/provision.sh"):
        assert f"/{settings.relative_to(ROOT)}" in (ROOT / file).read_text()


def test_every_chapter_stands_in_the_readme_as_it_is():
    written = {one.number for one in there()}
    for chapter in CHAPTERS:
        row = next(line for line in README.splitlines() if line.startswith(f"| {int(chapter.number)} ") and chapter.title in line)
        assert ("not yet" not in row) == (chapter.number in written), f"README.md is wrong about chapter {chapter.number}"


def test_links_of_the_readme_lead_somewhere():
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", "\n".join(PAGES.values())):
        assert (ROOT / target).exists(), target


def test_a_newcomer_reads_the_readme_in_three_minutes():
    prose = re.sub(r"```.*?```|^\|.*?$|\]\([^)]*\)", "", README, flags=re.DOTALL | re.MULTILINE)
    assert len(prose.split()) <= 480


def test_exit_codes_are_the_ones_documented():
    for code in ("0", "1", "2", "3", "130", "143"):
        assert re.search(rf"\b{code}\b", batch.__doc__) and re.search(rf"\| `?{code}`? ", PAGES["USING.md"]), code
