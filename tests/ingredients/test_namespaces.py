"""Each namespace alone and all together, joining an existing one, names, PID 1."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest
from helpers.needs import requires
from helpers.steps import Steps
from helpers.waiting import wait_for

import lib
from lib import linux
from lib.ingredients import Hostname, Init, Join, Loopback, Namespaces, Time, User
from lib.ingredients.namespaces import KINDS, identity
from lib.process import Plan, Step, StepError

pytestmark = requires("root")
LINKS = "for n in {}; do readlink /proc/self/ns/$n; done".format(" ".join(KINDS))
NEW = [kind for kind in KINDS if identity("self", kind)]


def sh(script, *ingredients, **how):
    return Plan(["sh", "-c", script], ingredients).run(**{"show": False, "timeout": 30} | how)


def kinds_changed(*ingredients) -> set[str]:
    seen = sh(LINKS, *ingredients).text.split()
    return {name.partition(":")[0] for name in seen if name != identity("self", name.partition(":")[0])}


@pytest.mark.parametrize("kind", NEW)
def test_each_alone(kind):
    assert kinds_changed(Namespaces(kind)) == {kind}


def test_all_together():
    assert kinds_changed(Namespaces(*NEW), User()) == set(NEW)


def test_none_is_the_callers():
    assert kinds_changed() == set()


def test_pid_1_and_its_children():
    assert sh("echo $$; sh -c 'echo $PPID'", Namespaces("pid")).text.split() == ["1", "1"]


def test_hostname_stays_inside():
    before = os.uname().nodename
    assert sh("uname -n", Hostname("box")).text == "box\n" and os.uname().nodename == before


def test_loopback_is_up_and_alone():
    flags = sh("cat /proc/net/dev; cat /proc/net/fib_trie", Loopback(), Namespaces("mnt"), Steps(
        Step("mounts", "mount", ("sysfs", "/sys", "sysfs"), "shows its own network"))).text  # fmt: skip
    assert "lo:" in flags and "127.0.0.1" in flags and "eth0" not in flags


def test_ipc_and_mounts_stay_inside(tmp_path):
    mounted = Steps(Step("mounts", "mount", ("tmpfs", str(tmp_path), "tmpfs"), "only in here"))
    assert str(tmp_path) in sh("cat /proc/self/mounts", Namespaces("mnt"), mounted).text
    assert str(tmp_path) not in linux.read("/proc/self/mounts")
    assert sh("cat /proc/sysvipc/shm | wc -l", Namespaces("ipc")).text.strip() == "1"


@requires("timens")
def test_a_clock_of_its_own():
    far = sh("cat /proc/uptime", Time(boottime=1_000_000)).text.split()[0]
    assert float(far) > 1_000_000


def test_root_inside_is_somebody_else_outside():
    done = sh("id -u; cat /proc/self/uid_map", User(uids=[(0, 1000, 10)], gids=[(0, 1000, 10)]))
    assert done.text.split() == ["0", "0", "1000", "10"]


def test_joining_an_existing_one():
    with Plan(["sleep", "100"], [Namespaces("uts", "net", "ipc", "mnt"), Hostname("joined")]).start() as other:
        seen = sh(LINKS + "; uname -n", Join(other.pid)).text
        for kind in ("uts", "net", "ipc", "mnt"):
            assert os.readlink(f"/proc/{other.pid}/ns/{kind}") in seen
        assert "joined" in seen


def test_joining_by_path_only_what_was_named():
    with Plan(["sleep", "100"], [Namespaces("uts", "net")]).start() as other:
        assert kinds_changed(Join(paths={"net": f"/proc/{other.pid}/ns/net"})) == {"net"}


def test_joining_pid_and_user_namespaces():
    with Plan(["sleep", "100"], [Namespaces("pid"), User()]).start() as other:
        assert sh("echo $PPID; id -u", Join(other.pid)).text.split() == ["0", "0"]


@requires("timens")
def test_joining_a_time_namespace():
    with Plan(["sleep", "100"], [Time(boottime=1_000_000)]).start() as other:
        assert float(sh("cat /proc/uptime", Join(other.pid)).text.split()[0]) > 1_000_000


def test_joining_a_process_that_has_ended():
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
        with pytest.raises(StepError) as error:
            sh("true", Join(paths={"net": f"/proc/{gone.pid}/ns/net"}))
    assert "has the process ended already?" in str(error.value)


# -- PID 1 --------------------------------------------------------------------------------------


@requires("overlay", "busybox")
@pytest.mark.parametrize("init, zombies", [(True, 0), (False, 1)])
def test_zombies_are_reaped_with_init_and_stay_without(init, zombies):
    """PID 1 inherits the orphan; ``sleep`` as PID 1 has never heard of that duty."""
    with lib.start("busybox", ["sleep", "100"], init=init) as box:
        box.exec(["sh", "-c", "(sh -c 'sleep 0.05' &)"], show=False, timeout=30)

        def found() -> int:
            return int(box.exec(["sh", "-c", "ps -o pid,stat,comm | awk '$2 ~ /^Z/' | wc -l"], show=False, timeout=30).text)

        wait_for(lambda: found() == zombies)
        time.sleep(0.2)
        assert found() == zombies, "and so it stays"


@requires("overlay", "busybox")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_signals_are_passed_on_by_init_and_ignored_without(number):
    with lib.start("busybox", ["sleep", "100"], init=True) as box:
        wait_for(lambda: "sleep" in box.exec(["ps", "-o", "comm"], show=False).text)  # before that, nobody listens yet (as in Docker)
        box.kill(number)
        assert box.wait(20).code == 128 + number
    with lib.start("busybox", ["sleep", "100"]) as box:
        box.kill(number)
        assert not linux.readable([box.process.pidfd], 0.05)


def test_a_program_with_a_handler_gets_its_signal_as_pid_1():
    with Plan(["sh", "-c", "trap 'exit 9' TERM; echo up; while :; do sleep 0.01; done"], [Namespaces("pid")]).start() as process:
        while b"up" not in process.logs():
            linux.readable([], 0.01)
        assert process.stop(20).code == 9


def test_init_gives_the_exit_code_on():
    assert sh("exit 7", Namespaces("pid"), Init()).code == 7
    assert sh("kill -9 $$", Namespaces("pid"), Init()).code == 137


def test_with_init_the_program_is_its_child():
    assert sh("echo $$ $PPID", Namespaces("pid"), Init()).text.split() == ["2", "1"]


def test_init_needs_no_pid_namespace():
    assert sh("exit 3", Init()).code == 3


# -- an ordinary user -----------------------------------------------------------------------------

ROOTLESS = """
import os, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
os.environ |= {"SUITCASE_RUN": sys.argv[1] + "/run", "SUITCASE_STORE": sys.argv[1] + "/store", "HOME": sys.argv[1]}
sys.path.insert(0, sys.argv[2])
from lib import run, start
script = "id -u; hostname; touch /made && ls /made; ls /dev/null; echo $$; cat /proc/self/uid_map"
done = run("busybox", ["sh", "-c", script], hostname="box", show=False)
print(done.text.split(), done.errors.decode(), done.code)
with start("busybox", ["sleep", "100"]) as box:
    print(box.exec(["echo", "joined"], show=False).text.strip())
print(run("busybox", ["ls", "/sys/class/net/lo/ifindex"], network="host", show=False).text.strip())
print(sorted(os.listdir(sys.argv[1] + "/store/containers")), [n for n in os.listdir(sys.argv[1] + "/run") if n.endswith(".json")])
"""


@requires("userns", "busybox", "overlay")
def test_an_ordinary_user_has_containers_too(tmp_path_factory):
    import sys
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory(prefix="st-") as place:
        os.chmod(place, 0o755)
        home = Path(place, "home")
        home.mkdir()
        os.chown(home, 65534, 65534)
        root = str(Path(lib.__file__).parents[1])
        done = subprocess.run([sys.executable, "-c", ROOTLESS, str(home), root], capture_output=True, text=True, timeout=60, cwd="/")
    first, second, third, fourth = (done.stdout.splitlines() + [done.stderr] * 4)[:4]
    assert first == "['0', 'box', '/made', '/dev/null', '1', '0', '65534', '1']  0", first + done.stderr
    assert second == "joined" and third == "/sys/class/net/lo/ifindex" and fourth == "[] []", done.stdout + done.stderr
