"""What several share: the first makes it, the last unmakes it, whatever goes wrong in between; and nobody has another's address."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lib.state import leases, removal, shared
from lib.state.places import memory_place

POOL = {"subnet": "10.7.0.0/24", "range": "", "gateway": "10.7.0.1"}
POOL6 = {"subnet": "fd00:7::/64", "range": "", "gateway": "fd00:7::1"}


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A thing that is there while somebody uses it: a file, made and removed by deeds of that name."""
    thing = tmp_path / "thing"
    monkeypatch.setitem(shared.DEEDS, "make", lambda: thing.touch(exist_ok=False))
    monkeypatch.setitem(shared.DEEDS, "fail", lambda number: (_ for _ in ()).throw(OSError(number, os.strerror(number))))
    return thing


def join(tmp_path, member: str, deeds=(("make",),), pools=(POOL,), **more) -> dict:
    undos = [("unlink", str(tmp_path / "thing"))]
    return shared.join(str(tmp_path / "net"), member, {"name": member, **more}, pools, deeds, undos)


def leave(tmp_path, member: str) -> None:
    shared.leave(str(tmp_path / "net"), member)


def test_the_first_makes_it_and_the_last_unmakes_it(tmp_path, made):
    assert join(tmp_path, "a")["ipv4"] == "10.7.0.2" and made.exists()
    assert join(tmp_path, "b")["ipv4"] == "10.7.0.3"
    leave(tmp_path, "a")
    leave(tmp_path, "a")
    leave(tmp_path, "nobody")
    assert made.exists() and leases.everybody(tmp_path / "net").keys() == {"b"}
    assert join(tmp_path, "c")["ipv4"] == "10.7.0.2", "what is free again is given again"
    leave(tmp_path, "c")
    leave(tmp_path, "b")
    assert not made.exists() and not (tmp_path / "net").exists()
    leave(tmp_path, "b")


def test_a_deed_that_fails_leaves_nothing(tmp_path, made):
    with pytest.raises(OSError, match="No space"):
        join(tmp_path, "a", deeds=[("make",), ("fail", errno.ENOSPC)])
    assert not made.exists() and not (tmp_path / "net").exists()


def test_a_deed_of_ones_own_that_fails_takes_only_oneself_away(tmp_path, made):
    join(tmp_path, "a")
    with pytest.raises(OSError, match="already"):
        shared.join(
            str(tmp_path / "net"), "b", {"name": "b"}, [POOL], own=[[["fail", errno.EALREADY]], [["unlink", str(tmp_path / "own")]]]
        )
    assert leases.everybody(tmp_path / "net").keys() == {"a"} and os.listdir(tmp_path / "net" / "addresses") == ["10.7.0.2"]
    leave(tmp_path, "a")


def test_ones_own_deeds_know_the_addresses(tmp_path, monkeypatch):
    told = []
    monkeypatch.setitem(shared.DEEDS, "tell", told.append)
    monkeypatch.setitem(shared.UNDOS, "untell", told.append)
    own = [[["tell", "up <ipv4> <ipv6>"]], [["untell", "down <ipv4>"]]]
    shared.join(str(tmp_path / "net"), "a", {"name": "a"}, [POOL, POOL6], own=own)
    leave(tmp_path, "a")
    assert told == ["up 10.7.0.2 fd00:7::2", "down 10.7.0.2"]


def test_what_follows_each_other_for_nft_is_one_transaction(tmp_path, monkeypatch):
    """Those of the first one and its own; and of the last one, in reverse."""
    told = []
    for table, word in ((shared.DEEDS, "do"), (shared.UNDOS, "undo")):
        monkeypatch.setitem(table, "nft", lambda *texts, word=word: told.append((word, *texts)))
        monkeypatch.setitem(table, "tell", told.append)
    own = [[["nft", "element"], ["tell", "up"]], [["tell", "down"], ["nft", "element"]]]
    for member in ("a", "b"):
        shared.join(str(tmp_path / "net"), member, {"name": member}, [], [["nft", "table"], ["nft", "map"]], [["nft", "table"]], own)
    assert told == [("do", "table", "map", "element"), "up", ("do", "element"), "up"]
    told.clear()
    for member in ("a", "b"):
        leave(tmp_path, member)
    assert told == [("undo", "element"), "down", ("undo", "element"), "down", ("undo", "table")]


