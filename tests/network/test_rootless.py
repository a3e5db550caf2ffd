"""Networks of who is not root: the same bridges and names, in namespaces of his own, and slirp4netns as the cable to the machine.

The machine is a network namespace here, as the world beside it is; the user's commands are programs of their own, as he types them.
"""

from __future__ import annotations

import os
import shlex
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from helpers.arena import Arena
from helpers.needs import requires
from helpers.place import PLACE
from helpers.waiting import wait_for

from lib import linux
from lib.lab.chapters.wires.probes import fetched
from lib.lab.doctor.leaks import of_processes
from lib.lab.registry import LocalRegistry

pytestmark = [
    requires("root", "overlay", "busybox", "nft", "ip", "slirp4netns", "userns", "tun", "docker-registry"),
    pytest.mark.timeout(180),
]
ROOT = Path(__file__).parents[2]
UID, TUN = 1234, "/dev/net/tun"
HOST, OUTSIDE = "203.0.113.1", "203.0.113.2"
SERVER = "sh -c 'mkdir /srv; echo it is me > /srv/index.html; exec httpd -f -p 80 -h /srv'"
BOX = "localhost/busybox:static"


class User:
    """Somebody on the host, with a home and a run folder of his own."""

    def __init__(self, host, home: Path):
        self.host, self.home, self.run = host, home, home / "run"
        self.env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "HOME": str(home),
            "SUITCASE_RUN": str(self.run),
            "SUITCASE_STORE": str(home / "store"),
        }
        home.mkdir()
        os.chown(home, UID, UID)

    def __call__(self, line: str, code: int = 0) -> str:
        return self.python("-m", "lib.cli", *shlex.split(line), code=code)

    def python(self, *words: str, code: int = 0) -> str:
        """What a Python of his prints."""
        done = self.host(
            subprocess.run, [sys.executable, "-P", *words], env=self.env, cwd=ROOT, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, user=UID, group=UID, extra_groups=[], timeout=60,
        )  # fmt: skip
        assert done.returncode == code, done.stdout
        return done.stdout.strip()

    def port(self, name: str) -> str:
        return self(f"port {name}").rpartition(":")[2]

    def daemons(self) -> dict[int, str]:
        """What runs of his, by pid: containers, daemons, the cable."""
        return {
            pid: text.partition("\n")[0].removeprefix("Name:\t")
            for pid, text in of_processes("status")
            if f"\nUid:\t{UID}\t" in text and "Z (" not in text
        }

    def leave(self) -> None:
        """His daemons go when they have nothing to do, some seconds later unless they are asked to."""
        for ident in self("ps -aq").split():
            self(f"rm -f {ident}")
        wait_for(lambda: self.python("-c", "from lib.engine.daemons import calling; calling.rest()") or not self.daemons())


@pytest.fixture
def world():
    """A host and what is outside of it."""
    with Arena() as arena:
        host, outside = arena.place("host"), arena.place("outside")
        arena.cable(host, "uplink", outside, "eth0", [f"{OUTSIDE}/24"])
        host.ip(f"addr add {HOST}/24 dev uplink", f"route add default via {OUTSIDE}")
        arena.serve(outside, 8000)
        yield host, outside


@pytest.fixture
def tun(tmp_path):
    """As on most machines everybody may open it."""
    with tun_device(tmp_path, 0o666):
        yield


@contextmanager
def tun_device(folder: Path, mode: int) -> Iterator[None]:
    """One of our own in its place: the tests have a mount namespace that nobody shares."""
    place = folder / "tun"
    place.mkdir()
    linux.mount("tmpfs", str(place), "tmpfs")
    os.mknod(place / "tun", stat.S_IFCHR, os.makedev(10, 200))
    (place / "tun").chmod(mode)
    linux.mount(str(place / "tun"), TUN, None, "bind")
    try:
        yield
    finally:
        linux.umount(TUN)
        linux.umount(str(place))


@pytest.fixture
def user(world):
    host, _ = world
    with tempfile.TemporaryDirectory(dir=PLACE) as place:  # pytest's own folders are root's alone
        os.chmod(place, 0o755)
        one = User(host, Path(place, "home"))
        yield one
        one.leave()
    assert not Path(f"/dev/shm/suitcase-{UID}").exists()


def test_names_the_world_and_published_ports(world, tun, user):
    host, outside = world
    user("network create backyard")
    user(f"run -d --name db --network backyard -p 80 {BOX} {SERVER}")
    user(f"run -d --name shy --network backyard -p 127.0.0.1::80 {BOX} {SERVER}")
    assert user(f"run --rm --network backyard {BOX} timeout 5 wget -qO- http://db") == "it is me", "by name"
    assert user(f"run --rm {BOX} timeout 5 nc {OUTSIDE} 8000").startswith("outside"), "the world, on the default network"
    open_one, shy = user.port("db"), user.port("shy")
    assert outside(fetched, f"http://{HOST}:{open_one}") == host(fetched, f"http://127.0.0.1:{open_one}") == "it is me"
    assert host(fetched, f"http://127.0.0.1:{shy}") == "it is me" and outside(fetched, f"http://{HOST}:{shy}") != "it is me"
    assert user.port("db") in user("ps") and "[::]" not in user("ps"), "his cable carries IPv4 alone"
    user("rm -f db")
    assert outside(fetched, f"http://{HOST}:{open_one}") != "it is me"


