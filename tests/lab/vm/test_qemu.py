"""The lab VM by QEMU: its life as a Jupyter kernel, what it may touch, and what only the distribution's own kernel can show."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers.labclient import Client, check_way_out, rests
from helpers.needs import missing, requires

from lib import linux, state
from lib.lab.bench import labbench
from lib.lab.jupyter import kernelspecs
from lib.lab.vm import backends, distrokernels, host, landlock, qemu

ROOT = Path(__file__).parents[3]
pytestmark = [requires("lab by qemu"), pytest.mark.skipif("SUITCASE_GUEST" in os.environ, reason="this is the guest")]


def in_guest(*argv, **how):
    return backends.run(list(argv), "qemu", **{"timeout": 100, "cwd": ROOT} | how)


@pytest.mark.timeout(400)
def test_the_life_of_a_kernel(tmp_path):
    """Start, cells, what its kernel has, files, the way out, interrupt, shutdown; then nothing is left."""
    (tmp_path / "work").mkdir()
    network = not missing(["libslirp-helper"])
    kernelspecs.install(tmp_path, kernelspecs.LAB, "qemu", network=network)
    one = Client(tmp_path, tmp_path / "work").ready()
    try:
        pid = one.pid
        assert one.run("import os; print(os.getuid(), os.uname().nodename, os.getcwd())") == f"0 lab {tmp_path}/work\n"
        groups = one.run("from lib.ingredients import cgroups; print(cgroups.backend().version, *cgroups.backend().controllers())").split()
        assert groups[0] == "2" and {"cpuset", "cpu", "io", "memory", "pids"} <= set(groups)
        assert "full avg10" in one.run("print(open('/proc/pressure/memory').read())")
        assert one.run("open('note', 'w').write('kept'); open('/etc/never', 'w').write('x')") == "1"
        assert (tmp_path / "work/note").read_text() == "kept" and not Path("/etc/never").exists()
        assert one.run("import lib; lib.run('busybox', ['echo', 'boxed'], memory='32m', show=False).text") == r"'boxed\n'"
        if network:
            check_way_out(one)
        one.run("print('busy', flush=True)\nwhile True: pass", stop_at="busy")
        assert one.run("6 * 7") == "42" and rests(pid)
        one.manager.shutdown_kernel()
        assert rests(pid) == []
    finally:
        one.end()


def test_what_the_first_cell_of_chapter_4_says_there():
    """What it says must be true: the stage "lab" runs it there, whole."""
    done = in_guest(sys.executable, "-c", "from lib.lab.doctor import machine; print(machine.opening('04'))")
    assert "Chapter 4 runs whole here" in done.text and ("minutes" in done.text) == ("(TCG)" in done.text), done.text


@contextmanager
def lent_kernels(store: Path, owner: int):
    """A user's own store with the kernels that set-up has prepared: root's store is for nobody else, and to fetch them takes minutes."""
    found = [path for pattern in ("kernel-full-*", "vm-lab-*") for path in state.folder("bases").glob(pattern)]
    places = [store / "bases" / path.name for path in found]
    for place in places:
        place.mkdir(parents=True)
    for folder in (store, store / "bases"):
        os.chown(folder, owner, owner)
    for path, place in zip(found, places, strict=True):
        linux.mount(str(path.resolve()), str(place), None, "bind")
    try:
        yield
    finally:
        for place in places:
            linux.umount(str(place))


@requires("root")
@pytest.mark.may_leave
def test_an_ordinary_user():
    if subprocess.run([sys.executable, "-c", "import lib.lab"], user=65534, extra_groups=[], cwd="/").returncode:
        pytest.skip("this Python or this checkout lies where an ordinary user does not get")
    with tempfile.TemporaryDirectory(prefix="st-", dir="/tmp") as home:
        os.mkdir(f"{home}/work")
        for folder in (home, f"{home}/work"):
            os.chown(folder, 65534, 65534)
        command = ["sh", "-c", "id -u | tee note"]
        own = {"HOME": home, "SUITCASE_RUN": f"{home}/run", "SUITCASE_STORE": f"{home}/store"}
        with lent_kernels(Path(home, "store"), 65534):
            done = subprocess.run(
                [sys.executable, "-m", "lib.lab.vm.backends", "--backend", "qemu", "--work", f"{home}/work", "--", *command],
                user=65534, group=65534, extra_groups=[], capture_output=True, text=True, timeout=100, env=os.environ | own, cwd="/",
            )  # fmt: skip
        assert (done.returncode, done.stdout) == (0, "0\n"), done.stdout + done.stderr
        assert os.stat(f"{home}/work/note").st_uid == 65534


# -- what it may touch -------------------------------------------------------------------------------

BREAK_OUT = """
umount /var/lib/suitcase-prepared/0 && mount -t 9p -o trans=virtio,version=9p2000.L shelf0 /mnt && cat /mnt/base/file || exit 1
touch /mnt/new || echo no new file
echo x >> /mnt/base/file || echo no write
rm /mnt/base/file || echo no removal
"""


@pytest.mark.parametrize("without", ["", "readonly", "landlock"])
def test_root_in_the_guest_cannot_change_what_it_reads(without, tmp_path, monkeypatch):
    """It may mount a folder anew, for writing: QEMU serves it for reading only, and Landlock binds QEMU. Each of the two is enough."""
    (tmp_path / "base").mkdir()
    (tmp_path / "base/file").write_text("here\n")
    monkeypatch.setattr(host, "prepared", lambda: {"base": str(tmp_path / "base")})
    if without == "readonly":
        if not landlock.version():
            pytest.skip("this kernel has no Landlock")
        plain = qemu.export
        monkeypatch.setattr(qemu, "export", lambda tag, folder, readonly="off": plain(tag, folder, readonly))
    if without == "landlock":
        monkeypatch.setattr(host, "cage", lambda *_: [])
    done = in_guest("sh", "-c", BREAK_OUT)
    assert done.text.startswith("here\n"), done.text
    assert [line for line in done.text.splitlines() if line.startswith("no ")] == ["no new file", "no write", "no removal"], done.text
    assert (tmp_path / "base/file").read_text() == "here\n" and not (tmp_path / "new").exists()


# -- what Debian's own kernel has ----------------------------------------------------------------------

CONFINED = """
cat > /tmp/profile <<'end'
profile suitcase-lab {
  file,
  deny /tmp/forbidden w,
}
end
apparmor_parser --replace --skip-cache /tmp/profile || exit 1
echo before > /tmp/forbidden
echo free > /tmp/forbidden
aa-exec -p suitcase-lab -- sh -c 'cat /proc/self/attr/current; echo written > /tmp/allowed; echo x > /tmp/forbidden || echo refused'
cat /tmp/allowed /tmp/forbidden
"""


@requires("apparmor_parser")
def test_apparmor_confines():
    """One rule forbids root one write; without the profile the same write goes through."""
    done = in_guest("sh", "-c", CONFINED)
    assert "Permission denied" in done.text
    assert [line for line in done.text.splitlines() if "denied" not in line] == ["suitcase-lab (enforce)", "refused", "written", "free"]


BALANCED = """
set -e
echo 1 > /proc/sys/net/ipv4/ip_forward
for n in 1 2 3; do
    ip netns add n$n; ip link add v$n type veth peer name eth0 netns n$n
    ip address add 10.9.$n.1/24 dev v$n; ip link set v$n up
    ip -n n$n address add 10.9.$n.2/24 dev eth0; ip -n n$n link set eth0 up; ip -n n$n route add default via 10.9.$n.1