def test_what_is_known_of_later_is_undone_at_the_very_end(tmp_path, monkeypatch):
    told = []
    monkeypatch.setitem(shared.UNDOS, "tell", told.append)
    monkeypatch.setitem(shared.UNDOS, "other", told.append)
    shared.join(str(tmp_path / "net"), "a", {"name": "a"}, [], [], [["tell", "first"]])
    with shared.standing_still(str(tmp_path / "net")):
        shared.note(str(tmp_path / "net"), [["other", "last"], ["tell", "known already"]])
    leave(tmp_path, "a")
    assert told == ["first", "last"]
    with shared.standing_still(str(tmp_path / "net")):
        pass
    assert not (tmp_path / "net").exists()


def test_an_undo_that_fails_keeps_nothing_back_and_is_told(tmp_path, made, monkeypatch):
    monkeypatch.setitem(shared.UNDOS, "strange", lambda: 1 / 0)
    shared.join(str(tmp_path / "net"), "a", {"name": "a"}, [POOL], [("make",)], [("unlink", str(made)), ("strange",)])
    with pytest.raises(ExceptionGroup, match="some undos failed"):
        leave(tmp_path, "a")
    assert not made.exists() and not (tmp_path / "net").exists()


def test_why_it_cannot_be_done_is_told_and_not_that_it_cannot_be_undone_either(tmp_path, monkeypatch):
    def fail():
        raise PermissionError(errno.EPERM, "not for you")

    monkeypatch.setitem(shared.DEEDS, "fail", fail)
    monkeypatch.setitem(shared.UNDOS, "fail", fail)
    with pytest.raises(PermissionError, match="not for you"):
        shared.join(str(tmp_path / "net"), "a", {"name": "a"}, [POOL], [("fail",)], [("fail",)])
    assert not (tmp_path / "net").exists()


@pytest.mark.parametrize(
    ("pool", "taken", "expected"),
    [
        (POOL, set(), "10.7.0.2"),
        (POOL | {"gateway": "10.7.0.9"}, set(), "10.7.0.1"),
        (POOL | {"range": "10.7.0.128/25"}, set(), "10.7.0.128"),
        (POOL | {"range": "10.7.0.128/25", "gateway": "10.7.0.129"}, {"10.7.0.128"}, "10.7.0.130"),
        (POOL6, set(), "fd00:7::2"),
        (POOL6, {"fd00:7::2", "fd00:7::3"}, "fd00:7::4"),
        (POOL | {"want": "10.7.0.77"}, set(), "10.7.0.77"),
        ({"subnet": "10.7.0.0/30", "range": "", "gateway": "10.7.0.1"}, set(), "10.7.0.2"),
    ],
)
def test_which_address_is_given(tmp_path, pool, taken, expected):
    assert leases.chosen(pool, taken, "net", tmp_path)[1] == expected


def test_a_full_network_says_who_has_what(tmp_path):
    small = {"subnet": "10.7.0.0/30", "range": "", "gateway": "10.7.0.1"}
    shared.join(str(tmp_path / "net"), "a", {"name": "web", "network": "shop"}, [small])
    with pytest.raises(OSError, match=r"no available IPv4 address on network shop .*taken by web") as caught:
        shared.join(str(tmp_path / "net"), "b", {"name": "db", "network": "shop"}, [small])
    assert caught.value.errno == errno.EADDRNOTAVAIL
    with pytest.raises(OSError, match=r"Address already in use: 10.7.0.2 belongs to container web"):
        shared.join(str(tmp_path / "net"), "b", {"name": "db"}, [small | {"want": "10.7.0.2"}])
    with pytest.raises(OSError, match="belongs to the network's gateway"):
        shared.join(str(tmp_path / "net"), "b", {"name": "db"}, [small | {"want": "10.7.0.1"}])
    leave(tmp_path, "a")


