"""The Jupyter kernel in the lab VM: what a client may do with a kernel, what becomes of it when one side is killed, what it may touch."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from helpers.labclient import Client, check_way_out, rests
from helpers.needs import requires
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

from lib.lab.bench import labbench
from lib.lab.doctor.leaks import processes
from lib.lab.jupyter import kernelproxy, kernelspecs
from lib.lab.vm import backends, host, hypervisor
from lib.lab.vm.mux import DATA, HEAD, OPEN, WINDOW, Mux

ROOT = Path(__file__).parents[3]
guests = pytest.mark.skipif("SUITCASE_GUEST" in os.environ, reason="this is the guest")


@pytest.fixture(scope="module")
def specs(tmp_path_factory):
    """A folder with our kernelspecs."""
    folder = tmp_path_factory.mktemp("specs")
    for name in kernelspecs.TITLES:
        kernelspecs.install(folder, name)
    return folder


@pytest.fixture
def lab(specs, tmp_path):
    """Starts kernels in the lab VM; they are ended with the test."""
    started = []

    def start(**how):
        started.append(Client(specs, tmp_path, **how))
        return started[-1]

    yield start
    for one in started:
        one.end()


def patiently(question, seconds: float = 60):
    """Ask until the answer is yes, or the time is up."""
    deadline = time.monotonic() + seconds
    while not question() and time.monotonic() < deadline:
        time.sleep(0.05)
    return question()


# -- the life of a kernel ----------------------------------------------------------------------------------


@guests
@requires("linux.uml")
def test_the_life_of_a_kernel(lab, tmp_path):
    """Cells, standard input, a widget's messages, files, the interrupt, a restart, the end; one guest for all, as each takes seconds."""
    one = lab().ready()
    seen = one.run("import os; print(os.getuid(), os.uname().nodename, os.getcwd(), os.path.exists('/sys/fs/cgroup/cgroup.controllers'))")
    assert seen == f"0 lab {tmp_path} True\n"
    assert one.run("print('hello', input('who? '))", answer="you") == "hello you\n"
    assert "IntSlider(value=7)" in one.run("import ipywidgets; ipywidgets.IntSlider(7)")
    assert one.run("open('note', 'w').write('kept'); open('/etc/never', 'w').write('x'); open('/tmp/gone', 'w').write('x')") == "1"
    assert (tmp_path / "note").read_text() == "kept"
    assert not Path("/etc/never").exists() and not Path("/tmp/gone").exists()
    assert len(one.run("print('x' * 3_000_000)")) == 3_000_001
    assert one.run(f"len({'y' * 300_000!r})") == "300000"
    for cell in ("print('busy', flush=True)\nwhile True: pass", "!echo busy; sleep 1000"):
        one.run(cell, stop_at="busy")
    assert one.run("6 * 7") == "42"
    before = one.pid
    one.manager.restart_kernel()
    one.ready()
    assert rests(before) == [] and one.run("print(os.path)").startswith("name 'os' is not defined"), "a fresh one"
    last = one.pid
    one.manager.shutdown_kernel()
    assert rests(last) == []


@guests
@requires("linux.uml", "busybox")
def test_two_at_once_and_each_runs_containers(lab):
    two = [lab(), lab()]
    for number, one in enumerate(two):
        one.ready().run(f"import lib; mine = {number}")
    for number, one in enumerate(two):
        assert one.run("lib.run('busybox', ['echo', f'{mine}'], memory='32m').text").strip().endswith(f"'{number}\\n'")


@guests
@requires("linux.uml")
def test_the_transport_over_sockets_in_the_file_system(lab, tmp_path):
    """No port that others on this machine could reach."""
    one = lab(manager={"transport": "ipc", "ip": str(tmp_path / "k")}).ready()
    assert one.run("6 * 7") == "42"
    one.end()
    assert list(tmp_path.glob("k-*")) == []


@guests
@requires("linux.uml")
def test_a_killed_guest_is_a_dead_kernel(lab):
    """Only the main process is killed, as the host's OOM killer does it: the others go too, and the client is told."""
    one = lab().ready()
    children = [pid for pid, (parent, name, _) in processes().items() if parent == one.pid and name.startswith("linux")]
    os.kill(children[0], signal.SIGKILL)
    assert patiently(lambda: not one.manager.is_alive())
    assert patiently(lambda: rests(one.pid) == [])


