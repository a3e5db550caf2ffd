"""The ways to a machine: the Vagrantfile for each provider, set-ups in a fresh Debian, Binder and a devcontainer without root.

`make test-vagrant` boots a machine for real.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess

import jsonschema
import nbformat
import pytest
from helpers import roots
from helpers.needs import requires

from lib.lab.jupyter.chapterlist import ROOT

PROVIDERS = ("virtualbox", "vmware_desktop", "libvirt", "hyperv", "parallels")
OURS = {name: value for name, value in os.environ.items() if not name.startswith(("SUITCASE_", "VAGRANT_"))}


# -- the Vagrantfile ---------------------------------------------------------------------------------


@requires("vagrant")
@pytest.mark.parametrize("provider", ["virtualbox", "libvirt", "hyperv"])
def test_vagrant_finds_the_file_sound(tmp_path, provider):
    """VirtualBox and libvirt's daemon are not here (a stand-in answers for them); of Hyper-V, which is Windows', the common part."""
    (tmp_path / "VBoxManage").write_text("#!/bin/sh\necho 7.0.20r1\n")
    (tmp_path / "VBoxManage").chmod(0o755)
    environment = OURS | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}", "LIBVIRT_DEFAULT_URI": "test:///default", "VAGRANT_DEFAULT_PROVIDER": provider,
        "VAGRANT_HOME": str(tmp_path / "home"), "VAGRANT_DOTFILE_PATH": str(tmp_path / "dot"), "VAGRANT_CHECKPOINT_DISABLE": "1",
    }  # fmt: skip
    command = ["vagrant", "validate", *(["--ignore-provider"] if provider == "hyperv" else [])]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.returncode, "validated successfully" in done.stdout) == (0, True), done.stdout + done.stderr


def asked(provider: str, **environment: str) -> dict:
    """What the Vagrantfile asks of a provider."""
    command = ["ruby", "tests/vagrant/settings.rb", "Vagrantfile", provider]
    done = subprocess.run(command, cwd=ROOT, env=OURS | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["vm"]


@requires("ruby")
@pytest.mark.parametrize("provider", PROVIDERS)
def test_settings_from_the_environment_reach_every_provider(provider):
    vm = asked(provider, SUITCASE_MEMORY="3000", SUITCASE_CPUS="3", SUITCASE_PORT="9999", SUITCASE_SYNC="rsync", SUITCASE_BOX="mine/own")
    size = {"vmx": {"memsize": "3000", "numvcpus": "3"}} if provider == "vmware_desktop" else {"memory": 3000, "cpus": 3}
    assert size.items() <= vm["asked"].items()
    (port,) = vm["network"]["forwarded_port"]
    assert port == {"guest": 9999, "host": 9999, "host_ip": "127.0.0.1"}
    assert "PORT=9999 bash /vagrant/tools/provision.sh" in vm["provision"]["shell"][0]["inline"]
    assert vm["synced_folder"]["."][1]["type"] == "rsync" and vm["box"] == "mine/own"


@requires("ruby")
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_box_may_be_a_file(tmp_path, provider):
    (tmp_path / "debian.box").touch()
    vm = asked(provider, SUITCASE_BOX=str(tmp_path / "debian.box"))
    assert (vm["box"], vm["box_url"]) == ("suitcase/debian", f"file://{tmp_path}/debian.box")


@requires("ruby")
def test_an_old_vagrant_gets_a_box_of_one_architecture():
    """Before 2.4 it knew no architectures, and took any."""
    assert asked("libvirt")["box"] == "cloud-image/debian-12"
    assert asked("libvirt", PRETENDED_VERSION="2.3.7")["box"] == "debian/bookworm64"
    assert {asked(name)["box"] for name in ("virtualbox", "vmware_desktop", "parallels")} == {"bento/debian-12"}


@requires("ruby")
def test_only_what_is_to_be_passed_on_reaches_the_machine(tmp_path):
    (tmp_path / "trust.pem").touch()
    known = dict.fromkeys(roots.TRUST, "")
    vm = asked("libvirt", **known | {"PIP_CERT": str(tmp_path / "trust.pem"), "https_proxy": "http://proxy", "SECRET": "x"})
    assert vm["provision"]["shell"][0]["env"]["https_proxy"] == "http://proxy" and "SECRET" not in json.dumps(vm)
    assert vm["provision"]["certificates"][0]["source"] == str(tmp_path / "trust.pem")
    assert "certificates" not in asked("libvirt", **known)["provision"]


# -- the set-up of a machine ---------------------------------------------------------------------------


@pytest.fixture
def machine(tmp_path):
    """A bare Debian with the project. What chapters start from takes a minute to make: here it is only asked for."""
    with roots.fresh(tmp_path) as root:
        root.copy_project("/vagrant")
        (root.path / "vagrant/lib/lab/doctor/prepare.py").write_text('open("/tmp/asked", "a").close()\n')
        yield root


@requires("root", "overlay", "mmdebstrap")
@pytest.mark.timeout(600)
def test_provision_makes_a_bare_debian_the_tutorials_machine_and_a_second_run_changes_nothing(machine):
    first = machine.run("bash", "/vagrant/tools/provision.sh", IP="0.0.0.0")
    assert first.returncode == 0, first.stdout
    before = machine.files(without=("/proc", "/dev", "/tmp"))
    second = machine.run("bash", "/vagrant/tools/provision.sh", IP="0.0.0.0")
    assert second.stdout == "provision: no systemd runs here, so JupyterLab is not started (sudo make lab does it)\n"
    after = machine.files(without=("/proc", "/dev", "/tmp"))
    assert sorted(name for name in before | after if before.get(name) != after.get(name)) == []
    check_machine(machine)
    check_the_second_command(machine)


def check_the_second_command(root: roots.Root) -> None:
    """What `make test` begins with, where Jupyter has never run: kernels did not start there. A small notebook stands in for chapters."""
    for path in (root.path / "vagrant/notebooks").glob("*.ipynb"):
        path.unlink()
    cell = nbformat.v4.new_code_cell("import os, lib; print(os.environ['HOME'])", execution_count=1)
    cell.outputs = [nbformat.v4.new_output("stream", text="(an empty folder)\n")]
    cell.metadata.tags = ["nbval-ignore-output"]
    claim = nbformat.v4.new_code_cell("assert os.environ['HOME']", execution_count=2, metadata={"tags": ["holds"]})
    nbformat.write(nbformat.v4.new_notebook(cells=[cell, claim]), root.path / "vagrant/notebooks/01-small.ipynb")
    checked = root.run(
        "/opt/suitcase/venv/bin/python", "tools/check.py", "style", "arrows", "notebooks", cwd="/vagrant", PYTHONPATH="/vagrant"
    )
    assert checked.returncode == 0 and "2 passed" in checked.stdout, checked.stdout


def check_machine(root: roots.Root) -> None:
    for name in ("dockerd", "podman", "runc", "busybox", "nft", "make"):
        assert root.run("sh", "-c", f"command -v {name}").returncode == 0, name
    mode = root.run("stat", "-c", "%a %s", "/etc/suitcase/token").stdout
    assert mode == "600 48\n", "a secret of 48 digits, and no newline"
    unit = root.run("cat", "/etc/systemd/system/multi-user.target.wants/suitcase-jupyter.service").stdout
    assert "--ip=0.0.0.0 --port=8888" in unit and "WorkingDirectory=/vagrant/notebooks" in unit
    boot = root.run("cat", "/etc/systemd/system/multi-user.target.wants/suitcase-boot.service").stdout
    assert "ExecStart=/opt/suitcase/venv/bin/python -I -S /vagrant/lib/cli/__main__.py system boot\n" in boot, "what should run comes back"
    assert root.run("/opt/suitcase/venv/bin/python", "-I", "-S", "/vagrant/lib/cli/__main__.py", "system", "boot").returncode == 0
    assert root.run("sh", "-lc", "echo $VENV").stdout == "/opt/suitcase/venv\n"
    python = "/opt/suitcase/venv/bin/python"
    assert root.run(python, "-c", "import lib; print(lib.__file__)", cwd="/opt").stdout == "/vagrant/lib/__init__.py\n"
    assert (root.path / "tmp/asked").exists()
    assert not (root.path / "vagrant/.setup").exists(), "what came with apt here is no business of the machine that shares the folder"


@requires("root", "overlay", "mmdebstrap")
def test_provision_is_for_root(machine):
    done = machine.run("bash", "/vagrant/tools/provision.sh", user=True)
    assert (done.returncode, done.stdout) == (2, "provision: only root can do this: sudo tools/provision.sh\n")


# -- without root: a devcontainer, Binder ---------------------------------------------------------------

DEVCONTAINER = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())


def test_the_devcontainer_is_what_the_published_schema_allows():
    schema = json.loads((ROOT / "tests/devcontainer.schema.json").read_text())
    jsonschema.validate(DEVCONTAINER, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(DEVCONTAINER | {"remoteUser": 7}, schema)


def build(root: roots.Root, dockerfile: str) -> None:
    """The few instructions that our Dockerfile has, carried out in a fresh Debian of the same release."""
    for word, rest in re.findall(r"^([A-Z]+) (.*)$", dockerfile, re.MULTILINE):
        if word == "COPY":
            source, target = rest.split()
            shutil.copytree(ROOT / source, root.path / target.lstrip("/"))
        elif word == "RUN":
            done = root.run("sh", "-c", rest)
            assert done.returncode == 0, done.stdout
        else:
            assert (word, rest) == ("FROM", "debian:bookworm")


@requires("root", "overlay", "mmdebstrap")
@pytest.mark.timeout(600)
def test_a_devcontainer_and_binder_teach_an_ordinary_user_without_capabilities(tmp_path):
    """Both in one Debian, as each takes a minute to make: Binder's pins and packages are the same, from the same lists."""
    place, home = "/workspaces/suitcase", "/home/learner/binder"
    with roots.fresh(tmp_path) as root:
        build(root, (ROOT / ".devcontainer/Dockerfile").read_text())
        root.copy_project(place, owner=1000)
        made = root.run("sh", "-c", DEVCONTAINER["onCreateCommand"], user=True, cwd=place, PYTHONPATH=place)
        assert made.returncode == 0, made.stdout
        check_teaching(root, place, f"{place}/.venv/bin")
        check_second_kernel(root, place)

        for name in (ROOT / "binder/apt.txt").read_text().split():
            assert "ok installed" in root.run("dpkg-query", "-W", "-f", "${Status}", name).stdout, name
        root.copy_project(home, owner=1000)
        path = f"{place}/.venv/bin:{roots.HOME['PATH']}"
        built = root.run("binder/postBuild", user=True, cwd=home, PATH=path)
        assert built.returncode == 0, built.stdout
        started = root.run("binder/start", "python", "-c", "import lib, sys; print(lib.__file__)", user=True, cwd=home, PATH=path)
        assert started.stdout.endswith(f"NO: not all chapters run whole here. {SMALL}\n{home}/lib/__init__.py\n")
        check_teaching(root, home, f"{place}/.venv/bin")