def test_many_at_a_time_have_each_an_address_of_their_own(tmp_path, made):
    with ThreadPoolExecutor(8) as many:
        found = list(many.map(lambda number: join(tmp_path, f"m{number}")["ipv4"], range(100)))
        assert len(set(found)) == 100
        list(many.map(lambda number: leave(tmp_path, f"m{number}"), range(100)))
    assert not made.exists() and not (tmp_path / "net").exists()


def test_joining_and_leaving_at_once_never_meets_half_of_it(tmp_path, made):
    """The folder goes with the last one: whoever waited at its lock meanwhile makes it anew."""

    def come_and_go(number: int) -> None:
        for _ in range(20):
            join(tmp_path, f"m{number}")
            assert made.exists()
            leave(tmp_path, f"m{number}")

    with ThreadPoolExecutor(4) as many:
        list(many.map(come_and_go, range(4)))
    assert not made.exists()


COMES_AND_GOES = """
import os, sys
from lib.state import shared
folder, me, rounds = sys.argv[1:]
shared.DEEDS["make"] = lambda: open(folder + "/thing", "x").close()
shared.UNDOS["unmake"] = os.unlink
pool = {"subnet": "10.7.0.0/24", "range": "", "gateway": "10.7.0.1"}
for _ in range(int(rounds)):
    shared.join(folder + "/shared/net", me, {"name": me}, [pool], [("make",)], [("unmake", folder + "/thing")])
    assert os.path.exists(folder + "/thing")
    shared.leave(folder + "/shared/net", me)
"""


def test_who_joins_while_the_last_one_clears_up_is_not_cleared_up_with_it():
    """In memory, where it lies in earnest: what is in a folder is listed otherwise there than on a disk, the lock at its end."""
    with tempfile.TemporaryDirectory(dir=memory_place()) as folder:
        env = os.environ | {"PYTHONPATH": str(Path(shared.__file__).parents[2])}
        many = [subprocess.Popen([sys.executable, "-c", COMES_AND_GOES, folder, f"m{number}", "300"], env=env) for number in range(3)]
        assert [one.wait() for one in many] == [0, 0, 0]
        assert os.listdir(folder) == []


KILLED = """
import os, signal, sys
from lib.state import shared
count = int(sys.argv[2])
def after(original):
    def call(*args, **more):
        global count
        count -= 1
        if not count:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **more)
    return call
for module, name in ((shared, "written"), (shared, "leased"), (shared, "do_all"), (shared, "make_folder")):
    setattr(module, name, after(getattr(module, name)))
shared.DEEDS["make"] = lambda: open(sys.argv[1] + "/thing", "x").close()
pool = {"subnet": "10.7.0.0/24", "range": "", "gateway": "10.7.0.1"}
shared.join(sys.argv[1] + "/net", "a", {"name": "a"}, [pool], [("make",)], [("unlink", sys.argv[1] + "/thing")])
"""


@pytest.mark.parametrize("count", range(1, 9))
def test_killed_anywhere_its_undo_takes_all_of_it_back(tmp_path, count):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), str(count)], env=os.environ | {"PYTHONPATH": str(Path(shared.__file__).parents[2])}
    )
    assert done.returncode in (0, -signal.SIGKILL)
    shared.leave(str(tmp_path / "net"), "a")
    assert not (tmp_path / "thing").exists() and not (tmp_path / "net").exists(), json.dumps([str(path) for path in tmp_path.rglob("*")])


def test_a_folder_that_somebody_else_has_removed_meanwhile_is_gone(tmp_path, monkeypatch):
    """Such as a daemon that is ending, while the next start clears up after whoever began it."""
    empty = removal.empty

    def both(fd: int, path: str) -> None:
        empty(fd, path)
        os.rmdir(path)

    monkeypatch.setattr(removal, "empty", both)
    (tmp_path / "folder").mkdir()
    removal.rmtree(str(tmp_path / "folder"))
    assert not (tmp_path / "folder").exists()
