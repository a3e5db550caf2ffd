"""The chosen tests again, in a real cgroup v2 kernel: user-mode-linux, booted on this machine's own file system."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from helpers.needs import requires
from helpers.place import PLACE
from helpers.waiting import wait_for

from lib import bases, state
from lib.lab.doctor.leaks import of_processes
from lib.lab.vm import backends, host, landlock
from lib.process import TimeLimit

ROOT = Path(__file__).parents[3]
pytestmark = [requires("linux.uml"), pytest.mark.skipif("SUITCASE_GUEST" in os.environ, reason="this is the guest")]


def in_guest(*argv, **how):
    return backends.run([sys.executable, *argv], "uml", **{"timeout": 60, "cwd": ROOT} | how)


@pytest.mark.timeout(200)
def test_the_chosen_tests_on_cgroup_v2():
    work = PLACE / "guest"
    work.mkdir()
    argv = [
        "-m",
        "pytest",
        "-m",
        "v2",
        "-p",
        "no:cacheprovider",
        "-p",
        "pytest_timeout",
        f"--junitxml={work}/report.xml",
        "--timeout=100",
        "-q",
    ]
    files = ["tests/ingredients/test_cgroups.py", "tests/lab/vm/test_guest.py", "tests/test_advice.py"]
    files += [
        "tests/attacks/test_ways_out.py",
        "tests/attacks/test_cgroups.py",
        "tests/attacks/test_endings.py",
        "tests/engine/test_lives.py",
        "tests/engine/daemons/test_revived.py",
        "tests/cli/containers/test_pausing.py",
        "tests/cli/containers/test_resources.py",
        "tests/cli/containers/test_restart_policies.py",
        "tests/cli/containers/test_health.py",
    ]
    done = in_guest(*argv, *files, work=str(work), timeout=180, env={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})
    cases = ElementTree.parse(work / "report.xml").getroot().findall(".//testcase") if (work / "report.xml").exists() else []
    told = {case.get("name"): next((child.tag for child in case), "passed") for case in cases}
    print("\n".join(f"{outcome:8} {name}" for name, outcome in told.items()))
    assert done.code == 0, done.text[-4000:]
    for name in ("test_born_in_its_cgroup", "test_the_limits_can_be_read_inside", "test_it_is_a_pure_v2_machine"):
        assert told[name] == "passed", "these run on cgroup v2 only, so they prove that this was one"
    assert list(told.values()).count("passed") >= 25


def test_what_the_first_cell_of_a_chapter_says_there():
    """What it says must be true: the stage "lab" runs chapters 2 and 3 in it, whole. And chapter 4's network cannot be had."""
    asked = "from lib.lab.doctor import machine; print(*map(machine.opening, ('02', '03', '04')), sep='\\n')"
    said = in_guest("-c", f"{asked}; from lib.network import possible; print(possible.bridges())").text.splitlines()
    assert "Chapter 2 runs whole here." in said[0] and "Chapter 3 runs whole here." in said[1], said
    assert "Chapter 4 does not run whole here. It needs nftables' families ip and inet" in said[2] and said[3] == "False", said


def test_output_exit_code_and_what_is_written(tmp_path):
    """Output comes back byte by byte; only the shared folder keeps what was written."""
    code = (
        "import os; os.write(1, bytes(range(256))); os.write(2, b'err'); open('made', 'w').write('here')\n"
        f"for path in ({str(ROOT / 'never')!r}, '/etc/never'): open(path, 'w').write('x'); os.write(1, open(path, 'rb').read())\n"
        "os.kill(os.getpid(), 9)"
    )
    done = in_guest("-c", code, work=str(tmp_path), cwd=tmp_path)
    assert (done.code, done.output) == (137, bytes(range(256)) + b"errxx")
    assert (tmp_path / "made").read_text() == "here"
    assert not (ROOT / "never").exists() and not Path("/etc/never").exists()


def test_a_time_limit_ends_the_whole_guest():
    with pytest.raises(TimeLimit):
        backends.run(["sleep", "1000"], "uml", timeout=3)
    wait_for(lambda: not guests())  # a busy machine takes a moment to bury what was killed


@pytest.mark.parametrize("backend", ["uml", pytest.param("qemu", marks=requires("lab by qemu"))])
def test_a_killed_caller_leaves_no_guest(backend):
    """Not even one that does not notice that its line has ended, as it is stopped."""
    code = "from lib.lab.vm.backends import run; run(['sh', '-c', 'echo up; sleep 1000'], '{}', show=True)"
    with subprocess.Popen([sys.executable, "-u", "-c", code.format(backend)], stdout=subprocess.PIPE) as caller:
        assert caller.stdout.readline() == b"up\n"
        for pid in guests(caller.pid):
            if os.readlink(f"/proc/{pid}/exe").rpartition("/")[2].startswith(("linux", "qemu")):
                os.kill(pid, signal.SIGSTOP)
        caller.kill()
    wait_for(lambda: not guests(caller.pid) and not folders(caller.pid))
    state.gc()  # the next start forgets it


def test_a_rest_is_removed_by_the_next_start():
    """The folder of a killed maker whose watcher was killed, too; not one whose maker lives."""
    code = "import sys, time; from lib.lab.vm.host import run_folder\nwith run_folder(None) as run: print(run, flush=True); time.sleep(100)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as maker:
        rest = Path(maker.stdout.readline().strip())
        state.gc()
        assert rest.is_dir()
        maker.kill()
    state.gc()
    assert not rest.exists()