SMALL = "(no, in small letters: only a comparison or a section is left out.)"
FIRST_CELL = """
import sys
import nbformat
from nbclient import NotebookClient
book = nbformat.read(sys.argv[1], 4)
book.cells = [cell for cell in book.cells if "from lib.lab" in cell.source or "machine.opening(" in cell.source][:2]
NotebookClient(book, kernel_name="python3").execute()
print(book.cells[1].outputs[0].text, end="")
"""


def check_teaching(root: roots.Root, place: str, programs: str) -> None:
    """Every chapter opens in JupyterLab's own kernel, and its first cell says in one line why not all of it runs, and what to do.

    user-mode-linux is in this root, so for chapters 2 and 3 the lab VM is what to do. (Chapter 1 wants root file systems that only
    root can make, chapters 4 and 5 a firewall that this kernel has not.)
    """
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        said = root.run(f"{programs}/python", "-c", FIRST_CELL, f"notebooks/{notebook.name}", user=True, cwd=place, PYTHONPATH=place)
        line = said.stdout.splitlines()[-1]
        way_out = r"Take the kernel 'Python \(lab VM\)'" if notebook.name[:2] in ("02", "03") else "root: .* What to do: "
        assert re.search(rf"uid 1000, not root.* does not run whole here\. {way_out}", line), said.stdout
    assert "4." in root.run(f"{programs}/jupyter", "lab", "--version", user=True, cwd=place).stdout


def check_second_kernel(root: roots.Root, place: str) -> None:
    """user-mode-linux boots for an ordinary user without capabilities, who is root in it."""
    done = root.run(".venv/bin/python", "-m", "lib.lab.vm.backends", "--", "id", "-u", user=True, cwd=place, PYTHONPATH=place)
    assert (done.returncode, done.stdout.strip()) == (0, "0"), done.stdout