def test_a_port_that_somebody_else_has(world, tun, user):
    host, _ = world
    user(f"run -d --name db -p 8077:80 {BOX} {SERVER}")
    other = User(host, user.home.parent / "other")
    try:
        assert "failed to bind host port 0.0.0.0:8077/tcp: address already in use" in other(f"run -d -p 8077:80 {BOX} {SERVER}", 125)
        holders = [pid for pid, name in user.daemons().items() if name == "suitcase:networ"]
        assert len({os.readlink(f"/proc/{pid}/ns/net") for pid in holders}) == 2, "each engine has a network of its own"
    finally:
        for ident in other("ps -aq").split():
            other(f"rm -f {ident}")  # nobody asks his daemons to go: they do so by themselves, and are waited for


def test_the_cable_is_cut_and_the_next_command_plugs_in_another(world, tun, user):
    """Who holds the namespaces is killed: containers still reach each other; then they reach the world again, and are reached."""
    _, outside = world
    user("network create backyard")
    user(f"run -d --name db --network backyard -p 80 {BOX} {SERVER}")
    number = user.port("db")
    [holder] = [pid for pid, name in user.daemons().items() if name == "suitcase:networ"]
    os.kill(holder, signal.SIGKILL)
    wait_for(lambda: "slirp4netns" not in user.daemons().values())
    assert user("exec db wget -qO- http://db") == "it is me"
    assert user(f"run --rm --network backyard {BOX} timeout 5 wget -qO- http://db") == "it is me", "the same namespaces"
    assert user(f"run --rm --network backyard {BOX} timeout 5 nc {OUTSIDE} 8000").startswith("outside")
    assert outside(fetched, f"http://{HOST}:{number}") == "it is me"


def test_where_it_cannot_be_it_is_said(world, user, tmp_path):
    """Without a tun device of everybody's: no network where none was asked for, and the reason where one was."""
    with tun_device(tmp_path, 0o600):
        assert user(f"run --rm {BOX} ls /sys/class/net") == "lo"
        user("network create backyard")
        said = user(f"run --rm --network backyard {BOX} true", 125)
        assert "no port can be published: without root" in user(f"run --rm -p 80 {BOX} true", 125), "not in silence"
    assert "without root, networks live in a namespace of your own" in said and "chmod 666 /dev/net/tun" in said
    assert "IPv4 addresses only" not in said


def test_an_image_is_pulled_from_the_machines_own_network(world, tun, user):
    """Its loopback is another one than that of his containers."""
    host, _ = world
    user(f"run --rm {BOX} true")
    with ExitStack() as undo:
        with host:
            registry = undo.enter_context(LocalRegistry())
        name = f"{registry.name}/box"
        user(f"tag {BOX} {name}")
        user(f"push {name}")
        user(f"rmi {name}")
        assert user(f"run --rm {name} echo pulled").splitlines()[-1] == "pulled"
        assert user(f"run --rm {name} ls /sys/class/net").split() == ["eth0", "lo"]


STACK = """
services:
  db:
    image: NAME
    command: SERVER
    ports: ["8078:80"]
    healthcheck: {test: test -e /srv/index.html, interval: 100ms, retries: 1000}
  web:
    image: NAME
    command: sh -c 'wget -qO- http://db; exec sleep 1000'
    depends_on: {db: {condition: service_healthy}}
    stop_grace_period: 0s
"""


def test_a_project(world, tun, user):
    """Images come from the machine's own network, containers live in the user's."""
    host, outside = world
    file = user.home / "demo.yaml"
    compose = f"compose -f {file}"
    with ExitStack() as undo:
        with host:
            registry = undo.enter_context(LocalRegistry())
        name = f"{registry.name}/box"
        user(f"run --rm {BOX} true")
        user(f"tag {BOX} {name}")
        user(f"push {name}")
        user(f"rmi {name}")
        file.write_text(STACK.replace("NAME", name).replace("SERVER", SERVER))
        user(f"{compose} up -d --wait")
        assert user(f"{compose} logs --no-log-prefix web") == "it is me"
        user(f"rmi -f {name}")
        assert user(f"{compose} run --rm -T --no-deps web wget -qO- http://db").splitlines()[-1] == "it is me"
        assert user(f"{compose} port db 80") == "0.0.0.0:8078" and outside(fetched, f"http://{HOST}:8078") == "it is me"
        assert user(f"{compose} exec -T web wget -qO- http://db") == "it is me"
        user(f"{compose} restart -t 0 db")
        user(f"{compose} down -t 0 -v")
        assert user(f"{compose} ps -aq") == "" and "home_default" not in user("network ls")


def test_addresses_of_ipv6_are_refused(world, tun, user):
    assert "at IPv4 addresses only" in user(f"run --rm -p [::1]:8077:80 {BOX} true", 125)


def test_a_restart_policy_and_a_health_check(world, tun, user):
    """Started again, it is on its network, and its port leads there; and whoever asks after its health does so as the user."""
    host, _ = world
    user("network create backyard")
    words = f"[ -e /was ] || {{ touch /was; exit 1; }}; {SERVER[7:-1]}"
    asks = "--health-cmd 'wget -qO- http://db; id -u' --health-interval 100ms"
    user(f"run -d --name db --network backyard -p 8077:80 --restart always {asks} {BOX} sh -c '{words}'")
    wait_for(lambda: "(healthy)" in user("ps"))
    assert user("inspect -f {{.RestartCount}} db") == "1" and "it is me0" in user("inspect db").replace("\\n", "")
    assert host(fetched, "http://127.0.0.1:8077") == "it is me"
