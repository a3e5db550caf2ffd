"""A real virtual machine: booted, asked, accounted, ended; and what is said where none can be booted."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.needs import requires

from lib import linux, state
from lib.lab import peers
from lib.lab.doctor import prepare
from lib.lab.vm import bootmedia, distrokernels, footprint, hypervisor, netns_http, qemuguest, vm
from lib.process import TimeLimit

SMAPS = """7f0000000000-7f0008000000 rw-p 00000000 00:00 0
Pss:              100 kB
7f1000000000-7f1000400000 rwxp 00000000 00:00 0
Pss:               20 kB
555500000000-555500001000 r-xp 00000000 08:01 5 /usr/bin/qemu
Pss:                3 kB
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]
"""


@pytest.fixture(scope="module")
def guest():
    with vm.boot() as one:
        yield one


@requires("root", "vm")
class TestGuest:
    """One guest for all of these; it is gone when the last one has passed."""

    pytestmark = pytest.mark.may_leave  # until then it is there

    def test_it_serves_and_has_a_kernel_of_its_own(self, guest):
        assert guest.page() == "hello\n"
        about = guest.facts()
        assert about.release == distrokernels.kernel().version != os.uname().release
        assert about.boot_id != linux.read("/proc/sys/kernel/random/boot_id").strip() and about.processes > 10

    def test_its_timeline_goes_forward_to_the_first_byte(self, guest):
        moments = list(guest.timeline.values())
        assert next(iter(guest.timeline)) == "its kernel begins" and list(guest.timeline)[-1] == "the first byte is served"
        assert moments == sorted(moments) and guest.started == moments[-1]

    def test_every_page_of_its_process_is_accounted_once(self, guest):
        cost = guest.memory()
        assert abs(cost.total - footprint.proportional(guest.pid)) < 8 << 20  # two readings of a process that runs
        assert 16 << 20 < cost.guest <= guest.given << 20 and cost.emulator > 0
        assert (cost.translated > 0) == (guest.accelerator == "tcg")

    def test_it_is_root_in_its_own_world_only(self, guest):
        year = subprocess.run(["date", "+%Y"], capture_output=True, text=True).stdout
        assert guest.sh(vm.QUESTIONS["clock"]) == "2013\n" != year
        assert guest.sh(vm.QUESTIONS["module"]) == guest.sh(vm.QUESTIONS["nap"]) == "1\n"
        assert subprocess.run(["date", "+%Y"], capture_output=True, text=True).stdout == year

    def test_its_only_way_out_is_to_us(self, guest):
        """Its network card is restricted: what this machine listens at cannot be reached from inside."""
        with socket.create_server(("127.0.0.1", 0)) as line:
            port = line.getsockname()[1]
            line.settimeout(0.5)
            guest.sh(f"timeout 2 nc -w 1 10.0.2.2 {port} < /dev/null")
            with pytest.raises(TimeoutError):
                line.accept()

    def test_it_listens_on_the_loopback_address_alone(self, guest):
        rows = [line.split() for line in linux.read("/proc/net/tcp").splitlines()[1:]]
        here = [row[1].split(":")[0] for row in rows if row[3] == "0A" and int(row[1].split(":")[1], 16) == guest.port]
        assert here == ["0100007F"]


@requires("root", "vm")
def test_when_it_is_removed_nothing_is_left():
    with vm.boot() as one:
        pid, port, folders = one.pid, one.port, set(one.cgroup.folders.values())
        assert one.charged() > 1 << 20
    assert not os.path.exists(f"/proc/{pid}") and not any(map(os.path.exists, folders))
    with pytest.raises(OSError):
        netns_http.connect(None, port)


@requires("root", "vm")
def test_a_machine_that_does_not_come_up_says_its_last_words_and_is_removed(monkeypatch):
    monkeypatch.setattr(qemuguest, "MARKS", {"@init": "its first process runs", "@never": "something that does not happen"})
    whole = qemuguest.Guest.wait_for

    def wait_for(self, mark, words, began, patience):
        now = time.perf_counter()
        whole(self, mark, words, began, 100) if mark == "@init" else whole(self, mark, words, now - 7, 8)

    monkeypatch.setattr(qemuguest.Guest, "wait_for", wait_for)
    with pytest.raises(TimeLimit, match=r"no 'something that does not happen' within 8 s: .*@init"):
        vm.boot()


@requires("root", "vm")
def test_a_qemu_that_ends_at_once_is_quoted(monkeypatch):
    line = hypervisor.command_line("tcg", 128)
    monkeypatch.setattr(hypervisor, "command_line", lambda *_: [*line, "-no-such-option"])
    with pytest.raises(RuntimeError, match=r"ended before .*no-such-option"):
        vm.boot()


@requires("root", "vm")
def test_the_accelerator_is_tried_once_for_each_boot(monkeypatch):
    tried = []
    monkeypatch.setattr(hypervisor, "kvm_works", lambda: bool(tried.append(1)))
    note = state.runtime_dir() / "accelerator"
    note.unlink(missing_ok=True)
    assert [hypervisor.accelerator(), hypervisor.accelerator()] == ["tcg", "tcg"] and len(tried) == 1
    note.write_text("another-boot kvm\n")
    assert hypervisor.accelerator() == "tcg" and len(tried) == 2


def test_memory_is_split_by_what_a_mapping_is():
    assert footprint.account(SMAPS, 128 << 20) == footprint.Memory(guest=100 << 10, translated=20 << 10, emulator=3 << 10)


def test_the_port_of_a_process_is_found_by_its_sockets():
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        with pytest.raises(RuntimeError, match="listens at no port"):
            qemuguest.listening_port(os.getpid())
        line.listen()
        assert qemuguest.listening_port(os.getpid()) == line.getsockname()[1]


# -- where none can be booted ----------------------------------------------------------------------


@pytest.mark.parametrize("full", [False, True])
def test_without_a_virtual_machine_the_recorded_one_answers_and_says_so(monkeypatch, capsys, full):
    monkeypatch.setattr(hypervisor, "why_not", lambda: "no QEMU here")
    monkeypatch.delenv("SUITCASE_PEERS", raising=False)
    with vm.start(full=full) as one:
        assert "NOT MEASURED HERE" in (said := capsys.readouterr().out) and "no QEMU here" in said and one.label in said
        assert "recorded on" in repr(one) and one.started > 0 and one.page() == "hello\n" and not one.pid
        assert one.memory().total > one.used_inside() > 0 and one.charged() > 0 and one.size() > 0
        assert one.facts().boot_id and all(one.sh(script) is not None for script in vm.QUESTIONS.values())
        assert list(one.timeline)[-1] == "the first byte is served" and abs(sum(one.stages.values()) - one.started) < 1e-6
        assert len(one.stages) == 5 and min(one.stages.values()) >= 0 and one.accelerator in qemuguest.PATIENCE


def test_where_it_is_required_a_recorded_one_is_an_error(monkeypatch):
    monkeypatch.setattr(hypervisor, "why_not", lambda: "no QEMU here")
    monkeypatch.setenv("SUITCASE_PEERS", "required")
    with pytest.raises(FileNotFoundError, match="no QEMU here"):
        vm.start()


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(hypervisor.shutil, "which", lambda name: None)
    assert "apt-get install qemu-system-" in hypervisor.why_not()
    monkeypatch.setattr(hypervisor.platform, "machine", lambda: "vax")
    assert "no recipe for Linux on vax" in hypervisor.why_not()


# -- its parts -----------------------------------------------------------------------------------------


def test_the_archive_is_one_that_cpio_reads(tmp_path):
    if not Path("/bin/busybox").exists():
        pytest.skip("needs busybox")
    tree = tmp_path / "tree"
    (tree / "bin").mkdir(parents=True)
    (tree / "bin/app").write_bytes(b"x" * 4097)
    (tree / "bin/app").chmod(0o755)
    (tree / "bin/link").symlink_to("app")
    archive = tmp_path / "archive"
    archive.write_bytes(b"".join(bootmedia.cpio(tree)))
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run(["/bin/busybox", "cpio", "-id"], stdin=open(archive, "rb"), cwd=out, check=True, capture_output=True)
    assert (out / "bin/app").read_bytes() == b"x" * 4097 and (out / "bin/app").stat().st_mode & 0o777 == 0o755
    assert os.readlink(out / "bin/link") == "app"


@requires("root", "vm")
def test_a_driver_comes_after_those_that_it_needs():
    names = [path.name.split(".")[0] for path in distrokernels.kernel().modules("virtio_net")]
    assert names.index("net_failover") < names.index("virtio_net") and len(names) == len(set(names))


def test_a_compressed_driver_is_read_and_an_unknown_compression_named(tmp_path):
    import lzma

    path = tmp_path / "some.ko.xz"
    path.write_bytes(lzma.compress(b"\0depends=one,two\0"))
    assert distrokernels.needs(path) == ["one", "two"]
    with pytest.raises(ValueError, match="compressed in a way"):
        distrokernels.plain_module(tmp_path / "some.ko.zst")


def test_a_failing_apt_is_quoted():
    with pytest.raises(FileNotFoundError, match=r"false .*failed"):
        distrokernels.apt("false", "x")
    with pytest.raises(FileNotFoundError, match="no-such-program is missing"):
        distrokernels.apt("no-such-program")


@requires("docker")
def test_what_takes_minutes_in_an_emulated_machine_is_not_tried_there(monkeypatch):
    monkeypatch.setenv("SUITCASE_GUEST", "QEMU (TCG)")
    assert "emulated" in hypervisor.why_not()
    with pytest.raises(peers.Missing, match="emulated"), peers.dockerd():
        pass


def test_what_cannot_be_prepared_is_said_and_is_no_error(monkeypatch, capsys):
    def broken():
        raise RuntimeError("mmdebstrap failed with 1:\nmuch more")

    monkeypatch.setattr(prepare, "PARTS", {"a thing": broken, "another": lambda: None})
    monkeypatch.setattr(prepare.os, "geteuid", lambda: 0)
    assert prepare.main([]) == 0
    assert capsys.readouterr().err == "prepare: a thing is left out: mmdebstrap failed with 1:\n"
    monkeypatch.setattr(prepare.os, "geteuid", lambda: 1000)
    assert prepare.main([]) == 0 and "not root" in capsys.readouterr().err


# -- a temporary folder of the chapter --------------------------------------------------------------------------------------

VICTIM = """
import os, signal
from lib.lab.chapters import tempfolder
(tempfolder.folder() / "file").write_text("x")
print(tempfolder.folder(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@requires("root")
def test_a_temporary_folder_goes_with_its_notebook_also_when_that_is_killed():
    from lib.lab.chapters import tempfolder

    (tempfolder.folder() / "deep").mkdir()
    mine = tempfolder.folder()
    tempfolder.clear()
    assert not mine.exists()
    killed = subprocess.run([sys.executable, "-c", VICTIM], capture_output=True, text=True)
    place = Path(killed.stdout.strip())
    assert place.is_dir()
    state.gc()
    assert not place.exists()


# -- the chapter where no virtual machine can be booted ---------------------------------------------------

NONE_HERE = "from lib.lab.vm import hypervisor\nhypervisor.why_not = lambda: 'no QEMU here'"


@requires("root", "overlay", "memory", "cpu", "pids", "mmdebstrap")
@pytest.mark.timeout(300)
def test_the_chapter_runs_whole_with_the_recorded_machine(monkeypatch):
    import nbformat

    from lib.lab.jupyter.chapterlist import choose, home
    from lib.lab.jupyter.execution import execute

    monkeypatch.delenv("SUITCASE_PEERS", raising=False)
    book = nbformat.read(choose("01")[0].path(home()), as_version=4)
    setup = next(index for index, cell in enumerate(book.cells) if "setup" in cell.metadata.get("tags", []))
    book.cells.insert(setup + 1, nbformat.v4.new_code_cell(NONE_HERE))
    execute(book, home(), timeout=120)
    printed = "".join(output.get("text", "") for cell in book.cells for output in cell.get("outputs", []))
    assert printed.count("NOT MEASURED HERE") >= 3 and "no QEMU here" in printed and "nothing left: no process" in printed
