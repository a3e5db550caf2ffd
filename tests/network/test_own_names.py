"""A notebook's own containers know each other by name, too: answered from the process that holds them, for as long as it does."""

from __future__ import annotations

import errno
import os
import re
import threading
from collections import Counter
from contextlib import suppress

import pytest
from helpers.hosts import BUSYBOX, host
from helpers.needs import requires
from helpers.waiting import wait_for

import lib
from lib.network import create, on
from lib.network.names import own

__all__ = ["host"]
pytestmark = [requires("root", "overlay", "busybox", "nft"), pytest.mark.timeout(120)]
SLEEP = ["sleep", "600"]


def resolvers() -> int:
    return sum(one.name == "names" for one in threading.enumerate())


def asked(container, name: str) -> str:
    done = container.exec(["nslookup", name], show=False)
    return done.output.decode() if done.code == 0 else "unknown"


def descriptors() -> Counter:
    """What this process holds."""
    found = []
    for fd in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # that of the list itself
            found.append(re.sub(r"\[.*", "", os.readlink(f"/proc/self/fd/{fd}")))
    return Counter(found)


def nothing_more(before: Counter) -> bool:
    """A link may be on its way out still, and a thread wait for it with a socket."""
    wait_for(lambda: not descriptors() - before)
    return resolvers() == 0


def test_containers_of_this_process_and_of_the_command_find_each_other(host):
    with host.place:
        create("front")
        with lib.start("busybox", SLEEP, name="shop", network=on("front", aliases=["window"])) as shop:
            host(f"run -d --name db --network front {BUSYBOX} sleep 600")
            with lib.start("busybox", SLEEP, name="till", network=on("front")):
                assert "nameserver 127.0.0.11" in shop.exec(["cat", "/etc/resolv.conf"], show=False).output.decode()
                assert [asked(shop, name) != "unknown" for name in ("till", "window", "db")] == [True] * 3
                assert "1 packets received" in host.inside("db", "ping -c1 -W5 till") and resolvers() == 1
            assert asked(shop, "till") == "unknown", "it has gone"
            assert asked(shop, "shop") != "unknown", "and the others are answered still"
            host("rm -f db")
    assert resolvers() == 0


def test_one_in_the_foreground_has_names_and_leaves_nothing(host):
    with host.place:
        create("front")
        lib.run("busybox", ["true"], show=False)  # what is started only once
        before = descriptors()
        said = lib.run("busybox", ["nslookup", "me"], name="me", network=on("front"), show=False)
        assert said.code == 0 and b"127.0.0.11" in said.output
        assert lib.run("busybox", ["nslookup", "me.invalid"], network=on("front", dns=["127.0.0.9"]), show=False).code != 0
    assert nothing_more(before)


def test_the_default_bridge_has_no_names_and_no_resolver(host):
    with host.place, lib.start("busybox", SLEEP, network=on("bridge")) as one:
        assert "127.0.0.11" not in one.exec(["cat", "/etc/resolv.conf"], show=False).output.decode() and resolvers() == 0


def test_one_that_cannot_be_made_leaves_no_resolver(host, monkeypatch):
    with host.place:
        create("front")
        lib.run("busybox", ["true"], show=False)  # what is started only once
        before = descriptors()
        with pytest.raises(lib.StepError):
            lib.start("busybox", ["/nosuch"], network=on("front"))
        assert nothing_more(before), "it was answered by then"

        def no_room(*_) -> None:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        monkeypatch.setattr(own, "Server", no_room)
        with pytest.raises(OSError, match="Too many open files"):
            lib.start("busybox", SLEEP, network=on("front"))
        assert nothing_more(before), "it was not"


def test_a_forked_child_answers_its_own(host):
    with host.place:
        create("front")
        with lib.start("busybox", SLEEP, name="shop", network=on("front")) as shop:
            if (pid := os.fork()) == 0:
                code = 1
                try:
                    with lib.start("busybox", SLEEP, name="till", network=on("front")) as till:
                        code = int("unknown" in (asked(till, "shop"), asked(till, "till")))
                finally:
                    os._exit(code)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
            assert asked(shop, "shop") != "unknown"