PRISON = """
import os, sys
from lib import linux
linux.mount("none", "/mnt", "hostfs")  # the host's files once more, this time for writing
for path in sys.argv[1:]:
    try:
        print(open(f"/mnt{path}").read())
    except OSError as error:
        print(error.strerror)
for deed in ("os.mkdir(f'/mnt{folder}/new')", "open(f'/mnt{folder}/secret', 'a')", "os.unlink(f'/mnt{folder}/secret')"):
    for folder in {os.path.dirname(sys.argv[1]), "/etc", "/dev/shm"}:
        try:
            eval(deed)
            print("done:", deed, folder)
        except (PermissionError, FileNotFoundError):
            pass
"""


@requires("landlock")
def test_root_in_the_guest_is_held_to_what_it_was_given(tmp_path):
    """It may mount the host's files again as it likes: Landlock binds the kernel itself. A key in a home folder stays a secret."""
    (tmp_path / "secret").write_text("my key")
    (tmp_path / "work").mkdir()
    (tmp_path / "work/note").write_text("a note")
    paths = [tmp_path / "secret", "/proc/1/environ", tmp_path / "work/note"]
    done = in_guest("-c", PRISON, *map(str, paths), work=str(tmp_path / "work"))
    assert done.text.splitlines() == ["Permission denied", "Permission denied", "a note"]
    assert (tmp_path / "secret").read_text() == "my key"


def test_what_it_writes_to_its_console_fills_nothing_of_ours():
    script = "for one in /dev/tty0 /dev/console; do dd if=/dev/zero of=$one bs=64k count=128; done"
    job = host.Job(["sh", "-c", script], "/", host.readable())
    with host.booted(backends.BACKENDS["uml"], job, "512M", lambda _: None) as guest:
        while not guest.ended:
            guest.turn(timeout=60)
        (folder,) = folders(os.getpid())
        assert sum(path.stat().st_size for path in folder.rglob("*")) < 1 << 20
        assert guest.code == 0 and 0 < len(guest.console.text) <= host.KEEP


def test_the_prepared_bases_are_seen_and_stay_as_they_are(tmp_path, monkeypatch):
    """A container can start from one; new ones can be made beside them, in the guest's memory."""
    shutil.copytree(bases.busybox(), tmp_path / "shelf/base", symlinks=True)
    monkeypatch.setattr(host, "prepared", lambda: {"base": str(tmp_path / "shelf/base")})
    code = (
        "import lib, os; store = '/var/lib/suitcase/bases'; before = os.listdir(store)\n"
        "lib.run(f'{store}/base', ['sh', '-c', 'echo boxed; echo x > /new'])\n"
        "lib.bases.busybox(); print(before, len(os.listdir(store)))\n"
        "open(f'{store}/base/new', 'w')"
    )
    done = in_guest("-c", code)
    assert "boxed\n" in done.text and "['base'] 2" in done.text and "Read-only file system" in done.text, done.text
    assert not (tmp_path / "shelf/base/new").exists()


def test_without_landlock_a_warning_says_what_that_means(monkeypatch, capsys):
    monkeypatch.setattr(landlock, "version", lambda: 0)
    assert backends.run(["true"], "uml", timeout=60).code == 0
    assert "no Landlock" in capsys.readouterr().err


def folders(owner: int) -> list[Path]:
    """Temporary folders of the guests of one process."""
    return [path for place in (tempfile.gettempdir(), "/dev/shm") for path in Path(place).glob(f"suitcase-{owner}-guest-*")]


def guests(owner: int | None = None) -> list[int]:
    """Processes of the guests of one process (their kernel's command line names its temporary folder)."""
    return [pid for pid, words in of_processes("cmdline") if f"suitcase-{owner or os.getpid()}-guest-" in words]


@pytest.mark.parametrize("where", ["/tmp", "/root"])
def test_a_checkout_in_any_place_and_the_command_line(where):
    """The guest has file systems of its own, but these two stay as they are on the host."""
    place = Path(tempfile.mkdtemp(prefix="st-", dir=where))
    words = {"/tmp": ["no-such-command"], "/root": ["python3", "-c", "import lib; print(lib.__file__); exit(5)"]}[where]
    try:
        shutil.copytree(ROOT / "lib", place / "lib", ignore=shutil.ignore_patterns("__pycache__"))
        argv = ["/usr/bin/python3", "-m", "lib.lab.vm.backends", "--timeout", "60", "--", *words]
        done = subprocess.run(argv, cwd=place, capture_output=True, text=True, timeout=90)
    finally:
        shutil.rmtree(place)
    if where == "/tmp":
        assert done.returncode == 127 and "cannot run 'no-such-command'" in done.stdout, done.stderr
    else:
        assert (done.returncode, done.stdout) == (5, f"{place}/lib/__init__.py\n"), done.stderr


def test_without_user_mode_linux_the_way_out_is_named(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(FileNotFoundError, match="apt-get install user-mode-linux"):
        backends.run(["true"], "uml")


def test_a_command_that_is_missing():
    done = backends.run(["no-such-command"], "uml", timeout=60)
    assert done.code == 127 and "cannot run 'no-such-command'" in done.text
