"""A container's questions after names are answered as long as it lives, whoever of ours is killed meanwhile."""

from __future__ import annotations

import os
from contextlib import suppress

import pytest
from helpers.lives import log, pid_of, rested, shoot
from helpers.names import Networks, namespace
from helpers.needs import requires
from helpers.waiting import wait_for

from lib import linux, state
from lib.engine import ending, lifecycle, making
from lib.engine.daemons import calling, nameserving
from lib.engine.networks import nameserver
from lib.engine.pipes import run_folder
from lib.ingredients import Nameserver
from lib.process import callers
from lib.state import kept

pytestmark = requires("root", "overlay", "busybox", "nft")
ASK = "nslookup -type=a %s 127.0.0.11 2>&1 | sed -n 's/^Address: //p'; echo answered; "
UNTIL = "until [ -e /%s ]; do sleep 0.02; done; "


@pytest.fixture
def named(lives, monkeypatch):
    """Every container has a resolver, and is on a network of a user's."""
    made, networks = making.container, Networks(state.runtime_dir() / "networks")

    def container(library, facts, *network):
        one = made(library, facts, *network)
        one.plan.ingredients = [*one.plan.ingredients, Nameserver(str(run_folder(facts["id"])))]
        return one

    monkeypatch.setattr(making, "container", container)
    yield networks
    lives.clean()
    state.rmtree(str(networks.folder))


def go(one: dict, word: str) -> None:
    """Let it go on that waits for this file."""
    pid = kept.load(kept.place(one))["state"]["pid"]
    os.close(os.open(f"/proc/{pid}/root/{word}", os.O_CREAT | os.O_CLOEXEC, 0o600))


def answers(one: dict, count: int) -> list[bytes]:
    """What it has heard, when it has asked so many times."""
    wait_for(lambda: log(one).count(b"answered") >= count)
    return [line for line in log(one).split() if line != b"answered"]


def test_a_container_is_answered_from_its_first_moment_on(named, lives):
    named.join(2, "web")
    one = lives.create(ASK % "web" + ASK % "web.front")
    named.join(3, "me", container=one["id"])
    lives.start(one)
    assert answers(one, 2) == [b"172.18.0.2"] * 2
    assert lives.ended(one)["exit_code"] == 0


def test_its_sockets_are_the_keepers_before_it_runs(named, lives, monkeypatch):
    held, hold = [], calling.Keeper.hold
    monkeypatch.setattr(lifecycle.Keeper, "hold", staticmethod(lambda name, fd: (held.append(name), hold(name, fd))))
    one = lives.run("true")
    assert held == [f"{one['id']}/dns-udp", f"{one['id']}/dns-tcp"]
    lives.ended(one)


def test_one_that_runs_already_can_be_given_a_resolver(lives):
    networks = Networks(state.runtime_dir() / "networks")
    one = lives.run(UNTIL % "go" + ASK % "web")
    networks.join(2, "web")
    networks.join(3, "me", container=one["id"])
    nameserver.give(kept.load(kept.place(one)), Nameserver(str(run_folder(one["id"]))))
    go(one, "go")
    assert answers(one, 1) == [b"172.18.0.2"]
    lives.ended(one)
    state.rmtree(str(networks.folder))


def test_what_it_has_asked_is_told(named, lives):
    one = lives.create(ASK % "web" + UNTIL % "go")
    named.join(3, "me", container=one["id"])
    named.join(2, "web")
    lives.start(one)
    answers(one, 1)
    assert ["web.", "A", "172.18.0.2"] in [note[2:] for note in calling.Manager.queries(one["id"])]
    assert calling.Manager.queries("0" * 64) == []
    go(one, "go")
    lives.ended(one)


def test_the_next_manager_answers_what_was_asked_while_there_was_none(named, lives):
    named.join(2, "web")
    one = lives.create(ASK % "web" + UNTIL % "go" + ASK % "web")
    named.join(3, "me", container=one["id"])
    lives.start(one)
    answers(one, 1)
    shoot("manager")
    go(one, "go")
    wait_for(lambda: waiting(one))
    calling.Manager.look(kept.place(one))
    assert answers(one, 2) == [b"172.18.0.2"] * 2
    lives.ended(one)


@pytest.mark.parametrize("killed", [["keeper", "manager"], ["keeper"]])
def test_sockets_that_nobody_holds_any_more_are_opened_again(named, lives, killed):
    named.join(2, "web")
    one = lives.create(ASK % "web" + UNTIL % "go" + ASK % "web")
    named.join(3, "me", container=one["id"])
    lives.start(one)
    answers(one, 1)
    shoot(*killed)
    calling.Manager.look(kept.place(one))
    if killed == ["keeper"]:  # the next one has got what the manager had: nothing need be opened
        assert all(fd >= 0 and os.close(fd) is None for fd in map(calling.Keeper.give, (f"{one['id']}/dns-udp", f"{one['id']}/dns-tcp")))
    go(one, "go")
    assert answers(one, 2) == [b"172.18.0.2"] * 2
    lives.ended(one)


def test_sockets_are_opened_again_both_or_none():
    inside = namespace()
    try:
        taken = callers.socket_in(inside, "tcp", "127.0.0.11", 4000)
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(OSError, match="in use"):
            nameserving.opened_in(inside, 4000)
        assert len(os.listdir("/proc/self/fd")) == before
        os.close(taken)
        for fd in nameserving.opened_in(inside, 4000):
            os.close(fd)
    finally:
        os.close(inside)


def waiting(one: dict) -> bool:
    """Does a question wait in its socket? See proc_net(5): the fifth column is what waits to go, and what has come."""
    pid = kept.load(kept.place(one))["state"]["pid"]
    rows = [line.split() for line in linux.read(f"/proc/{pid}/net/udp").splitlines()[1:]]
    return any(row[1].startswith("0B00007F:") and not row[4].endswith(":00000000") for row in rows)


def test_nothing_holds_the_namespace_of_one_that_has_ended(named, lives):
    one = lives.create(ASK % "web" + UNTIL % "go")
    named.join(3, "me", container=one["id"])
    lives.start(one)
    answers(one, 1)
    before = {name: sockets(name) for name in ("keeper", "manager")}
    go(one, "go")
    lives.ended(one)
    assert all(wait_for(lambda name=name: sockets(name) <= before[name] - 2) for name in before)
    assert not (run_folder(one["id"])).exists()
    ending.remove(one)
    assert wait_for(rested)


def sockets(daemon: str) -> int:
    """How many it holds."""
    place = f"/proc/{pid_of(daemon)}/fd"
    found = 0
    for fd in os.listdir(place):
        with suppress(FileNotFoundError):
            found += os.readlink(f"{place}/{fd}").startswith("socket:")
    return found


def test_a_container_without_names_costs_the_manager_nothing(lives):
    one = lives.run(UNTIL % "go")
    wait_for(lambda: len(os.listdir(f"/proc/{pid_of('manager')}/task")) == 1)
    go(one, "go")
    lives.ended(one)
