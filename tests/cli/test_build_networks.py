"""``suitcase build`` and networks: RUN is where ``run`` puts its containers, and however it ends, nothing of that stays."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from helpers.hosts import BUSYBOX, Host, host
from helpers.needs import requires
from helpers.waiting import wait_for

from lib import state
from lib.network import find

__all__ = ["host"]
pytestmark = [requires("root", "overlay", "busybox", "nft", "ip"), pytest.mark.timeout(120)]
WHERE = "readlink /proc/self/ns/net"
ADDRESS = "ip -o -4 addr show eth0 | sed 's/.*inet //; s/ .*//'"
ON_THE_BRIDGE = r"172\.17\.0\.\d+/16"


class Builds:
    """The command, each time as a program of its own in the host's network; ``text`` is what follows the first FROM."""

    def __init__(self, host: Host, context: Path):
        self.host, self.context, self.all = host, context, []
        self.env = os.environ | {"PYTHONPATH": str(Path(state.__file__).parents[2])}
        context.mkdir()

    def begin(self, text: str, *words: str, **env: str) -> subprocess.Popen:
        file = self.context / f"Dockerfile-{len(self.all)}"
        file.write_text(f"FROM {BUSYBOX} AS one\n{text}\n")
        line = [sys.executable, "-P", "-m", "lib.cli", "build", "-f", str(file), *words, str(self.context)]
        self.all.append(self.host.place(subprocess.Popen, line, env=self.env | env, stderr=subprocess.PIPE, text=True))
        return self.all[-1]

    def end(self, child: subprocess.Popen) -> str:
        """What it told; its code is in ``child`` then."""
        return child.communicate(timeout=60)[1]

    def stop(self) -> None:
        """Whoever is still at work, because a test has failed."""
        for child in self.all:
            child.kill()
            child.wait()
            child.stderr.close()
        self.host.place(state.gc)

    def __call__(self, text: str, *words: str, code: int = 0, **env: str) -> list[str]:
        """The lines that its commands printed; if it is to fail, all that it told."""
        child = self.begin(text, *words, **env)
        said = self.end(child)
        assert child.returncode == code, said
        return said.splitlines() if code else printed(said)


def printed(said: str) -> list[str]:
    return re.findall(r"^ +\[[^]]*\] \| (.*)$", said, re.MULTILINE)


@pytest.fixture
def build(host, tmp_path) -> Iterator[Builds]:
    builds = Builds(host, tmp_path / "context")
    yield builds
    builds.stop()


def members(host: Host) -> list[dict]:
    return list(host.place(find, "bridge").members.values())


def test_run_is_on_the_default_bridge(host, build):
    where, address, *files = build(f"RUN {WHERE}; {ADDRESS}; cat /etc/hosts /etc/resolv.conf")
    assert where not in (os.readlink("/proc/self/ns/net"), host.place(os.readlink, "/proc/thread-self/ns/net"))
    assert re.fullmatch(ON_THE_BRIDGE, address)
    assert f"{address.partition('/')[0]}\tsuitcase-build" in files, "its own name is its own address"
    servers = host.sh("", "cat /etc/resolv.conf").splitlines()
    assert servers and files[-len(servers) :] == servers, "whom it asks for names is whom a container asks"


def test_run_reaches_whoever_is_outside(host, build):
    outside = host.arena.place("outside")
    host.arena.cable(host.place, "wan", outside, "eth0", ["10.31.2.2/24"])
    host.place.ip("addr add 10.31.2.1/24 dev wan", "route add default via 10.31.2.2")
    host.arena.serve(outside, 80)
    address, answer = build(f"RUN {ADDRESS}; nc 10.31.2.2 80 < /dev/null")
    assert re.fullmatch(ON_THE_BRIDGE, address) and answer == "outside sees 10.31.2.1", "which has no way to 172.17"


DOORS = "grep -c suitcase-door /proc/net/unix; nc 127.0.0.1 8000 < /dev/null 2>&1"


def test_the_machines_own_services_are_out_of_reach(host, build):
    """What listens on 127.0.0.1, and on abstract Unix sockets, which are a network's, too."""
    with host.place(socket.socket, socket.AF_UNIX) as door:
        door.bind("\0suitcase-door")
        host.arena.serve(host.place, 8000, "127.0.0.1")
        count, answer = build(f"RUN {DOORS} || true")
        assert count == "0" and "refused" in answer
        assert build(f"RUN {DOORS}", "--network", "host") == ["1", "host sees 127.0.0.1"]


@pytest.mark.parametrize("words, flag", [(["--network", "none"], ""), ([], "--network=none")], ids=["command", "Dockerfile"])
def test_no_network(host, build, words, flag):
    text = f"RUN {flag} {WHERE}; ls /sys/class/net; cat /etc/resolv.conf"
    where, *rest = build(text, *words)
    assert where != host.place(os.readlink, "/proc/thread-self/ns/net") and rest == ["lo", "# no network yet: see chapter 4"]


RAW = 1 << 13  # CAP_NET_RAW, as capabilities(7) counts


@pytest.mark.parametrize(
    "words, flag", [(["--network", "host"], ""), (["--allow", "network.host"], "--network=host")], ids=["command", "Dockerfile"]
)
def test_the_machines_network(host, build, words, flag):
    """Of which it can make no raw sockets; on the bridge it may, as a container."""
    where, rights = build(f"RUN {flag} {WHERE}; sed -n 's/CapBnd:.//p' /proc/self/status", *words)
    assert where == host.place(os.readlink, "/proc/thread-self/ns/net") and not int(rights, 16) & RAW
    (rights,) = build("RUN sed -n 's/CapBnd:.//p' /proc/self/status")
    assert int(rights, 16) & RAW