CLIENT = """
import sys
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager
manager = KernelManager(kernel_name="suitcase-lab", kernel_spec_manager=KernelSpecManager(kernel_dirs=[sys.argv[1]]))
manager.start_kernel()
client = manager.client()
client.start_channels()
client.wait_for_ready(timeout=60)
client.execute_interactive(sys.argv[2], output_hook=lambda message: print(message["content"].get("text", ""), end="", flush=True))
print(manager.provisioner.process.pid, flush=True)
if sys.argv[3:]:
    manager.shutdown_kernel()
else:
    import time
    time.sleep(1000)
"""


@guests
@requires("linux.uml")
@pytest.mark.may_leave
def test_a_killed_client_leaves_nothing(specs, tmp_path):
    """Neither when the client is killed, nor when the kernel's process here is killed itself."""
    for victim in ("client", "kernel"):
        environment = os.environ | {"JUPYTER_RUNTIME_DIR": str(tmp_path)}
        command = [sys.executable, "-c", CLIENT, str(specs), "print('up')"]
        with subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as client:
            assert client.stdout.readline() == "up\n"
            kernel = int(client.stdout.readline())
            assert rests(kernel)
            os.kill(client.pid if victim == "client" else kernel, signal.SIGKILL)
            assert patiently(lambda: rests(kernel) == []), victim  # noqa: B023 - asked at once
            client.kill()


@guests
@requires("root", "linux.uml")
@pytest.mark.may_leave
def test_an_ordinary_user():
    """Without any right of root on this machine, root in the lab VM."""
    if subprocess.run([sys.executable, "-c", "import lib.lab, jupyter_client"], user=65534, extra_groups=[], cwd="/").returncode:
        pytest.skip("this Python or this checkout lies where an ordinary user does not get")
    with tempfile.TemporaryDirectory(prefix="st-", dir="/tmp") as home:
        os.mkdir(f"{home}/work")
        for folder in (home, f"{home}/work"):
            os.chown(folder, 65534, 65534)
        kernelspecs.install(Path(home), kernelspecs.LAB)
        cell = "import os, lib; open('note', 'w').close(); print(os.getuid(), lib.run('busybox', ['id', '-u'], show=False).text.strip())"
        done = subprocess.run(
            [sys.executable, "-c", CLIENT, home, cell, "end"], cwd=f"{home}/work", user=65534, group=65534, extra_groups=[],
            env={"HOME": home, "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "SUITCASE_RUN": f"{home}/run"},
            capture_output=True, text=True, timeout=100,
        )  # fmt: skip
        assert done.stdout.startswith("0 0\n"), done.stdout + done.stderr
        assert os.stat(f"{home}/work/note").st_uid == 65534


@guests
@requires("linux.uml")
def test_a_boot_that_fails_says_why(specs, tmp_path):
    """With too little memory; the last words of the console stand in the log."""
    told = open(tmp_path / "log", "w+")
    kernelspecs.install(specs / "small", kernelspecs.LAB, memory="8M")
    one = Client(specs / "small", tmp_path, stderr=told)
    assert patiently(lambda: not one.manager.is_alive(), 30)
    one.end()
    told.seek(0)
    words = told.read()
    assert "starting user-mode-linux with 8M" in words and "its last words:\nToo few physical memory" in words


@guests
@requires("linux.uml", "libslirp-helper")
def test_the_way_out(specs, tmp_path):
    """Into the world as an ordinary program's connections; this machine's own 127.0.0.1 stays closed."""
    kernelspecs.install(specs / "net", kernelspecs.LAB, network=True)
    one = Client(specs / "net", tmp_path).ready()
    try:
        check_way_out(one)
    finally:
        one.end()


@guests
@requires("linux.uml")
def test_every_number_of_the_lab_vm_is_measured():
    assert {name: len(values) for name, values in labbench.measure("uml", rounds=1).items()} == dict.fromkeys(labbench.REACHES, 1)


def test_a_chapter_is_booted_by_whose_kernel_has_what_it_needs(monkeypatch, capsys):
    """Jupyter says which notebook it is. Without QEMU's kernel the usual one boots, and the chapter's first cell says what is missing."""
    qemu, there = backends.BACKENDS["qemu"], ""
    for question in ("lacks", "unfetched"):
        monkeypatch.setattr(qemu, question, lambda: there, raising=False)
    booted = {name: kernelproxy.back_end("uml", f"/home/me/{name}") for name in ("04-networking.ipynb", "04-mine.ipynb", "03-x.ipynb", "")}
    assert list(booted.values()) == ["qemu", "uml", "uml", "uml"] and "user-mode-linux" in capsys.readouterr().err
    assert kernelproxy.back_end("qemu", "/home/me/04-networking.ipynb") == "qemu"
    there = "not fetched"
    assert kernelproxy.back_end("uml", "/home/me/04-networking.ipynb") == "uml" and not capsys.readouterr().err


# -- what it may touch -------------------------------------------------------------------------------------


def test_a_folder_that_holds_more_than_notebooks_is_not_shared(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path / "home/me"))
    (tmp_path / "home/me/notebooks").mkdir(parents=True)
    for folder in ("/", "/usr", str(ROOT), str(tmp_path / "home"), str(tmp_path / "home/me"), tempfile.gettempdir()):
        assert kernelproxy.work_folder(folder) is None, folder
    assert kernelproxy.work_folder(str(tmp_path / "home/me/notebooks")) and kernelproxy.work_folder(str(ROOT / "notebooks"))
    assert kernelproxy.places(str(ROOT)) == (None, str(ROOT)) and "goes to memory" in capsys.readouterr().err
    monkeypatch.chdir(tmp_path / "home/me")
    job = kernelproxy.job({}, network=False)
    assert (job.work, job.cwd) == (None, "/root") and "not seen" in capsys.readouterr().err
    assert not {str(tmp_path / "home/me"), "/root"} & set(job.read)


