"""A container's end of its resolver: sockets that are ours to answer at, while port 53 stays free."""

from __future__ import annotations

import errno
import json
import os
import select
import socket
import sys

import pytest
from helpers.needs import requires

from lib.ingredients import Loopback, Nameserver, Namespaces
from lib.network.names import Settings
from lib.process import Plan, Step, StepError

pytestmark = requires("root", "nft")
ASK = """
import socket, sys
own = [socket.socket(socket.AF_INET, kind) for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)]
for one in own:
    one.bind(("0.0.0.0", 53))  # a name server of its own
asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asking.settimeout(20)
asking.connect(("127.0.0.11", 53))
asking.send(b"question")
line = socket.create_connection(("127.0.0.11", 53), 20)
print(asking.recv(100), line.recv(100), asking.getpeername(), line.getpeername(), sep="\\n")
"""


def descriptors() -> set[str]:
    """Sockets and namespaces that this process holds."""
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{fd}")
        except FileNotFoundError:
            continue
        found |= {target} if target.startswith(("socket:", "net:")) else set()
    return found


def test_what_is_asked_at_port_53_comes_to_us_and_the_answer_from_port_53(tmp_path):
    plan = Plan([sys.executable, "-c", ASK], [Namespaces("pid"), Loopback(), Nameserver(str(tmp_path), ["10.0.0.1"], ndots=True)])
    with plan.create() as process:
        udp, tcp = (socket.socket(fileno=os.dup(process.line.given[name])) for name in ("dns-udp", "dns-tcp"))
        with udp, tcp:
            found = Settings.of(tmp_path)
            assert found == Settings(("10.0.0.1",), True, found.port) and found.port != 53
            assert udp.getsockname() == tcp.getsockname() == ("127.0.0.11", found.port)
            process.start()
            assert select.select([udp], [], [], 20)[0]
            packet, sender = udp.recvfrom(100)
            udp.sendto(packet[::-1], sender)
            assert select.select([tcp], [], [], 20)[0]
            tcp.accept()[0].send(b"hello")
            assert process.wait(20).code == 0, process.logs()
            assert process.logs() == b"b'noitseuq'\nb'hello'\n('127.0.0.11', 53)\n('127.0.0.11', 53)\n"


def test_the_plan_says_what_is_done_while_the_child_prepares_itself(tmp_path):
    plan = Plan(["true"], [Loopback(), Nameserver(str(tmp_path))])
    stages = [step.stage for step in plan.steps]
    assert stages.index("map") < stages.index("beside") < stages.index("session")
    assert [step.call for step in plan.steps if step.stage == "beside"] == ["link_up_in", "socket_in", "socket_in", "nft_in"]
    assert str(plan) == str(plan), "the port is the same whenever one looks"


def test_settings_that_are_damaged_are_none(tmp_path):
    assert Settings.of(tmp_path) is None
    for text in ("", "[]", "{}", '{"servers": [], "ndots": false, "port": [1]}', json.dumps({"servers": 7, "ndots": 0, "port": 1})):
        (tmp_path / "names.json").write_text(text)
        assert Settings.of(tmp_path) is None
    (tmp_path / "names.json").write_text('{"servers": [], "ndots": false, "port": 7}')
    assert Settings.of(tmp_path) == Settings(port=7)


class Broken(Plan):
    """The step that is called so fails."""

    at = ""

    @property
    def steps(self) -> list[Step]:
        return [Step(one.stage, "fail", (errno.EPROTO,)) if one.call == self.at else one for one in super().steps]


@pytest.mark.parametrize("call", ["open", "link_up_in", "socket_in", "nft_in", "link_up", "setsid"])
def test_whichever_step_fails_nothing_is_held_afterwards(tmp_path, call):
    with Plan(["true"]).create() as first:  # the starter's line stays
        first.start()
    before = descriptors()
    plan = Broken(["true"], [Namespaces("pid"), Loopback(), Nameserver(str(tmp_path))])
    plan.at = call
    with pytest.raises(StepError):
        plan.create()
    assert descriptors() == before


def test_what_nft_says_is_the_error(tmp_path, monkeypatch):
    monkeypatch.setattr(Nameserver, "rules", "table ip x { nonsense }")
    with pytest.raises(StepError, match="syntax error"):
        Plan(["true"], [Loopback(), Nameserver(str(tmp_path))]).create()