def test_a_Dockerfile_alone_does_not_get_into_the_machines_network(build):
    """It may be a stranger's, and so may its base image."""
    said = "\n".join(build("RUN --network=host true", code=1))
    assert "RUN --network=host is not allowed" in said and "--allow network.host" in said
    assert build(f"RUN --network=host {WHERE}", "--network", "host")


def test_a_network_that_somebody_has_made_is_refused_in_buildkits_words(host, build):
    (said,) = build("RUN true", "--network", "backyard", code=1)
    assert said == 'suitcase: network mode "backyard" not supported by buildkit, nor here: it is default, none or host'
    (address,) = build(f"RUN {ADDRESS}", "--network", "")
    assert re.fullmatch(ON_THE_BRIDGE, address), "no word is the default, as in Docker"


def test_where_no_bridge_can_be_a_run_is_in_the_machines_network(host, build, tmp_path):
    """And a step that was built on a bridge is not built again for that."""
    (tmp_path / "run").mkdir(mode=0o700)
    (tmp_path / "run/bridges").write_text("no")
    text = f"RUN {WHERE}"
    (before,) = build(text)
    assert build(text, SUITCASE_RUN=str(tmp_path / "run")) == [], "cached"
    (where,) = build(text, "--no-cache", SUITCASE_RUN=str(tmp_path / "run"))
    assert where == host.place(os.readlink, "/proc/thread-self/ns/net") != before


# -- side by side -----------------------------------------------------------------------------------------------------------


def test_beside_a_container_on_the_same_bridge(host, build):
    """It is reached from a RUN, and stays reachable when that has ended: the bridge is not only the RUN's."""
    host(f"run -d --name web {BUSYBOX} sh -c 'echo hi > /index.html; httpd -f -p 80 -h /'")
    address = host.inside("web", ADDRESS).partition("/")[0]
    fetch = f"until wget -qO- http://{address}/ 2> /dev/null; do sleep 0.1; done"
    mine, page = build(f"RUN {ADDRESS}; {fetch}")
    assert re.fullmatch(ON_THE_BRIDGE, mine) and mine != f"{address}/16" and page == "hi"
    assert host.sh("", fetch) == "hi\n" and [one["name"] for one in members(host)] == ["web"]


MET = "RUN --mount=type=cache,target=/c {}; touch /c/{}; until [ $(ls /c | wc -l) = {} ]; do sleep 0.01; done"


def test_several_builds_at_a_time(host, build):
    """All are there at once, and no two have one address."""
    many = [build.begin(MET.format(ADDRESS, f"one{number}", 3)) for number in range(3)]
    said = [build.end(one) for one in many]
    assert [one.returncode for one in many] == [0, 0, 0], said
    found = [line for one in said for line in printed(one)]
    assert len(set(found)) == 3 and all(re.fullmatch(ON_THE_BRIDGE, one) for one in found)
    assert host.left() == []


UNTIL = "until [ -s /c/{}-{} ]; do sleep 0.01; done"


def calling(me: str, other: str) -> str:
    """A RUN that says where it is, calls the other one, and waits until it has been called, too."""
    call = f"ping -c1 -W9 $(sed 's./16..' /c/{other}-is) && echo yes > /c/{me}-called"
    steps = [f"{ADDRESS} > /c/{me}-is", UNTIL.format(other, "is"), call, UNTIL.format(other, "called")]
    return f"RUN --mount=type=cache,target=/c {'; '.join(steps)}\n"


def test_stages_that_run_side_by_side(host, build):
    """Two RUNs of one build reach each other."""
    copies = "FROM scratch\nCOPY --from=one /bin /1\nCOPY --from=two /bin /2"
    said = build(f"{calling('one', 'two')}FROM {BUSYBOX} AS two\n{calling('two', 'one')}{copies}")
    assert len([line for line in said if "1 packets received" in line]) == 2 and host.left() == []


# -- how it ends ------------------------------------------------------------------------------------------------------------


def test_a_run_that_fails(host, build):
    said = build(f"RUN {ADDRESS}; exit 3", code=3)
    assert any(re.search(ON_THE_BRIDGE, line) for line in said) and host.left() == state.records() == []


def is_shell(pid: int) -> bool:
    """Has it come to its program? Until then it would end by itself without us."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text() in ("sh\n", "sleep\n")
    return False


def at_work(host: Host, build: Builds, stages: int) -> subprocess.Popen:
    """A build with as many RUNs that go on for ever, all of them on the bridge by now."""
    more = "".join(f"FROM {BUSYBOX} AS more{number}\nRUN sleep 1000\n" for number in range(1, stages))
    copies = "".join(f"COPY --from=more{number} /bin /{number}\n" for number in range(1, stages))
    child = build.begin(f"RUN sleep 1000\n{more}FROM one\n{copies}")
    wait_for(lambda: sum(is_shell(one["pid"]) for one in state.records() if one["pid"]) == stages)
    assert [one["name"] for one in members(host)] == ["suitcase-build"] * stages
    return child


@pytest.mark.parametrize("stages", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_build_that_is_told_to_end(host, build, number, stages):
    child = at_work(host, build, stages)
    child.send_signal(number)
    said = build.end(child)
    assert child.returncode == (1 if number == signal.SIGINT else 128 + number), said
    assert host.left() == state.records() == []


@pytest.mark.parametrize("stages", [1, 2])
def test_a_build_that_is_killed(host, build, stages):
    """Its RUNs go on without it, until the next command ends them and takes their cables and addresses away."""
    child = at_work(host, build, stages)
    child.kill()
    child.communicate()
    assert len(members(host)) == stages and len([name for name in host.links() if re.fullmatch("suitcase[0-9a-f]{7}", name)]) == stages
    build("RUN true")
    assert host.left() == state.records() == []