def test_the_guest_gets_no_secret_of_the_environment(monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "secret")
    monkeypatch.setenv("https_proxy", "http://proxy")
    quiet, open_to_the_world = host.guest_env({}, "x"), host.guest_env({}, "x", network=True)
    assert "MY_TOKEN" not in quiet | open_to_the_world and "https_proxy" not in quiet and open_to_the_world["https_proxy"]
    assert not any(Path.home() == Path(one) or Path.home().is_relative_to(one) for one in host.readable())


# -- the line ----------------------------------------------------------------------------------------------


@pytest.fixture
def line():
    """Two ends of a line, and a client's connection that leads to a port of the other end."""
    with contextlib.ExitStack() as undo:
        ends = [undo.enter_context(one) for one in socket.socketpair()]
        client, ours = (undo.enter_context(one) for one in socket.socketpair())
        far, theirs = (undo.enter_context(one) for one in socket.socketpair())
        host = Mux(ends[0].fileno(), lambda _: None)
        guest = Mux(ends[1].fileno(), lambda _: None, dial=lambda port: theirs.dup() if port == 7 else None)
        host.connect(ours, 7)
        undo.callback(host.close)
        undo.callback(guest.close)
        yield host, guest, client, far


def turns(*ends: Mux, times: int = 400) -> None:
    for _ in range(times):
        for end in ends:
            end.turn(timeout=0)


def test_what_nobody_reads_fills_no_memory(line):
    host, guest, client, far = line
    client.setblocking(False)
    sent = 0
    for _ in range(100):
        with contextlib.suppress(BlockingIOError):
            sent += client.send(bytes(1 << 18))
        turns(host, guest, times=200)
    held = len(host.outbox) + sum(len(one.waiting) for one in guest.channels.values())
    assert WINDOW // 2 < sent < 100 << 18 and held <= 2 * WINDOW
    far.setblocking(False)
    got = 0
    while got < sent:
        turns(host, guest, times=5)
        with contextlib.suppress(BlockingIOError):
            got += len(far.recv(1 << 20))
    assert got == sent, "and it all comes when somebody reads"


