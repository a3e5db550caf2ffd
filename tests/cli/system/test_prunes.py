"""``prune``: what is in use stays, what is asked about is asked, and what went is told."""

from __future__ import annotations

import json
import re

import pytest
from helpers.lives import BUSYBOX
from helpers.needs import requires

from lib.cli.listing.prunable import Filters
from lib.engine import finding
from lib.state import kept

pytestmark = requires("root", "overlay", "busybox")


def test_stopped_containers_go_and_running_ones_stay(suitcase, lives):
    runs, ended, never = lives.run("sleep 600", "runs"), lives.run("echo x > /f", "ended"), lives.create("true", "never")
    lives.ended(ended)
    said = suitcase("container prune -f")
    assert said.out.startswith("Deleted Containers:\n") and said.out.endswith("\nTotal reclaimed space: 2B\n")
    assert set(re.findall("[0-9a-f]{64}", said.out)) == {ended["id"], never["id"]}
    assert [one["id"] for one in kept.every()] == [runs["id"]]
    assert suitcase("container prune -f").out == "Total reclaimed space: 0B\n"


def test_nothing_goes_unless_it_is_agreed_to(suitcase, lives, monkeypatch):
    lives.create("true", "box")
    for answer in ("n\n", "\n"):
        monkeypatch.setattr("click.termui.visible_prompt_func", lambda *_, answer=answer: answer.strip())
        said = suitcase("container prune")
        assert said.out.startswith("WARNING! This will remove all stopped containers.\n") and "Total" not in said.out
    assert finding.find("box")
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda *_: "y")
    assert "Total reclaimed space" in suitcase("container prune").out and not kept.every()


@pytest.mark.parametrize(
    ("words", "left"),
    [
        ("label=tier", ["plain"]),
        ("label=tier=back", ["front", "plain"]),
        ("label!=tier", ["back", "front"]),
        ("until=24h", ["back", "front", "plain"]),
    ],
)
def test_filters_say_what_may_go(suitcase, lives, words, left):
    for name, label in (("plain", ""), ("front", "--label tier=front"), ("back", "--label tier=back")):
        assert suitcase(f"create --name {name} {label} --network none {BUSYBOX} true").code == 0
    assert suitcase(f"container prune -f --filter {words}").code == 0
    assert sorted(one["name"] for one in kept.every()) == left


@pytest.mark.parametrize(
    ("created", "before"),
    [
        ("2026-01-01T12:00:00Z", True),
        ("2026-01-01T12:00:00.5Z", True),
        ("2026-01-01T12:00:01Z", False),
        ("2026-01-01T14:00:00+02:00", True),
        ("2026-01-01T10:30:00-02:00", False),
        ("", True),
        ("yesterday, perhaps", False),
    ],
)
def test_until_knows_the_zones_of_those_who_built_an_image(created, before):
    assert Filters(["until=2026-01-01T12:00:00.7Z"]).let_through(created, {}) is before


def test_a_filter_that_there_is_not(suitcase):
    said = suitcase("container prune -f --filter colour=red")
    assert (said.code, said.err) == (1, "suitcase: invalid filter 'colour': there is until, label, label!\n")


def test_images_that_a_container_stands_on_stay(suitcase, lives):
    suitcase(f"tag {BUSYBOX} localhost/other:1")
    lives.create("true", "box")
    assert suitcase("image prune -af").out == "Total reclaimed space: 0B\n"
    suitcase("rm box")
    said = suitcase("image prune -af").out
    assert "untagged: localhost/busybox:static\n" in said and "untagged: localhost/other:1\n" in said and "deleted: sha256:" in said
    assert suitcase("images -q").out == ""


def test_images_with_a_name_stay_unless_all_are_meant(suitcase, lives):
    assert suitcase("image prune -f").out == "Total reclaimed space: 0B\n" and suitcase("images -q").out


def test_all_of_it_at_once(suitcase, lives):
    lives.create("true", "box")
    suitcase("network create idle")
    said = suitcase("system prune -af").out
    assert "Deleted Containers:\n" in said and "Deleted Networks:\nidle\n" in said and "Deleted Images:\n" in said
    assert said.rpartition("\n\n")[2].startswith("Total reclaimed space: ")


def test_how_much_room_each_kind_takes(suitcase, lives):
    lives.ended(lives.run("head -c 5000 /dev/zero > /f", "ended"))
    lives.run("sleep 600", "runs")
    rows = {one["Type"]: one for one in map(json.loads, suitcase("system df --format json").out.splitlines())}
    assert (rows["Images"]["TotalCount"], rows["Images"]["Active"]) == ("1", "1") and rows["Images"]["Reclaimable"] == "0B (0%)"
    box = rows["Containers"]
    assert (box["TotalCount"], box["Active"], box["Size"], box["Reclaimable"]) == ("2", "1", "5kB", "5kB (100%)")
    head = suitcase("system df").out.splitlines()[0].split()
    assert head == ["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"]
