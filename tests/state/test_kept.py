"""Containers on disk: written whole or not at all, of one version, named once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading

import pytest
from helpers.waiting import ends

from lib.state import kept


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("SUITCASE_STORE", str(tmp_path / "store"))


def made(name: str = "box", **more) -> dict:
    """A container on disk."""
    facts = {"version": kept.VERSION, "id": os.urandom(32).hex(), "name": name, "created": f"2026-{name}", **more}
    with kept.new(facts["id"]) as draft:
        kept.save(facts, draft)
    return facts


def test_what_is_saved_is_loaded():
    one = made()
    assert kept.load(kept.place(one)) == one == kept.load(kept.place(one["id"]))
    assert kept.every() == [one]
    assert os.stat(kept.place(one)).st_mode & 0o777 == 0o700 and os.stat(kept.place(one) / kept.NAME).st_mode & 0o777 == 0o600


def test_names_are_read_once_and_again_when_they_change(monkeypatch):
    loads, load = [], kept.load
    monkeypatch.setattr(kept, "load", lambda where: loads.append(where.name) or load(where))
    one, two = made("one"), made("two")
    there = {"one": kept.place(one).name, "two": kept.place(two).name}
    assert kept.names() == there == kept.names() and sorted(loads) == sorted(there.values())
    kept.save(one | {"name": "other"})
    kept.erase(kept.place(two))
    assert kept.names() == {"other": there["one"]} and loads[2:] == [there["one"]]


def test_the_newest_is_first():
    names = ["b", "c", "a"]
    for name in names:
        made(name)
    assert [one["name"] for one in kept.every()] == ["c", "b", "a"]


def test_what_cannot_be_saved_leaves_what_was_there(monkeypatch):
    one = made()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError):
        kept.save(one | {"name": "other"})
    assert kept.load(kept.place(one)) == one
    assert sorted(os.listdir(kept.place(one))) == [kept.NAME, "lock"], "and no draft"


SAVING = """
import sys
from lib.state import kept
facts = kept.load(kept.place(sys.argv[1]))
print(flush=True)
while True:
    for letter in "ab":
        kept.save(facts | {"name": letter * 100000})
"""


def test_killed_at_any_moment_it_is_whole():
    one = made("a" * 100000)
    for _ in range(10):
        with subprocess.Popen([sys.executable, "-c", SAVING, one["id"]], stdout=subprocess.PIPE) as child:
            child.stdout.readline()
            for _ in range(20):
                assert set(kept.load(kept.place(one))["name"]) in ({"a"}, {"b"})
            child.send_signal(signal.SIGKILL)
        assert len(kept.load(kept.place(one))["name"]) == 100000


def test_one_that_is_not_complete_is_not_seen():
    with pytest.raises(RuntimeError), kept.new("c" * 64) as draft:
        kept.save({"version": kept.VERSION, "id": "c" * 64, "name": "x", "created": ""}, draft)
        assert kept.every() == [] and not kept.place("c" * 64).exists()
        raise RuntimeError
    assert [name for name in os.listdir(kept.containers()) if not name.startswith(".")] == []


def test_an_id_that_is_there_is_not_written_over():
    one = made()
    with pytest.raises(OSError), kept.new(one["id"][: kept.SHORT] + "f" * 52) as draft:
        kept.save(one | {"name": "thief"}, draft)
    assert kept.every() == [one]


@pytest.mark.parametrize(
    "text", ["", "{", "null", "[]", "7", '"x"', "{}", '{"version": 1', "\x00" * 40, '{"id": "x"}'], ids=lambda text: repr(text)[:12]
)
def test_a_damaged_one_is_left_out_and_says_so(text):
    one, other = made("one"), made("other")
    (kept.place(one) / kept.NAME).write_text(text)
    assert kept.every() == [other]
    with pytest.raises(kept.Unreadable, match=f"is damaged: suitcase rm -f {one['id'][:12]} removes"):
        kept.load(kept.place(one))


def test_bytes_that_are_no_text_are_damage():
    one = made()
    (kept.place(one) / kept.NAME).write_bytes(b"\xff\xfe{")
    with pytest.raises(kept.Unreadable, match="is damaged"):
        kept.load(kept.place(one))


@pytest.mark.parametrize("version", [kept.VERSION + 1, 0, "1", None])
def test_another_version_is_touched_by_nobody(version):
    one = made()
    text = json.dumps(one | {"version": version, "new": "words"})
    (kept.place(one) / kept.NAME).write_text(text)
    assert kept.every() == []
    with pytest.raises(kept.Unreadable, match="was written by another suitcase"), kept.locked(kept.place(one)) as facts:
        kept.save(facts)
    assert (kept.place(one) / kept.NAME).read_text() == text


def test_a_stranger_among_them_does_no_harm():
    one = made()
    (kept.containers() / "notes.txt").write_text("x")
    (kept.containers() / "abcdefabcdef").write_text("x")
    (kept.containers() / "0123456789ab").mkdir()
    assert kept.every() == [one]


def test_one_that_has_gone():
    with pytest.raises(FileNotFoundError), kept.locked(kept.place("d" * 64)):
        pass
    assert kept.every() == []


def test_two_do_not_change_it_at_once():
    one = made(count=0)

    def count() -> None:
        for _ in range(50):
            with kept.locked(kept.place(one)) as facts:
                kept.save(facts | {"count": facts["count"] + 1})

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        assert ends(thread.join)
    assert kept.load(kept.place(one))["count"] == 200


def test_who_holds_it_is_busy_with_it(tmp_path):
    """The manager goes on with a removal only if nobody is about it: two at a time would be in each other's way."""
    (tmp_path / "lock").touch()
    (tmp_path / kept.NAME).write_text('{"version": 1}')
    assert not kept.busy(tmp_path)
    with kept.locked(tmp_path):
        assert kept.busy(tmp_path)
    assert not kept.busy(tmp_path) and kept.busy(tmp_path / "gone")