def test_an_end_comes_after_the_last_byte(line):
    host, guest, client, far = line
    client.sendall(b"bye")
    client.close()
    turns(host, guest, times=20)
    assert far.recv(10) == b"bye" and not host.channels and not guest.channels


@pytest.mark.parametrize("frame", [HEAD.pack(OPEN, 9, 2) + b"22", HEAD.pack(DATA, 0, (1 << 32) - 1) + bytes(9)])
def test_a_guest_that_says_what_no_guest_has_to_say_is_given_up(frame):
    """Whoever is root in it may: to be connected to a port of ours, or to have us wait for 4 GiB."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(frame)
        with pytest.raises(EOFError):
            Mux(ours.fileno(), lambda _: None).turn(timeout=5)


def test_the_end_of_the_line_is_told(line):
    host, guest, *_ = line
    os.close(os.dup(guest.line))
    socket.socket(fileno=os.dup(guest.line)).shutdown(socket.SHUT_RDWR)
    with pytest.raises(EOFError):
        turns(host)


# -- the installer ------------------------------------------------------------------------------------------


def command(*words: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "lib.lab", *words], cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=100
    )


@guests
@requires("linux.uml")
def test_install_and_uninstall(tmp_path):
    done = command("install", "--prefix", str(tmp_path), "--memory", "3G", "--backend", "uml")
    assert done.returncode == 0 and "booted by user-mode-linux" in done.stdout and "chapter 4" in done.stdout, done.stderr
    folder = tmp_path / "share/jupyter/kernels"
    found = KernelSpecManager(kernel_dirs=[str(folder)], ensure_native_kernel=False).get_all_specs()
    assert {one["spec"]["display_name"] for one in found.values()} == {"Python (this machine)", "Python (lab VM)"}
    assert "3G" in found["suitcase-lab"]["spec"]["argv"]
    assert command("uninstall", "--prefix", str(tmp_path)).returncode == 0
    assert list(folder.iterdir()) == []


def test_where_it_cannot_run_the_lab_vm_is_refused_with_the_reason(tmp_path):
    """And one from better days is taken away."""
    folder = tmp_path / "share/jupyter/kernels"
    kernelspecs.install(folder, kernelspecs.LAB)
    done = command("install", "--prefix", str(tmp_path), PATH="/nowhere")
    assert done.returncode == 3 and ("apt-get install user-mode-linux" in done.stderr or "x86-64 only" in done.stderr)
    specs = KernelSpecManager(kernel_dirs=[str(folder)])
    assert json.loads((folder / kernelspecs.HERE / "kernel.json").read_text())["display_name"] == "Python (this machine)"
    with pytest.raises(NoSuchKernel):
        specs.get_kernel_spec(kernelspecs.LAB)


def test_a_machine_on_which_it_does_not_boot_is_told(tmp_path):
    """A faked user-mode-linux that may not trace, as under some sandboxes."""
    fake = tmp_path / "linux.uml"
    fake.write_text("#!/bin/sh\necho 'check_ptrace: Operation not permitted'; exit 1\n")
    fake.chmod(0o755)
    done = command("install", "--prefix", str(tmp_path), "--backend", "uml", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 3 and ("check_ptrace: Operation not permitted" in done.stderr or "x86-64 only" in done.stderr)


def test_the_first_back_end_that_works_is_taken(monkeypatch):
    """QEMU first where KVM works; the reason of each one that does not is told; what would have to be fetched is not tried unasked."""
    monkeypatch.setattr(backends, "trial", lambda name: {"uml": "no ptrace", "qemu": ""}[name])
    monkeypatch.setattr(hypervisor, "accelerator", lambda: "tcg")
    monkeypatch.setattr(backends.BACKENDS["qemu"], "unfetched", lambda: "not fetched", raising=False)
    assert backends.order() == ["uml", "qemu"] and backends.pick() == ("qemu", "")
    assert backends.pick(fetch=False) == ("", "user-mode-linux: no ptrace; QEMU (TCG): not fetched")
    assert backends.pick("uml") == ("", "user-mode-linux: no ptrace")
    monkeypatch.setattr(hypervisor, "accelerator", lambda: "kvm")
    assert backends.order() == ["qemu", "uml"]
