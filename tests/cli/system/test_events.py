"""``events``: what was done is told, in order, by whoever did it; and what is done while somebody listens, at once."""

from __future__ import annotations

import json
import os
import threading

import pytest
from helpers.lives import BUSYBOX, log
from helpers.needs import requires
from helpers.waiting import wait_for

from lib.cli.system import events as verb
from lib.state import events

pytestmark = requires("root", "overlay", "busybox")


def told(suitcase, words: str = "") -> list[dict]:
    said = suitcase(f"events --since 1h --until 0s --format json {words}")
    assert said.code == 0, said.err
    return [json.loads(line) for line in said.out.splitlines()]


@pytest.fixture
def since(suitcase, monkeypatch, tmp_path):
    """Only what this test does."""
    monkeypatch.setattr(events, "place", lambda: tmp_path / "events")
    monkeypatch.setattr(events, "folder", lambda name: (tmp_path / name).mkdir(exist_ok=True) or tmp_path / name)


def test_the_life_of_a_container(suitcase, lives, since, monkeypatch):
    words = "trap 'exit 4' TERM; echo up; while :; do sleep 0.02; done"
    suitcase(f'create --name box --label tier=back --network none {BUSYBOX} sh -c "{words}"')
    suitcase("start box")
    wait_for(lambda: b"up" in log(lives_box()))
    suitcase("rename box other")
    suitcase("stop other")
    suitcase("rm other")
    found = told(suitcase, "--filter type=container")
    mine = [(one["Action"], one["Actor"]["Attributes"].get("name")) for one in found]
    assert [one for one in mine if one[0] not in ("die", "destroy")] == [
        ("create", "box"), ("start", "box"), ("rename", "other"), ("kill", "other"), ("stop", "other"),
    ]  # fmt: skip
    kill = next(one for one in found if one["Action"] == "kill")
    assert kill["Actor"]["Attributes"] == {"image": BUSYBOX, "name": "other", "signal": "15", "tier": "back"}
    assert [one["timeNano"] for one in found] == sorted(one["timeNano"] for one in found)


def lives_box() -> dict:
    from lib.engine import finding

    return finding.find("box")


def test_the_manager_tells_of_the_end(suitcase, lives):
    """It is another process: that is where the file counts."""
    one = lives.run("exit 7", "box")
    lives.ended(one)
    mine = told(suitcase, f"--filter container={one['id']}")
    assert [(each["Action"], each["Actor"]["Attributes"].get("exitCode")) for each in mine] == [
        ("create", None),
        ("start", None),
        ("die", "7"),
    ]
    suitcase("rm box")
    assert [each["Action"] for each in told(suitcase, "--filter container=box --filter event=destroy")][-1] == "destroy"


def test_who_listens_hears_it_at_once(suitcase, lives, since):
    heard: list[dict] = []
    enough = threading.Event()

    def listen() -> None:
        for event in verb.happening(None, None):
            heard.append(event)
            if event["Action"] == "untag":
                return enough.set()

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    wait_for(lambda: suitcase(f"tag {BUSYBOX} localhost/one:1").code == 0 and heard)
    suitcase("rmi localhost/one:1")
    assert enough.wait(20)
    listener.join(20)
    assert {one["Action"] for one in heard} == {"tag", "untag"} and heard[0]["Actor"]["Attributes"] == {"name": "localhost/one:1"}


def test_the_words_for_people_and_the_filters(suitcase, since):
    events.tell("network", "create", "a" * 64, {"name": "front", "type": "bridge"})
    events.tell("container", "exec_create: sh", "b" * 64, {"name": "box"})
    said = suitcase("events --since 1h --until 0s").out.splitlines()
    assert said[0].partition(" ")[2] == f"network create {'a' * 64} (name=front, type=bridge)"
    assert [one["Type"] for one in told(suitcase, "--filter network=front")] == ["network"]
    assert [one["Type"] for one in told(suitcase, "--filter event=exec_create")] == ["container"]
    assert [one["Type"] for one in told(suitcase, "--filter label=type=bridge")] == ["network"]
    assert suitcase("events --since 1h --until 0s --format {{.Type}}/{{.Action}}").out == "network/create\ncontainer/exec_create: sh\n"
    refused = suitcase("events --filter nonsense=1 --until 0s")
    assert (refused.code, refused.out) == (1, "") and "invalid filter 'nonsense': there is " in refused.err
    assert suitcase("events --since yesterday").code == 1


def test_the_file_does_not_grow_for_ever(since, monkeypatch):
    monkeypatch.setattr(events, "AT_MOST", 2000)
    for number in range(100):
        events.tell("image", "pull", str(number))
    assert sum(path.stat().st_size for path in events.place().iterdir()) < 5000
    reader = events.Reader()
    try:
        found = [int(one["Actor"]["ID"]) for one in reader.read()]
    finally:
        reader.close()
    assert found == list(range(found[0], 100)) and len(found) > 10


def test_no_line_is_missed_between_two_files(since, monkeypatch):
    """What is told at the very moment at which one file gives way to the next."""
    events.tell("image", "pull", "0")
    reader, opened = events.Reader(), os.open

    def meanwhile(path, *how, **more):
        if str(path).endswith(f"/{events.NOW}") and how[0] & os.O_ACCMODE == os.O_RDONLY:
            monkeypatch.setattr(events.os, "open", opened)
            monkeypatch.setattr(events, "AT_MOST", 1)
            events.tell("image", "pull", "1")
            monkeypatch.setattr(events, "AT_MOST", 1 << 20)
            events.tell("image", "pull", "2")
        return opened(path, *how, **more)

    try:
        found = [one["Actor"]["ID"] for one in reader.read()]
        monkeypatch.setattr(events.os, "open", meanwhile)
        found += [one["Actor"]["ID"] for one in reader.read()]
    finally:
        reader.close()
    assert found == ["0", "1", "2"]


def test_a_line_that_is_no_event_is_passed_over(since):
    events.tell("image", "pull", "1")
    with open(events.place() / events.NOW, "a") as file:
        file.write("{ half\n")
    events.tell("image", "pull", "2" * events.LONGEST)
    events.tell("image", "pull", "3", {"label": "x" * events.LONGEST})
    reader = events.Reader()
    try:
        assert [(one["Actor"]["ID"], one["Actor"]["Attributes"]) for one in reader.read()] == [("1", {}), ("2" * 256, {}), ("3", {})]
    finally:
        reader.close()


def test_a_full_disk_keeps_nobody_from_anything(since, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(events, "append", full)
    events.tell("image", "pull", "1")