done
ipvsadm -A -t 10.9.3.1:80 -s rr
for n in 1 2; do
    mkdir /tmp/$n; echo server $n > /tmp/$n/index.html
    ip netns exec n$n busybox httpd -p 80 -h /tmp/$n
    ipvsadm -a -t 10.9.3.1:80 -r 10.9.$n.2:80 -m
done
for i in 1 2 3 4; do ip netns exec n3 busybox wget -q -O - http://10.9.3.1/; done
"""


@requires("ipvsadm", "ip", "busybox")
def test_ip_vs_balances_between_two_servers():
    """One address, two servers in network namespaces of their own, a client in a third: turn by turn. Swarm's routing mesh is this."""
    done = in_guest("sh", "-c", BALANCED)
    assert sorted(done.text.splitlines()) == ["server 1", "server 1", "server 2", "server 2"], done.text


# -- its parts -----------------------------------------------------------------------------------------


@pytest.mark.timeout(400)
def test_every_number_of_this_back_end_is_measured():
    assert {name: len(values) for name, values in labbench.measure("qemu", rounds=1).items()} == dict.fromkeys(labbench.REACHES, 1)


def test_a_kernel_is_unwrapped():
    kernel = distrokernels.full_kernel()
    assert distrokernels.unwrapped(b"\0" * 4096) is None
    if kernel.plain != kernel.image:
        assert kernel.plain.read_bytes()[:4] == b"\x7fELF" and kernel.version.encode() in kernel.plain.read_bytes()
